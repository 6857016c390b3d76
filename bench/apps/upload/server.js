'use strict';
const listen = require('../listen.js');
listen(
  require('node:http').createServer((req, res) => {
    let length = 0;
    req.on('data', (chunk) => {
      length += chunk.length;
    });
    req.on('end', () => {
      res.setHeader('Content-Type', 'text/plain');
      res.end(String(length));
    });
  }),
);
