import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

/** More than one read of the client's socket brings, and no multiple of one. */
const BYTES = 300_001;
const bytes = Buffer.from(Array.from({ length: BYTES }, (_, i) => (i * 13) & 0xff));
const sha256 = createHash('sha256').update(bytes).digest('hex');

const hashing = `'use strict';
const { createHash } = require('node:crypto');
module.exports = (req, res) => {
  const hash = createHash('sha256');
  req.on('data', (chunk) => hash.update(chunk));
  req.on('end', () => res.end(hash.digest('hex') + ' ' + req.url + '\\n'));
};
`;

describe('what is read ahead of a large body', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess site
TSGIScriptAlias /hash @ROOT@/apps/hashing.js process-group=site
<VirtualHost 127.0.0.1:@PORT@>
  RequestReadTimeout body=1
</VirtualHost>
`,
    });
    httpd.write('hashing.js', hashing);
    await httpd.start();
  });
  after(() => httpd.stop());

  const answers = (text: string) =>
    [...text.matchAll(/^[0-9a-f]{64} \S+$/gm)].map(([line]) => line);

  for (const [what, head, body] of [
    ['a length', `Content-Length: ${BYTES}`, bytes],
    [
      'chunks',
      'Transfer-Encoding: chunked',
      Buffer.concat([
        Buffer.from(`${(100_000).toString(16)}\r\n`),
        bytes.subarray(0, 100_000),
        Buffer.from(`\r\n${(BYTES - 100_000).toString(16)}\r\n`),
        bytes.subarray(100_000),
        Buffer.from('\r\n0\r\n\r\n'),
      ]),
    ],
  ] as const) {
    it(`is of the requests behind it: ${what}`, async () => {
      const post = (path: string) =>
        Buffer.concat([
          Buffer.from(`POST /hash${path} HTTP/1.1\r\nHost: localhost\r\n${head}\r\n\r\n`),
          body,
        ]);
      const last = 'GET /hash/3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
      const conn = await httpd.raw(Buffer.concat([post('/1'), post('/2'), Buffer.from(last)]));
      await conn.closed;
      conn.socket.destroy();
      const none = createHash('sha256').digest('hex');
      expect(answers(conn.received())).to.deep.equal([
        `${sha256} /1`,
        `${sha256} /2`,
        `${none} /3`,
      ]);
    });
  }

  it('is no way around RequestReadTimeout: who sends on by single bytes gets 408', async () => {
    httpd.log.allow('TSGI0', 'AH0');
    const more = bytes.subarray(0, BYTES - 10_000);
    const conn = await httpd.raw(
      Buffer.concat([
        Buffer.from(`POST /hash HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${BYTES}\r\n\r\n`),
        more,
      ]),
    );
    await waitFor(() => {
      conn.socket.write('x');
      return conn.received().startsWith('HTTP/1.1 408 ');
    });
    conn.socket.destroy();
  });
});
