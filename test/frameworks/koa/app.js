const { createHash } = require('node:crypto');
const path = require('node:path');
const { PassThrough } = require('node:stream');
const multer = require('@koa/multer');
const { Router } = require('@koa/router');
const Koa = require('koa');
const bodyParser = require('koa-bodyparser');
const mount = require('koa-mount');
const serve = require('koa-static');
const { WebSocketServer } = require('ws');

const app = new Koa();
const base = process.env.BASE_PATH ?? '';
const router = new Router({ prefix: base });
const upload = multer();

/** Streams that wait for /release. */
const waiting = new Set();

router.get('/', (ctx) => {
  ctx.body = `<!doctype html>
<link rel="stylesheet" href="${base}/style.css">
<h1>Hello from Koa</h1>
<form method="post" action="${base}/post"><input name="name"></form>`;
});

router.get('/old', (ctx) => {
  ctx.redirect(`${base}/`);
});

router.get('/visits', (ctx) => {
  const visits = Number(ctx.cookies.get('visits') ?? 0) + 1;
  // Koa sends it under TLS only, and throws else.
  if (ctx.secure) ctx.cookies.set('visits', String(visits), { secure: true });
  ctx.body = `visits: ${visits}`;
});

router.post('/post', (ctx) => {
  ctx.status = 201;
  ctx.body = `Hello, ${ctx.request.body.name}`;
});

router.post('/upload', upload.single('file'), (ctx) => {
  ctx.body = { sha256: createHash('sha256').update(ctx.file.buffer).digest('hex') };
});

router.get('/stream', (ctx) => {
  const stream = new PassThrough();
  ctx.type = 'text/event-stream';
  ctx.body = stream;
  stream.write('data: first part\n\n');
  waiting.add(() => stream.end('data: last part\n\n'));
});

router.get('/release', (ctx) => {
  for (const go of waiting) go();
  waiting.clear();
  ctx.body = 'released';
});

app.use(mount(base || '/', serve(path.join(__dirname, 'public'))));
app.use(bodyParser());
app.use(router.routes());
app.use(router.allowedMethods());

const server = app.listen(process.env.PORT || 3000);

new WebSocketServer({ server, path: `${base}/ws` }).on('connection', (socket) => {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});
