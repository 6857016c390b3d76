// Ends its own process.
'use strict';
const { createServer } = require('node:http');

const routes = {
  '/pid': (req, res) => res.end(String(process.pid)),
  '/throws': () => {
    throw new Error('uncaught, at once');
  },
  '/rejects': async () => {
    await null;
    throw new Error('uncaught, as a rejection');
  },
  '/answers-and-exits': (req, res) => {
    res.end('last words');
    process.exit(0);
  },
  '/spins': function spin() {
    while (true);
  },
};

createServer((req, res) => routes[req.url](req, res)).listen(3000);
