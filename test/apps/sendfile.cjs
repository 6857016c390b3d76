// Has a file sent by its server: ?path=… is the file (as encodeURI() makes it, unless &raw), &set=Name:value
// sets headers, &status=…, &body=N adds a body of N bytes that nobody is to see, &again=… names another file.
'use strict';
const http = require('node:http');
const { renameSync, symlinkSync, unlinkSync } = require('node:fs');

let swapping;

function swap(link, targets) {
  let i = 0;
  const turn = () => {
    const end = performance.now() + 2;
    while (performance.now() < end) {
      symlinkSync(targets[i++ % targets.length], `${link}.new`);
      renameSync(`${link}.new`, link);
    }
    swapping = setImmediate(turn);
  };
  turn();
}

function answer(req, res, query) {
  const path = query.get('path');
  if (query.has('informed')) res.writeEarlyHints({ link: '</x>; rel=preload', 'x-sendfile': path });
  if (path !== null) res.setHeader('X-Sendfile', query.has('raw') ? path : encodeURI(path));
  if (query.has('again')) res.setHeader('X-Sendfile', [path, query.get('again')]);
  for (const field of query.getAll('set')) {
    const colon = field.indexOf(':');
    res.appendHeader(field.slice(0, colon), field.slice(colon + 1));
  }
  res.statusCode = Number(query.get('status') ?? 200);
  if (query.has('trailer')) {
    res.setHeader('Trailer', 'X-Sendfile, X-Other');
    res.write('a body');
    res.addTrailers({ 'X-Sendfile': query.get('trailer'), 'X-Other': 'other' });
  }
  const bytes = Number(query.get('body') ?? 0);
  if (bytes === 0) return res.end();
  const block = Buffer.alloc(65536, 'hidden ');
  let left = bytes;
  const pump = () => {
    while (left > 0) {
      left -= block.length;
      if (!res.write(block)) return res.once('drain', pump);
    }
    res.end();
  };
  pump();
}

http
  .createServer((req, res) => {
    const { pathname, searchParams } = new URL(req.url, 'http://x');
    if (pathname === '/hello') return res.end('hello');
    if (pathname === '/swap') {
      swap(searchParams.get('link'), searchParams.getAll('target'));
      return res.end('swapping');
    }
    if (pathname === '/rest') {
      clearImmediate(swapping);
      try {
        unlinkSync(searchParams.get('link'));
      } catch {
        // it was never made
      }
      return res.end('resting');
    }
    answer(req, res, searchParams);
  })
  .on('upgrade', (req, socket) => {
    const path = new URL(req.url, 'http://x').searchParams.get('path');
    socket.end(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\nX-Sendfile: ${path}\r\n\r\nswitched`,
    );
  })
  .listen(3000);
