// Large bodies both ways: an ordinary node:http app, and, when bulk-callable.cjs loads it, a TSGI callable.
// The blocks are those of test/harness/bulk.ts, each with its number, so that none can be lost or moved.
'use strict';
const { createHash } = require('node:crypto');
const http = require('node:http');

const BLOCK = 64 * 1024;

function* blocks(bytes) {
  for (let i = 0; i * BLOCK < bytes; i++) {
    yield Buffer.alloc(Math.min(BLOCK, bytes - i * BLOCK), `block ${i}\n`);
  }
}

const bytesOf = (query) => Number(new URLSearchParams(query).get('bytes'));

async function sum(stream) {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return `${bytes} ${hash.digest('hex')}`;
}

function send(res, bytes) {
  const pieces = blocks(bytes);
  const pump = () => {
    for (let next = pieces.next(); !next.done; next = pieces.next()) {
      if (!res.write(next.value)) return res.once('drain', pump);
    }
    res.end();
  };
  pump();
}

exports.blocks = blocks;
exports.sum = sum;
exports.bytesOf = bytesOf;
if (require.main === module) {
  http
    .createServer((req, res) => {
      if (req.method === 'GET') return send(res, bytesOf(req.url.split('?')[1]));
      sum(req).then(
        (text) => res.end(text),
        (error) => res.destroy(error),
      );
    })
    .listen(3000);
}
