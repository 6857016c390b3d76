// As in the tutorial of socket.io: Express, and a client that polls first and upgrades then.
const { createServer } = require('node:http');
const express = require('express');
const { Server } = require('socket.io');

const app = express();
const server = createServer(app);
/** Where it is mounted, if not at the root. */
const base = process.env.BASE_PATH ?? '';
const io = new Server(server, { path: `${base}/socket.io/` });

app.get(base || '/', (req, res) => {
  res.send(`<!doctype html>
<h1>Hello from socket.io</h1>
<script src="${base}/socket.io/socket.io.js"></script>`);
});

io.on('connection', (socket) => {
  socket.on('echo', (message, answer) => answer(message, socket.conn.transport.name));
});

server.listen(process.env.PORT || 3000, () => {
  console.log('server running');
});
