// Shows what an app sees of its URL: an ordinary node:http app, with a raw 'upgrade' listener.
'use strict';
const http = require('node:http');

const seen = (req) =>
  JSON.stringify({
    url: req.url,
    originalUrl: req.originalUrl,
    baseUrl: req.baseUrl,
    scriptName: req.tsgi.scriptName,
    pathInfo: req.tsgi.pathInfo,
    uri: req.tsgi.uri,
    entry: require.main?.filename,
  });

http
  .createServer((req, res) => res.end(seen(req)))
  .on('upgrade', (req, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\n');
    socket.end(seen(req));
  })
  .listen(3000);
