// One file, two lives: `node index.js` listens for itself; under Apache the same file only
// exports its handler, and mod_tsgi calls it. /hello/<name> greets.
'use strict';
const http = require('node:http');

function greet(req, res) {
  const { pathname } = new URL(req.url, 'http://localhost');
  const match = /^\/hello\/([^/]+)$/.exec(pathname);
  res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  if (!match) {
    res.statusCode = 404;
    res.end('Try /hello/<name>\n');
    return;
  }
  try {
    res.end(`Hello, ${decodeURIComponent(match[1])}!\n`);
  } catch {
    // %zz and the like are no valid escapes.
    res.statusCode = 400;
    res.end('That is no name\n');
  }
}

if (require.main === module && process.env.TSGI_HOSTED !== '1') {
  const port = Number(process.env.PORT ?? 3000);
  http.createServer(greet).listen(port, '127.0.0.1', () => {
    console.log(`http://127.0.0.1:${port}/hello/world`);
  });
} else {
  module.exports = greet;
}
