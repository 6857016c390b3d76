// Bodies that wait for each other; /told tells what happened meanwhile.
'use strict';
const { createServer } = require('node:http');

const told = { events: [], sent: 0 };
let held;

const routes = {
  '/told': (req, res) => res.end(JSON.stringify(told)),
  '/hold': (req, res) => {
    let bytes = 0;
    req.on('data', (chunk) => (bytes += chunk.length)).on('end', () => res.end(`${bytes} bytes`));
    req.pause();
    held = req;
    told.events.push('holding');
  },
  '/release': (req, res) => {
    held.resume();
    res.end();
  },
  '/endless': (req, res) => {
    const block = Buffer.alloc(65536, 'x');
    const pump = () => {
      while (res.write(block)) told.sent += block.length;
    };
    for (const event of ['finish', 'close']) res.on(event, () => told.events.push(`res ${event}`));
    for (const event of ['aborted', 'close']) req.on(event, () => told.events.push(`req ${event}`));
    res.on('drain', pump);
    pump();
  },
  '/hints': (req, res) => {
    res.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
    res.end('with hints');
  },
  '/trailers': (req, res) => {
    res.writeHead(200, { Trailer: 'X-Sum' });
    res.write('with ');
    res.addTrailers({ 'X-Sum': '42' });
    res.end('trailers');
  },
};

createServer((req, res) => routes[req.url](req, res)).listen(3000);
