import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { fdsOf, statusOf } from '../harness/processes.ts';
import { isSanitized } from '../harness/sanitizer.ts';
import { waitFor } from '../harness/wait.ts';

// TSGI_ABORTS makes it the long search: 10000.
const aborts = Number(process.env['TSGI_ABORTS'] ?? 300);
const ABREAST = 32;

/** Counts what begins and what ends, and serves bodies without end in both directions. */
const counting = `
const fs = require('node:fs');
const http = require('node:http');
const block = Buffer.alloc(65536, 'x');
const seen = { begun: 0, closed: 0, aborted: 0 };
const file = process.env.SEEN + '/' + process.pid;
const note = (what) => {
  seen[what]++;
  fs.writeFileSync(file + '.new', JSON.stringify(seen));
  fs.renameSync(file + '.new', file + '.json');
};
http.createServer((req, res) => {
  if (req.url.endsWith('/slow')) return setTimeout(() => res.end(String(process.pid)), 500);
  if (req.url.endsWith('/pid')) return res.end(String(process.pid));
  note('begun');
  req.on('aborted', () => note('aborted'));
  res.on('close', () => note('closed'));
  if (req.method === 'POST') { req.resume().on('end', () => res.end('whole')); return; }
  if (req.url.endsWith('/wait')) return;
  const pump = () => { while (!res.destroyed && res.write(block)); };
  res.on('drain', pump);
  pump();
}).listen(3000);
`;

interface Seen {
  readonly begun: number;
  readonly closed: number;
  readonly aborted: number;
}

const threads =
  'ServerLimit 2\nStartServers 2\nThreadLimit 256\nThreadsPerChild 256\nMaxRequestWorkers 512\nMaxSpareThreads 512\n';

