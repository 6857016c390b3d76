// Answers /now at once. Other requests wait before a gate, which is open while somebody is connected to
// the socket GATE: so a test decides how long an app hangs. With BOOT it does not load before that file is there.
'use strict';
const { existsSync } = require('node:fs');
const http = require('node:http');
const net = require('node:net');

const clock = new Int32Array(new SharedArrayBuffer(4));
while (process.env.BOOT && !existsSync(process.env.BOOT)) Atomics.wait(clock, 0, 0, 20);

const waiting = new Set();
const openers = new Set();

net
  .createServer((socket) => {
    const shut = () => openers.delete(socket);
    openers.add(socket);
    socket.on('error', shut).on('end', shut).on('close', shut).resume();
    for (const res of waiting) res.end('late');
    socket.write('open');
  })
  .listen(process.env.GATE);

http
  .createServer((req, res) => {
    if (openers.size > 0 || req.url.endsWith('/now')) return void res.end('now');
    if (req.url.endsWith('/outer')) {
      res.setHeader('Content-Type', 'text/html');
      return void res.end('outer <!--#include virtual="now" -->');
    }
    waiting.add(res);
    res.on('close', () => waiting.delete(res));
  })
  .listen(3000);
