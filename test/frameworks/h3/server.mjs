import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { plugin as ws } from 'crossws/server';
import {
  createEventStream,
  defineWebSocketHandler,
  H3,
  html,
  redirect,
  serve,
  serveStatic,
} from 'h3';

/** Where it is mounted, if not at the root. */
const base = process.env.BASE_PATH ?? '';

const app = new H3();

/** Streams that wait for /release. */
const waiting = new Set();

app.get(
  '/',
  () =>
    html`<!doctype html>
      <link rel="stylesheet" href="${base}/style.css" />
      <h1>Hello from h3</h1>
      <form method="post" action="${base}/post"><input name="name" /></form>`,
);

app.get('/style.css', (event) => {
  const file = (id) => new URL(`public${id.slice(base.length)}`, import.meta.url);
  return serveStatic(event, {
    getContents: (id) => readFile(file(id)),
    getMeta: async (id) => {
      const stats = await stat(file(id)).catch(() => undefined);
      return stats?.isFile() ? { size: stats.size, mtime: stats.mtimeMs } : undefined;
    },
  });
});

app.get('/old', () => redirect(`${base}/`));

app.post('/post', async (event) => {
  const form = await event.req.formData();
  event.res.status = 201;
  return `Hello, ${form.get('name')}`;
});

app.post('/upload', async (event) => {
  const file = (await event.req.formData()).get('file');
  const bytes = Buffer.from(await file.arrayBuffer());
  return { sha256: createHash('sha256').update(bytes).digest('hex') };
});

app.get('/stream', (event) => {
  const stream = createEventStream(event);
  stream.push('first part');
  waiting.add(async () => {
    await stream.push('last part');
    await stream.close();
  });
  return stream.send();
});

app.get('/release', () => {
  for (const go of waiting) go();
  waiting.clear();
  return 'released';
});

app.get(
  '/ws',
  defineWebSocketHandler({
    message: (peer, message) => peer.send(message.text()),
  }),
);

serve(base === '' ? app : new H3().mount(base, app), {
  port: Number(process.env.PORT ?? 3000),
  plugins: [ws({})],
});
