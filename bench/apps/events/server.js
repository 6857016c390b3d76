'use strict';
const listen = require('../listen.js');
const clients = require('./ticker.js');
listen(
  require('node:http').createServer((req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });
    res.flushHeaders();
    const send = (event) => res.write(event);
    clients.add(send);
    res.on('close', () => clients.delete(send));
  }),
);
