// socket.io with its defaults: polling first, then a WebSocket. Knows nothing of mod_tsgi.
'use strict';
const http = require('node:http');
const { Server } = require('socket.io');

const server = http.createServer((req, res) => {
  if (req.url === '/public') res.setHeader('Cache-Control', 'public, max-age=60');
  if (req.url === '/cookie') res.setHeader('Set-Cookie', 'own=1');
  res.end(String(process.pid));
});

const io = new Server(server);
io.on('connection', (socket) => {
  socket.on('who', (answer) => answer(process.pid));
  socket.on('echo', (value, answer) => answer(value));
});

server.listen(3000);
