'use strict';
const listen = require('../listen.js');
listen(
  require('node:http').createServer((req, res) => {
    res.setHeader('Content-Type', 'text/plain');
    res.end('Hello, world!');
  }),
);
