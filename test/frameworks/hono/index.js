import { createHash } from 'node:crypto';
import { serve, upgradeWebSocket } from '@hono/node-server';
import { serveStatic } from '@hono/node-server/serve-static';
import { Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import { WebSocketServer } from 'ws';

/** Where it is mounted, if not at the root. */
const base = process.env.BASE_PATH ?? '';
const app = new Hono({ strict: false }).basePath(base);

/** Streams that wait for /release. */
const waiting = new Set();

app.get('/', (c) =>
  c.html(`<!doctype html>
<link rel="stylesheet" href="${base}/style.css">
<h1>Hello from Hono</h1>
<form method="post" action="${base}/post"><input name="name"></form>`),
);

app.get('/old', (c) => c.redirect(`${base}/`));

app.post('/post', async (c) => {
  const { name } = await c.req.parseBody();
  return c.text(`Hello, ${name}`, 201);
});

app.post('/upload', async (c) => {
  const { file } = await c.req.parseBody();
  const bytes = Buffer.from(await file.arrayBuffer());
  return c.json({ sha256: createHash('sha256').update(bytes).digest('hex') });
});

app.get('/stream', (c) =>
  streamSSE(c, async (stream) => {
    await stream.writeSSE({ data: 'first part' });
    await new Promise((go) => waiting.add(go));
    await stream.writeSSE({ data: 'last part' });
  }),
);

app.get('/release', (c) => {
  for (const go of waiting) go();
  waiting.clear();
  return c.text('released');
});

app.get(
  '/ws',
  upgradeWebSocket(() => ({
    onMessage(event, ws) {
      ws.send(event.data);
    },
  })),
);

app.use(
  '*',
  serveStatic({ root: './public', rewriteRequestPath: (path) => path.slice(base.length) }),
);

serve({
  fetch: app.fetch,
  port: Number(process.env.PORT ?? 3000),
  websocket: { server: new WebSocketServer({ noServer: true }) },
});
