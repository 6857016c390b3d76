// The docs' own form: https://nodejs.org/api/http.html
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import http from 'node:http';
import { text } from 'node:stream/consumers';

/** Where it is mounted, if not at the root. */
const base = process.env.BASE_PATH ?? '';

const page = `<!doctype html>
<link rel="stylesheet" href="${base}/style.css">
<h1>Hello from node:http</h1>
<form method="post" action="${base}/post"><input name="name"></form>`;

/** Streams that wait for /release. */
const waiting = new Set();

/** RFC 6455's example of a handshake, and one frame, by hand. */
function accept(key) {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

function unmask(frame) {
  const mask = frame.subarray(2, 6);
  return frame.subarray(6, 6 + (frame[1] & 0x7f)).map((byte, i) => byte ^ mask[i % 4]);
}

const routes = {
  'GET /': (req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(page);
  },
  'GET /style.css': (req, res) => {
    res.setHeader('Content-Type', 'text/css');
    createReadStream(new URL('public/style.css', import.meta.url)).pipe(res);
  },
  'GET /old': (req, res) => {
    res.writeHead(302, { Location: `${base}/` }).end();
  },
  'POST /post': async (req, res) => {
    const form = new URLSearchParams(await text(req));
    res.writeHead(201).end(`Hello, ${form.get('name')}`);
  },
  'POST /upload': async (req, res) => {
    const hash = createHash('sha256');
    for await (const chunk of req) hash.update(chunk);
    res.end(hash.digest('hex'));
  },
  'GET /stream': (req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' });
    res.write('data: first part\n\n');
    waiting.add(() => res.end('data: last part\n\n'));
  },
  'GET /release': (req, res) => {
    for (const go of waiting) go();
    waiting.clear();
    res.end('released');
  },
};

const server = http.createServer((req, res) => {
  const { pathname } = new URL(req.url, 'http://localhost');
  const isBelow = pathname.startsWith(`${base}/`);
  const route = isBelow && routes[`${req.method} ${pathname.slice(base.length)}`];
  if (route) route(req, res);
  else res.writeHead(404).end();
});

server.on('upgrade', (req, socket) => {
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept(req.headers['sec-websocket-key'])}\r\n\r\n`,
  );
  socket.on('data', (frame) => {
    if ((frame[0] & 0x0f) === 8) socket.end(Buffer.from([0x88, 0]));
    else {
      const message = unmask(frame);
      socket.write(Buffer.concat([Buffer.from([0x81, message.length]), message]));
    }
  });
  socket.on('error', () => socket.destroy());
});

server.listen(process.env.PORT ?? 3000);
