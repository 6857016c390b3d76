// Event streams that go on when another request says so: a node:http app, and exports for
// events-callable.cjs and events-fetch.mjs. Nothing is sent by a timer, so that what a client has got
// before `/go` has not been waited for.
'use strict';
const http = require('node:http');

const waiting = new Map();

/** Resolves when somebody asks for /go?id=…. */
const told = (id) => new Promise((resolve) => waiting.set(id, resolve));

function go(id) {
  waiting.get(id)?.();
  return waiting.delete(id) ? 'gone on' : 'nobody waits';
}

async function* events(id) {
  yield 'data: first\n\n';
  await told(id);
  yield 'data: second\n\n';
  await told(id);
}

exports.go = go;
exports.events = events;
if (require.main === module) {
  http
    .createServer(async (req, res) => {
      const { pathname, searchParams } = new URL(req.url, 'http://x');
      const id = searchParams.get('id');
      if (pathname === '/go') return res.end(go(id));
      res.setHeader('Content-Type', searchParams.get('type') ?? 'text/event-stream');
      res.flushHeaders();
      if (searchParams.has('head')) await told(id);
      for await (const event of events(id)) res.write(event);
      res.end();
    })
    .listen(3000);
}
