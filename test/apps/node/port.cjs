// Tells what it takes for its own port; below /self it asks itself there, as who has come that far.
'use strict';
const http = require('node:http');

const { LISTEN = '0', FURTHER, PORT } = process.env;
const choose = (port) => (port === 'PORT' ? PORT : port);

async function answer({ baseUrl, originalUrl }) {
  if (originalUrl.endsWith('/self')) {
    const url = `http://localhost:${server.address().port}${baseUrl ?? ''}/told`;
    return (await fetch(url)).text();
  }
  return JSON.stringify({ pid: process.pid, env: PORT, address: server.address().port, originalUrl });
}

const server = http.createServer((req, res) => {
  answer(req).then(
    (text) => res.end(text),
    (error) => res.writeHead(500).end(String(error.cause ?? error)),
  );
});
server.listen(choose(LISTEN));
if (FURTHER) http.createServer((req, res) => res.end('further')).listen(choose(FURTHER));
