'use strict';
const listen = require('../listen.js');
const app = require('express')();
app.use((req, res) => {
  res.type('text/plain').send('Hello, world!');
});
listen(require('node:http').createServer(app));
