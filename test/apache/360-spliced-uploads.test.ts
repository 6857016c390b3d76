/** Uploads whose bytes go from the client's socket to the worker's without passing through Apache's memory. */
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { Httpd, type HttpdOptions } from '../harness/httpd.ts';
import { Splices, type Fault } from '../harness/splices.ts';
import { waitFor } from '../harness/wait.ts';

/** What is read with the head, or before the app has begun, is copied: no more than this. */
const COPIED = 17_000;
const MIB = 1024 * 1024;

const app = `'use strict';
const { createHash } = require('node:crypto');
const { existsSync } = require('node:fs');
const go = require('node:path').join(__dirname, 'go');
const hashed = (req, res) => {
  const hash = createHash('sha256');
  const pieces = [];
  let length = 0;
  req.on('data', (chunk) => { hash.update(chunk); length += chunk.length; pieces.push(chunk.length); });
  req.on('end', () => {
    res.setHeader('X-Pieces', pieces[0] + ' ' + Math.max(...pieces));
    res.end(length + ' ' + hash.digest('hex') + '\\n');
  });
};
const ways = {
  '/hash': hashed,
  '/pid': (req, res) => res.end(String(process.pid)),
  '/early': (req, res) => res.writeHead(422).end('enough\\n'),
  '/die': (req) => {
    let length = 0;
    req.on('data', (chunk) => { if ((length += chunk.length) > 300000) process.kill(process.pid, 'SIGKILL'); });
  },
  '/late': (req, res) => {
    const timer = setInterval(() => {
      if (!existsSync(go)) return;
      clearInterval(timer);
      hashed(req, res);
    }, 10);
  },
};
module.exports = (req, res) => ways[req.url](req, res);
`;

const config = `
TSGIDaemonProcess site
TSGIScriptAlias /limited @ROOT@/apps/app.js process-group=site
TSGIScriptAlias /unpacked @ROOT@/apps/app.js process-group=site
TSGIScriptAlias / @ROOT@/apps/app.js process-group=site
<Location /limited>
  LimitRequestBody 1000000
</Location>
<Location /unpacked>
  SetInputFilter DEFLATE
</Location>
`;

const sum = (body: Uint8Array) =>
  `${String(body.length)} ${createHash('sha256').update(body).digest('hex')}\n`;

