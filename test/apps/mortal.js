// Dies in every way that a process can, as the path says.
'use strict';
const http = require('node:http');

const kept = [];
let hanging = 0;
/** Grows for ever, outside of V8's heap or in it. */
const grow = (make) => {
  kept.push(make());
  setImmediate(grow, make);
};

const ways = {
  '/exit': () => process.exit(3),
  '/throw': () => {
    throw new TypeError('nobody expects this');
  },
  '/abort': () => process.abort(),
  '/heap': () => grow(() => Array.from({ length: 10_000 }, (_, i) => ({ i }))),
  '/buffers': () => grow(() => Buffer.alloc(4 * 1024 * 1024, 1)),
  '/cut': (res) => {
    res.writeHead(200, { 'Content-Length': 100 });
    res.write('begun', () => setTimeout(() => process.exit(4), 50));
  },
  '/hang': () => void hanging++,
  '/hanging': (res) => res.end(String(hanging)),
  '/pid': (res) => res.end(String(process.pid)),
};

http.createServer((req, res) => ways[req.url](res)).listen(3000);
