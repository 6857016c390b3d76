// (req, res). What the events of the body see, Node itself decides: see `events`.
'use strict';
const { createServer } = require('node:http');
const { AsyncLocalStorage } = require('node:async_hooks');
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
  // A promise begun here keeps this context on every Node.
  const ended = new Promise((resolve) => req.on('end', resolve));
  ended
    .then(() => finish(seen))
    .then((text) => res.end(JSON.stringify({ ...JSON.parse(text), events: events.later })));
}).listen(3000);

// A store of which nobody knows: none of the requests may hold it either.
new AsyncLocalStorage().enterWith('of the module');