const head = (path: string, length: number) =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${String(length)}\r\n\r\n`;

const last = 'GET /pid HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';

describe('spliced uploads', () => {
  let splices: Splices;
  let httpd: Httpd;

  const start = async (options: Partial<HttpdOptions> = {}) => {
    const server = await Httpd.prepare({
      config,
      environment: splices.environment,
      ...options,
    });
    server.write('app.js', app);
    await server.start();
    return server;
  };
  const upload = async (server: Httpd, body: Uint8Array, path = '/hash') => {
    splices.forget();
    const answer = await server.ask(path, { method: 'POST', body });
    return { ...answer, in: splices.bytes('in'), out: splices.bytes('out') };
  };
  /** Descriptors of pipes that Apache's children have. */
  const pipes = () =>
    httpd
      .children()
      .flatMap((pid) => readdirSync(`/proc/${String(pid)}/fd`).map((fd) => [pid, fd] as const))
      .filter(([pid, fd]) => {
        try {
          return readlinkSync(`/proc/${String(pid)}/fd/${fd}`).startsWith('pipe:');
        } catch {
          return false; // closed meanwhile
        }
      }).length;

  before(async () => {
    splices = new Splices();
    httpd = await start();
    await httpd.ask('/pid');
  });
  after(async () => {
    await httpd.stop();
    splices.remove();
  });

  for (const size of [131_072, 262_151, MIB, 5_000_003]) {
    it(`arrive byte for byte: ${String(size)} bytes`, async () => {
      const body = randomBytes(size);
      const before = pipes();
      const answer = await upload(httpd, body);
      expect(answer.body).to.equal(sum(body));
      expect(answer.in)
        .to.equal(answer.out)
        .and.be.within(size - COPIED, size);
      await waitFor(() => pipes() <= before, { what: 'the end of its pipe' });
    });
  }

  it('that are small are not', async () => {
    const body = randomBytes(100_000);
    const answer = await upload(httpd, body);
    expect([answer.body, answer.in]).to.deep.equal([sum(body), 0]);
  });

  it('that come by little pieces arrive as well', async () => {
    const body = randomBytes(700_001);
    const conn = await httpd.raw(head('/hash', body.length));
    for (let at = 0; at < body.length; at += 10_007) {
      conn.socket.write(body.subarray(at, at + 10_007));
      await new Promise(setImmediate);
    }
    conn.socket.write(last);
    await conn.closed;
    conn.socket.destroy();
    expect(conn.received()).to.include(sum(body));
    expect(conn.received().match(/^HTTP\/1\.1 200 /gm)).to.have.length(2);
  });

  it('take nothing of the request behind them', async () => {
    const bodies = [300_001, 131_072, 2 * MIB + 1].map((size) => randomBytes(size));
    splices.forget();
    const conn = await httpd.raw(
      Buffer.concat([
        ...bodies.flatMap((body) => [Buffer.from(head('/hash', body.length)), body]),
        Buffer.from(last),
      ]),
    );
    await conn.closed;
    conn.socket.destroy();
    const answers = conn.received().match(/^\d+ [0-9a-f]{64}\n/gm);
    expect(answers).to.deep.equal(bodies.map(sum));
    expect(conn.received()).to.match(/\r\n\r\n\d+$/);
    expect(splices.bytes('in')).to.be.greaterThan(2 * MIB);
  });

  it('begin with their first byte where the client waits for 100 Continue', async () => {
    const body = randomBytes(MIB + 1);
    splices.forget();
    const conn = await httpd.raw(
      head('/hash', body.length).replace('\r\n\r\n', '\r\nExpect: 100-continue\r\n\r\n'),
    );
    await waitFor(() => conn.received().startsWith('HTTP/1.1 100 '));
    conn.socket.write(body);
    await waitFor(() => conn.received().includes(sum(body)), { what: 'the answer' });
    conn.socket.destroy();
    expect([splices.bytes('in'), splices.bytes('out')]).to.deep.equal([body.length, body.length]);
  });

  it('that an app answers early leave the connection to the next request', async () => {
    const body = randomBytes(5 * MIB);
    const conn = await httpd.raw(Buffer.concat([Buffer.from(head('/early', body.length)), body]));
    await waitFor(() => conn.received().includes('enough'));
    conn.socket.write(last);
    await conn.closed;
    conn.socket.destroy();
    expect(conn.received()).to.match(/^HTTP\/1\.1 422 [^]*HTTP\/1\.1 200 [^]*\r\n\r\n\d+$/);
  });

  it('wait for an app that does not read; then it gets large pieces', async () => {
    const body = randomBytes(16 * MIB);
    splices.forget();
    const conn = await httpd.raw(Buffer.concat([Buffer.from(head('/late', body.length)), body]));
    await waitFor(() => splices.bytes('out') > 0 && conn.socket.writableLength > 0, {
      what: 'a client that is held up',
    });
    writeFileSync(join(httpd.dir, 'apps', 'go'), '');
    await waitFor(() => conn.received().endsWith('\n'), { what: 'the answer' });
    conn.socket.destroy();
    expect(conn.received()).to.include(sum(body));
    expect(splices.bytes('in')).to.equal(splices.bytes('out'));
    const [first, largest] =
      /X-Pieces: (\d+) (\d+)/.exec(conn.received())?.slice(1).map(Number) ?? [];
    expect(first).to.be.at.most(65_536);
    expect(largest).to.be.within(65_537, 262_144);
  });

  it('in whose midst the worker dies are a 502, and the connection serves the next request', async () => {
    httpd.log.allow('TSGI0', 'AH0');
    const pid = (await httpd.ask('/pid')).body;
    const body = randomBytes(3 * MIB);
    const conn = await httpd.raw(Buffer.concat([Buffer.from(head('/die', body.length)), body]));
    await waitFor(() => conn.received().startsWith('HTTP/1.1 502 '));
    conn.socket.write(last);
    await conn.closed;
    conn.socket.destroy();
    const next = /HTTP\/1\.1 200 [^]*\r\n\r\n(\d+)$/.exec(conn.received())?.[1];
    expect(next).to.match(/^\d+$/).and.not.equal(pid);
  });

  it('whose client leaves in the midst leave nothing behind', async () => {
    httpd.log.allow('TSGI0', 'AH0');
    const before = pipes();
    splices.forget();
    const conn = await httpd.raw(
      Buffer.concat([Buffer.from(head('/hash', MIB)), randomBytes(MIB / 2)]),
    );
    await waitFor(() => splices.bytes('out') > 0);
    conn.socket.resetAndDestroy();
    await waitFor(() => pipes() <= before, { what: 'the end of its pipe' });
    const body = randomBytes(MIB);
    expect((await upload(httpd, body)).body).to.equal(sum(body));
  });

  it('keep LimitRequestBody', async () => {
    httpd.log.allow('TSGI0', 'AH0');
    const { status, in: spliced } = await upload(httpd, randomBytes(1_000_001), '/limited/hash');
    expect([status, spliced]).to.deep.equal([413, 0]);
  });

  it('are none where a filter unpacks the body', async () => {
    const body = Buffer.alloc(3 * MIB, randomBytes(300_000));
    const packed = gzipSync(body);
    expect(packed.length).to.be.greaterThan(200_000);
    splices.forget();
    const answer = await httpd.ask('/unpacked/hash', {
      method: 'POST',
      body: packed,
      headers: { 'Content-Encoding': 'gzip' },
    });
    expect([answer.body, splices.bytes('in')]).to.deep.equal([sum(body), 0]);
  });

  const faults: readonly (readonly [Fault, string, RegExp])[] = [
    ['refuse-pipe', 'there is no pipe to be had', /^0 0$/],
    ['refuse-in', 'the client’s socket cannot be spliced', /^0 0$/],
    ['refuse-out', 'the worker’s socket cannot be spliced', /^[1-9]\d* 0$/],
  ];
  for (const [fault, what, expected] of faults) {
    it(`are copied where ${what}`, async () => {
      const body = randomBytes(2 * MIB + 3);
      const answer = await splices.during(fault, () => upload(httpd, body));
      expect(answer.body).to.equal(sum(body));
      expect(`${String(answer.in)} ${String(answer.out)}`).to.match(expected);
    });
  }

  it('go on where the worker takes little at a time', async () => {
    const body = randomBytes(2 * MIB + 3);
    const answer = await splices.during('little-out', () => upload(httpd, body));
    expect(answer.body).to.equal(sum(body));
    expect(answer.in)
      .to.equal(answer.out)
      .and.be.greaterThan(2 * MIB - COPIED);
  });

  for (const mpm of ['worker', 'prefork'] as const) {
    it(`are spliced under the MPM ${mpm}`, async () => {
      const server = await start({ mpm });
      try {
        const body = randomBytes(MIB + 1);
        const answer = await upload(server, body);
        expect(answer.body).to.equal(sum(body));
        expect(answer.in)
          .to.equal(answer.out)
          .and.be.greaterThan(MIB - COPIED);
      } finally {
        await server.stop();
      }
    });
  }

  it('are none where a filter of the connection looks at the bytes', async () => {
    const server = await start({
      modules: ['dumpio'],
      config: `${config}\nDumpIOInput On\nLogLevel dumpio:trace7\n`,
    });
    try {
      const body = randomBytes(MIB + 1);
      const answer = await upload(server, body);
      expect([answer.body, answer.in]).to.deep.equal([sum(body), 0]);
    } finally {
      await server.stop();
    }
  });
});
