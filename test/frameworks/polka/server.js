const { createHash } = require('node:crypto');
const path = require('node:path');
const { text } = require('node:stream/consumers');
const polka = require('polka');
const sirv = require('sirv');
const { WebSocketServer } = require('ws');

/** Where it is mounted, if not at the root. */
const base = process.env.BASE_PATH ?? '';

/** Streams that wait for /release. */
const waiting = new Set();

const site = polka()
  .use(sirv(path.join(__dirname, 'public')))
  .get('/', (req, res) => {
    res.setHeader('Content-Type', 'text/html');
    res.end(`<!doctype html>
<link rel="stylesheet" href="${base}/style.css">
<h1>Hello from polka</h1>
<form method="post" action="${base}/post"><input name="name"></form>`);
  })
  .get('/old', (req, res) => {
    res.writeHead(302, { Location: `${base}/` });
    res.end();
  })
  .post('/post', async (req, res) => {
    const form = new URLSearchParams(await text(req));
    res.statusCode = 201;
    res.end(`Hello, ${form.get('name')}`);
  })
  .post('/upload', async (req, res) => {
    const hash = createHash('sha256');
    for await (const chunk of req) hash.update(chunk);
    res.end(hash.digest('hex'));
  })
  .get('/stream', (req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    res.write('data: first part\n\n');
    waiting.add(() => res.end('data: last part\n\n'));
  })
  .get('/release', (req, res) => {
    for (const go of waiting) go();
    waiting.clear();
    res.end('released');
  });

const app = (base === '' ? site : polka().use(base, site)).listen(
  process.env.PORT || 3000,
  (error) => {
    if (error) throw error;
    console.log('> Running');
  },
);

new WebSocketServer({ server: app.server, path: `${base}/ws` }).on('connection', (socket) => {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});
