// A server that is late in every way. What its requests saw of their end is told by /seen.
'use strict';
const http = require('node:http');

const seen = [];
const number = (url, name) => Number(url.searchParams.get(name));
/** Sends the head; with ?length it says how long a body never comes whole. */
function begin(url, res) {
  if (url.searchParams.has('length')) res.setHeader('Content-Length', 100);
  res.write('begun');
}

const routes = {
  '/seen': (_url, _req, res) => res.end(seen.join(',')),
  '/limit': (_url, req, res) => res.end(String(req.tsgi.timeoutMs)),
  '/hang': (_url, req, res) => {
    seen.length = 0;
    req.tsgi.signal.addEventListener('abort', () => seen.push(req.tsgi.signal.reason.name));
    req.on('error', (error) => seen.push(`req ${error.code}`));
    req.on('close', () => seen.push('req close'));
    res.on('close', () => {
      seen.push('res close');
      res.end('too late');
    });
  },
  '/late': (url, _req, res) => setTimeout(() => res.end('late'), number(url, 'ms')),
  '/block': (url, _req, res) => {
    const end = Date.now() + number(url, 'ms');
    while (Date.now() < end);
    res.end('blocked');
  },
  '/stream': (url, _req, res) => {
    let left = number(url, 'pieces');
    res.write('first ');
    const timer = setInterval(() => {
      if (--left > 0) return res.write('more ');
      clearInterval(timer);
      res.end('last');
    }, 100);
  },
  '/upload': (_url, req, res) => {
    let bytes = 0;
    req.on('data', (chunk) => (bytes += chunk.length));
    req.on('end', () => res.end(String(bytes)));
  },
  '/unread': () => undefined,
  '/silent': (url, _req, res) => begin(url, res),
  '/destroy': (url, _req, res) => {
    begin(url, res);
    setTimeout(() => res.destroy(), 50);
  },
  '/die': (url, _req, res) => {
    begin(url, res);
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 50);
  },
};

http
  .createServer((req, res) => {
    const url = new URL(req.url, 'http://x');
    routes[url.pathname](url, req, res);
  })
  .listen(3000);
