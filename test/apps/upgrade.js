// WebSockets (the package ws) and handlers of 'upgrade' written by hand; knows nothing of mod_tsgi, but
// for the event that tells of a drain.
'use strict';
const http = require('node:http');
const { WebSocketServer } = require('ws');

const sockets = new Set();
const closed = [];

const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\nX-App: raw\r\n\r\n';

const raw = {
  // Echoes; when the client has ended its half, says goodbye and ends the other one.
  '/raw/echo': (req, socket, head) => {
    socket.write(SWITCH);
    if (head.length > 0) socket.write(head);
    socket.on('data', (chunk) => {
      if (!socket.write(chunk)) socket.pause();
    });
    socket.on('drain', () => socket.resume());
    socket.on('end', () => socket.end('goodbye'));
  },
  // Ends its half at once, with much to be delivered, and tells what comes all the same.
  '/raw/last': (req, socket) => {
    socket.write(SWITCH);
    socket.end(Buffer.alloc(1024 * 1024, 'x'));
    let text = '';
    socket.on('data', (chunk) => (text += chunk));
    socket.on('end', () => closed.push(`last heard ${text}`));
  },
  // Says hello, and 16 MiB when it is told to.
  '/raw/flood': (req, socket) => {
    socket.write(SWITCH + 'h'.repeat(4096));
    socket.once('data', () => socket.end(Buffer.alloc(16 * 1024 * 1024, 'x')));
  },
  '/raw/facts': (req, socket, head) => {
    const { remoteAddress, remotePort, remoteFamily, localAddress, localPort, encrypted } = socket;
    socket.write(SWITCH);
    socket.end(
      JSON.stringify({
        remoteAddress,
        remotePort,
        remoteFamily,
        localAddress,
        localPort,
        encrypted: encrypted ?? false,
        isSocket: socket instanceof require('node:net').Socket,
        isSame: req.socket === socket,
        upgrade: req.upgrade,
        headers: req.headers,
        head: head.toString(),
        tsgi: req.tsgi?.requestId,
      }),
    );
  },
  '/raw/head': (req, socket, head) => {
    socket.write(SWITCH);
    let text = head.toString();
    socket.on('data', (chunk) => (text += chunk));
    socket.on('end', () => socket.end(`heard ${text}`));
  },
  '/raw/refuse': (req, socket) => {
    socket.end(
      'HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\nWWW-Authenticate: Basic\r\n\r\nnope',
    );
  },
  '/raw/throw': () => {
    throw new Error('thrown by the listener');
  },
  '/raw/slow': (req, socket) => setTimeout(() => socket.end(SWITCH), 300),
  '/raw/silent': (req, socket) => socket.destroy(),
  '/raw/drop': (req, socket) => {
    socket.write(SWITCH + 'bye');
    socket.on('data', () => socket.destroy());
  },
};

const server = http.createServer((req, res) => {
  const { upgrade, connection } = req.headers;
  res.setHeader('Content-Type', 'application/json');
  if (req.url === '/large-head') res.setHeader('X-Large', 'x'.repeat(60_000));
  res.end(
    JSON.stringify({ pid: process.pid, open: sockets.size, closed, upgrade, connection, v: 1 }),
  );
});

const wss = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 * 1024 });
wss.on('connection', (ws) => {
  ws.on('error', () => undefined);
  ws.on('message', (data, isBinary) => {
    if (String(data) === 'pid') ws.send(String(process.pid));
    else if (String(data) === 'close') ws.close(4000, 'as you like');
    else if (String(data) === 'terminate') ws.terminate();
    else ws.send(data, { binary: isBinary });
  });
});

server.on('upgrade', (req, socket, head) => {
  sockets.add(socket);
  socket.on('error', (error) => closed.push(`error ${error.code}`));
  socket.on('close', () => {
    sockets.delete(socket);
    closed.push(`close ${req.url}`);
  });
  const handler = raw[req.url];
  if (handler) handler(req, socket, head);
  else wss.handleUpgrade(req, socket, head, (ws) => wss.emit('connection', ws, req));
});

if (process.env.SAY_GOODBYE) {
  const { tsgi } = require(process.env.SAY_GOODBYE);
  tsgi.on('drain', () => {
    for (const ws of wss.clients) ws.close(1001, 'going away');
  });
}

server.listen(3000);
