// Notes every request that reaches it in a file, so that one which comes twice can be counted, and
// answers with the id that it was asked by, so that an answer to somebody else can be recognised.
'use strict';
const { appendFileSync } = require('node:fs');
const http = require('node:http');

http
  .createServer((req, res) => {
    const url = new URL(req.url, 'http://x');
    const id = url.searchParams.get('id');
    if (id !== null) appendFileSync(process.env.CHAOS_FILE, `${id}\n`); // O_APPEND: one write
    res.setHeader('X-Id', String(id));
    const wait = Number(url.searchParams.get('wait') ?? 0);
    const size = Number(url.searchParams.get('size') ?? 0);
    const chunks = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('end', () => {
      const answer = `${id} ${Buffer.concat(chunks)} ${'x'.repeat(size)}`;
      if (wait > 0) setTimeout(() => res.end(answer), wait);
      else res.end(answer);
    });
  })
  .listen(3000);
