// Takes CONNECT over, as a proxy does, but echoes; knows nothing of mod_tsgi.
'use strict';
const http = require('node:http');

const server = http.createServer((req, res) => res.end('ordinary'));

server.on('connect', (req, socket, head) => {
  socket.on('error', () => undefined);
  if (req.url.startsWith('refused')) {
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    return;
  }
  socket.write('HTTP/1.1 200 Connection Established\r\nX-App: connect\r\n\r\n');
  const { method, url, headers } = req;
  const facts = { method, url, own: headers['x-own'], encrypted: socket.encrypted ?? false };
  socket.write(`${JSON.stringify(facts)}\n`);
  if (head.length > 0) socket.write(head);
  socket.pipe(socket);
});

server.listen(3000);
