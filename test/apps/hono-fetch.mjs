// A Hono app as a fetch handler, with middleware that takes Responses apart and puts them together again.
import { getConnInfo } from '@hono/node-server/conninfo';
import { Hono } from 'hono';
import { compress } from 'hono/compress';
import { getCookie, setCookie } from 'hono/cookie';
import { cors } from 'hono/cors';
import { etag } from 'hono/etag';
import { proxy } from 'hono/proxy';
import { streamText } from 'hono/streaming';

const inner = new Hono().get('/', (c) => c.text(`inner ${new URL(c.req.url).pathname}`));

const app = new Hono();
app.use('/cors/*', cors({ origin: 'http://b.test' }));
app.use('/etag/*', etag());
app.use('/compress/*', compress());
app.use('/wrapped/*', async (c, next) => {
  await next();
  c.res = new Response(`<${await c.res.text()}>`, c.res);
});
app.get('/text', (c) => c.text('text'));
app.get('/json', (c) => c.json({ a: 1 }, 201, { 'x-a': 'b' }));
app.get('/html', (c) => c.html('<p>html'));
app.get('/bytes', (c) => c.body(new TextEncoder().encode('bytes')));
app.get('/none', (c) => c.body(null, 204));
app.get('/redirect', (c) => c.redirect('/text'));
app.get('/cookies', (c) => {
  setCookie(c, 'a', 'b');
  setCookie(c, 'c', 'd');
  return c.text(getCookie(c, 'e') ?? 'none');
});
app.get('/cors/text', (c) => c.text('text'));
app.get('/etag/text', (c) => c.text('text'));
app.get('/compress/text', (c) => c.text('text '.repeat(1000)));
app.get('/wrapped/text', (c) => c.text('text', 202));
app.get('/stream', (c) =>
  streamText(c, async (stream) => {
    await stream.write('one,');
    await stream.write('two');
  }),
);
app.get('/peer', (c) => c.text(getConnInfo(c).remote.address));
app.get('/proxy', (c) => proxy(new URL('/text', c.req.url), { headers: { accept: '*/*' } }));
app.post('/form', async (c) => c.json(await c.req.parseBody()));
app.post('/echo', async (c) => c.json(await c.req.json()));
app.mount('/mounted', inner.fetch);
app.onError((error, c) => c.text(`caught ${error.message}`, 500));
app.get('/throws', () => {
  throw new Error('on purpose');
});

export default app;
