// Answers that are legal but unusual, each at its own path.
'use strict';
const http = require('node:http');

const routes = {
  '/echo': (req, res) => {
    let body = '';
    req.on('data', (chunk) => (body += chunk));
    req.on('end', () => res.end(`${req.method} ${req.url} ${body}`));
  },
  '/unread': (req, res) => res.end('unread'),
  '/length': (req, res) => {
    res.setHeader('Content-Length', '5');
    res.end('hello');
  },
  '/204': (req, res) => {
    res.statusCode = 204;
    res.write('no ');
    res.end('body');
  },
  '/304': (req, res) => {
    res.statusCode = 304;
    res.setHeader('ETag', '"1"');
    res.end('no body');
  },
  '/hints': (req, res) => {
    res.writeEarlyHints({ link: '</style.css>; rel=preload' });
    res.writeProcessing();
    res.end('hints');
  },
  '/cookies': (req, res) => {
    res.setHeader(
      'Set-Cookie',
      Array.from({ length: 50 }, (_, i) => `c${i}=v`),
    );
    res.end();
  },
  '/headers': (req, res, query) => {
    for (let i = 0; i < Number(query.get('count')); i++) res.setHeader(`X-H${i}`, `v${i}`);
    res.setHeader('X-Long', 'v'.repeat(Number(query.get('long'))));
    res.end('headers');
  },
};

http
  .createServer((req, res) => {
    const { pathname, searchParams } = new URL(req.url, 'http://x');
    routes[pathname](req, res, searchParams);
  })
  .listen(3000);
