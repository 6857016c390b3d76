// A (req, res) app. What listeners of the request's events see is told apart: Node's versions differ there.
'use strict';
const { createServer } = require('node:http');
const { begin, block, finish, note } = require('./identity.js');

createServer((req, res) => {
  const url = new URL(req.url, 'http://x');
  if (url.pathname === '/block') {
    block(Number(url.searchParams.get('ms')));
    return res.end();
  }
  const seen = begin(url.searchParams.get('user'));
  const events = { later: [] };
  req.on('data', () => note(events));
  req.on('end', () => note(events));
  const ended = new Promise((resolve) => req.on('end', resolve));
  ended
    .then(() => finish(seen))
    .then((text) => res.end(JSON.stringify({ ...JSON.parse(text), events: events.later })));
}).listen(3000);
