// How Vite's development server does hot reloading: one server for pages and for a WebSocket of the
// subprotocol vite-hmr, taken over by hand; other upgrades are somebody else's. Knows nothing of mod_tsgi.
'use strict';
const http = require('node:http');
const { WebSocketServer } = require('ws');

const TOKEN = 'a-token-of-this-server';
const wss = new WebSocketServer({ noServer: true });

const server = http.createServer((req, res) => {
  if (req.url === '/change' && req.method === 'POST') {
    const update = { type: 'update', updates: [{ type: 'js-update', path: '/src/main.js' }] };
    for (const ws of wss.clients) ws.send(JSON.stringify(update));
    res.end(String(wss.clients.size));
    return;
  }
  res.setHeader('Content-Type', 'text/html');
  res.end('<script type="module" src="/@vite/client"></script>');
});

server.on('upgrade', (req, socket, head) => {
  const protocol = req.headers['sec-websocket-protocol'];
  const { pathname, searchParams } = new URL(`http://localhost${req.url}`);
  if (!['vite-ping', 'vite-hmr'].includes(protocol) || pathname !== '/') return;
  if (protocol === 'vite-hmr' && searchParams.get('token') !== TOKEN) {
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    return;
  }
  wss.handleUpgrade(req, socket, head, (ws) => wss.emit('connection', ws, req));
});

wss.on('connection', (ws, req) => {
  if (req.headers['sec-websocket-protocol'] === 'vite-ping') return;
  ws.send(JSON.stringify({ type: 'connected' }));
  ws.on('message', (text) => {
    const message = JSON.parse(String(text));
    if (message.type === 'custom') ws.send(JSON.stringify({ ...message, event: 'answer' }));
  });
});

server.listen(5173);
