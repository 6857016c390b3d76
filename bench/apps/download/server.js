'use strict';
const listen = require('../listen.js');
const body = Buffer.alloc(100_000, 'abcdefghij');
listen(
  require('node:http').createServer((req, res) => {
    res.setHeader('Content-Type', 'text/plain');
    res.end(body);
  }),
);