describe('clients that break off', function () {
  this.timeout(60_000 + aborts * 50);
  let httpd: Httpd;
  const sockets = new Set<Socket>();
  before(async () => {
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess site processes=2 concurrency=500 env=SEEN=@ROOT@/apps
TSGIScriptAlias /site @ROOT@/apps/counting.js process-group=site
Timeout 20
RequestReadTimeout header=20 body=20
`,
      limits: threads,
      accessLog: false,
    });
    httpd.write('counting.js', counting);
    await httpd.start();
    httpd.log.allow('AH01', 'TSGI01[67]', 'AH00484');
    await waitFor(() => workers().length === 2);
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    await httpd.stop();
  });

  /** What the workers have seen, both together. */
  function sum(what: keyof Seen): number {
    const apps = join(httpd.dir, 'apps');
    return readdirSync(apps)
      .filter((name) => name.endsWith('.json'))
      .map((name) => JSON.parse(readFileSync(join(apps, name), 'utf8')) as Seen)
      .reduce((total, seen) => total + seen[what], 0);
  }

  const rss = (pid: number) => Number.parseInt(statusOf(pid)['VmRSS'] ?? '0', 10) / 1024; // MiB
  const workers = () => httpd.processes(/^tsgi: worker site\//).map(({ pid }) => pid);
  const state = () =>
    [...workers(), ...httpd.children()].map((pid) => ({
      pid,
      fds: Object.keys(fdsOf(pid)).length,
      mib: rss(pid),
    }));

  /** A connection that has sent this; what comes is read or not. */
  async function open(bytes: string, reads: boolean): Promise<Socket> {
    const socket = connect({ host: '127.0.0.1', port: httpd.port });
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    if (reads) socket.resume();
    else socket.pause();
    await once(socket, 'connect');
    socket.write(bytes);
    return socket;
  }
  const host = 'Host: localhost\r\n';
  const kinds = [
    `GET /site/endless HTTP/1.1\r\n${host}\r\n`,
    `POST /site/up HTTP/1.1\r\n${host}Content-Length: 10000000\r\n\r\n${'x'.repeat(50_000)}`,
    `POST /site/up HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
    `GET /site/wait HTTP/1.1\r\n${host}\r\n`,
  ];

  /** So many requests, all of them broken off after the app has begun with them. */
  async function breakOff(count: number): Promise<void> {
    for (let done = 0; done < count; done += ABREAST) {
      const begun = sum('begun');
      const batch = await Promise.all(
        Array.from({ length: Math.min(ABREAST, count - done) }, (_, i) =>
          open(kinds[i % kinds.length] ?? '', i % 8 < 4),
        ),
      );
      await waitFor(() => sum('begun') === begun + batch.length, {
        what: 'the requests in the apps',
      });
      batch.forEach((socket, i) => (i % 2 === 0 ? socket.resetAndDestroy() : socket.destroy()));
      const since = performance.now();
      await waitFor(() => sum('closed') === begun + batch.length, {
        what: 'the close of each request',
      });
      slowest = Math.max(slowest, performance.now() - since);
    }
  }
  let slowest = 0;

  it('are noticed by the app, each of them, and leave no descriptor, place or memory behind', async () => {
    await breakOff(64); // pools, buffers and heaps are as large as they get
    slowest = 0;
    const before = state();
    await breakOff(aborts);
    expect(slowest).to.be.below(3000); // 1 s on a machine that has nothing else to do
    // Uploads that were cut off, and requests that nobody waits for any more.
    expect(sum('aborted')).to.be.at.least((aborts * 3) / 4);
    await waitFor(() => state().every(({ fds }, i) => fds <= (before[i]?.fds ?? 0) + 2 * ABREAST), {
      what: 'the end of descriptors',
    });
    for (const [i, { pid, mib }] of state().entries()) {
      expect(pid).to.equal(before[i]?.pid);
      if (!isSanitized) expect(mib).to.be.below((before[i]?.mib ?? 0) + 48);
    }
  });

  it('leave the load counters at nothing: both workers get their half of what comes', async () => {
    // A worker that greets late, on a busy machine, is passed by for a while; a counter that is off is so for ever.
    await waitFor(
      async () => {
        const asked = Array.from({ length: 60 }, () => httpd.ask('/site/slow'));
        const pids = (await Promise.all(asked)).map(({ body }) => body);
        const ofOne = pids.filter((pid) => pid === pids[0]).length;
        return ofOne >= 20 && ofOne <= 40;
      },
      { what: 'an even share for both workers', timeoutMs: 20_000 },
    );
  });

  it('or never end their head take no place in a worker, and others are served', async () => {
    const begun = sum('begun');
    const slow = await Promise.all(
      Array.from({ length: 200 }, () => open(`GET /site/wait HTTP/1.1\r\n${host}X-Slow: `, true)),
    );
    for (let i = 0; i < 40; i++) expect((await httpd.ask('/site/pid')).status).to.equal(200);
    expect(sum('begun')).to.equal(begun);
    for (const socket of slow) socket.destroy();
  });

  it('or read nothing, or send their body byte by byte, take bounded memory', async () => {
    const begun = sum('begun');
    const before = state();
    const slow = await Promise.all(
      Array.from({ length: 200 }, (_, i) => open(kinds[i % 2 === 0 ? 0 : 2] ?? '', i % 2 === 1)),
    );
    await waitFor(() => sum('begun') === begun + slow.length);
    for (let i = 0; i < 40; i++) expect((await httpd.ask('/site/pid')).status).to.equal(200);
    // 100 readers that stop: what the kernel holds does not count, the rest is some buffers each.
    const grown = state().reduce((total, { mib }, i) => total + mib - (before[i]?.mib ?? 0), 0);
    if (!isSanitized) expect(grown).to.be.below(100);
    for (const socket of slow) socket.destroy();
    await waitFor(() => sum('closed') === begun + slow.length);
  });
});

/** Writes a RESPONSE frame to the connection of its request, byte by byte, for ever. */
const dripping = `
const fs = require('node:fs');
const http = require('node:http');
const sockets = () => fs.readdirSync('/proc/self/fd').map(Number).filter((fd) => {
  try { return fd > 4 && fs.readlinkSync('/proc/self/fd/' + fd).startsWith('socket:'); } catch { return false; }
});
http.createServer((req, res) => {
  if (req.url.endsWith('/body')) {
    let left = 15;
    const timer = setInterval(() => { if (--left === 0) { clearInterval(timer); res.end('last'); } else res.write('.'); }, 200);
    return;
  }
  const fds = sockets();
  const say = (bytes) => { for (const fd of fds) try { fs.writeSync(fd, bytes); } catch {} };
  say(Buffer.from([0, 1, 0, 0, 0x45, 0, 0, 0])); // 256 bytes are to come
  const timer = setInterval(() => say(Buffer.from([0])), 200);
  req.on('close', () => clearInterval(timer));
}).listen(3000);
`;

describe('a worker that drips', function () {
  this.timeout(30_000);
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({
      config:
        'TSGIDaemonProcess site socket-timeout=1s\nTSGIScriptAlias / @ROOT@/apps/dripping.js process-group=site\n',
      limits:
        'StartServers 1\nServerLimit 1\nThreadsPerChild 4\nThreadLimit 4\nMaxRequestWorkers 4\n',
    });
    httpd.write('dripping.js', dripping);
    await httpd.start();
    httpd.log.allow('TSGI01');
  });
  after(() => httpd.stop());

  it('(bytes of a body) is an event stream, and nobody minds', async () => {
    const answer = await httpd.ask('/body');
    expect([answer.status, answer.body, answer.complete]).to.deep.equal([
      200,
      `${'.'.repeat(14)}last`,
      true,
    ]);
  });

  it('(bytes of a frame) is a 504 after socket-timeout, as if it said nothing', async () => {
    const since = performance.now();
    const { status } = await httpd.ask('/frame');
    expect(status).to.equal(504);
    expect(performance.now() - since).to.be.within(900, 6000);
  });
});
