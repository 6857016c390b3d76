// Streams that end in unusual ways.
'use strict';
const http = require('node:http');

let open = 0;
const routes = {
  '/open': (req, res) => res.end(String(open)),
  '/hang': (req, res) => {
    open++;
    res.on('close', () => open--);
  },
  '/die': (req, res) => {
    res.write('begun');
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 100);
  },
};

http.createServer((req, res) => routes[req.url](req, res)).listen(3000);
