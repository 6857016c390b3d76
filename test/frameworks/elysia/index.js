import { createHash } from 'node:crypto';
import { node } from '@elysiajs/node';
import { Elysia, sse } from 'elysia';

/** Where it is mounted, if not at the root. */
const base = process.env.BASE_PATH ?? '';

/** Streams that wait for /release. */
const waiting = new Set();

const page = `<!doctype html>
<link rel="stylesheet" href="${base}/style.css">
<h1>Hello from Elysia</h1>
<form method="post" action="${base}/post"><input name="name"></form>`;

const style = 'body { font-family: sans-serif; }\n';

new Elysia({ adapter: node(), prefix: base })
  .get('/', () => new Response(page, { headers: { 'Content-Type': 'text/html; charset=utf-8' } }))
  .get('/style.css', () => new Response(style, { headers: { 'Content-Type': 'text/css' } }))
  .get('/old', () => new Response(null, { status: 302, headers: { Location: `${base}/` } }))
  .post('/post', ({ body, set }) => {
    set.status = 201;
    return `Hello, ${body.name}`;
  })
  .post('/upload', async ({ body }) => {
    const bytes = Buffer.from(await body.file.arrayBuffer());
    return { sha256: createHash('sha256').update(bytes).digest('hex') };
  })
  .get('/stream', async function* () {
    yield sse('first part');
    await new Promise((go) => waiting.add(go));
    yield sse('last part');
  })
  .get('/release', () => {
    for (const go of waiting) go();
    waiting.clear();
    return 'released';
  })
  .ws('/ws', {
    message(ws, message) {
      ws.send(message);
    },
  })
  .listen(Number(process.env.PORT ?? 3000));
