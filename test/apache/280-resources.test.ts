import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Answer } from '../harness/client.ts';
import { Httpd, ordinary } from '../harness/httpd.ts';
import { isRoot, nodeInUse } from '../harness/place.ts';
import { fdsOf, processOf } from '../harness/processes.ts';
import { isSanitized } from '../harness/sanitizer.ts';
import { waitFor } from '../harness/wait.ts';

/** Takes what descriptors there are, gives them back after two seconds, and answers. */
const hungry = `
const fs = require('node:fs');
const http = require('node:http');
let held = [];
http.createServer((req, res) => {
  const url = new URL(req.url, 'http://x');
  if (url.pathname === '/take') {
    setTimeout(() => { held.forEach((fd) => fs.closeSync(fd)); held = []; console.log('given back'); }, 2000);
    try { for (;;) held.push(fs.openSync('/dev/null')); } catch (error) { return res.end(error.code); }
  }
  if (url.pathname === '/slow') return setTimeout(() => res.end('slow'), 300);
  res.end('fine');
}).listen(3000);
`;

/** Tells what time it is for it, and waits. */
const clockwork = `
require('node:http').createServer((req, res) => {
  const url = new URL(req.url, 'http://x');
  if (url.pathname === '/clock') return res.end(new Date().toISOString());
  setTimeout(() => res.end('waited'), Number(url.searchParams.get('ms')));
}).listen(3000);
`;

/** Sets the soft limit of open files of a running process to what it has open now, and so many more. */
function limitFiles(pid: number, more: number): void {
  const open = Math.max(...readdirSync(`/proc/${String(pid)}/fd`).map(Number)) + 1;
  setSoftLimit(pid, open + more);
}
function setSoftLimit(pid: number, files: number): void {
  const user = isRoot ? { uid: ordinary.uid, gid: ordinary.gid } : {};
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${String(files)}:`], user);
}

/** Processor time of a process so far, in ms. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Processor time that a process uses in a second of doing nothing but what is asked of it. */
async function cpuInASecond(pid: number): Promise<number> {
  const before = cpuOf(pid);
  const since = performance.now();
  await waitFor(() => performance.now() - since >= 1000);
  return ((cpuOf(pid) - before) / (performance.now() - since)) * 1000;
}

const statuses = (answers: readonly Answer[]) =>
  answers.reduce<Record<number, number>>(
    (count, { status }) => ({ ...count, [status]: (count[status] ?? 0) + 1 }),
    {},
  );

describe('descriptors that run out', function () {
  this.timeout(60_000);
  let httpd: Httpd;
  const pidOf = (title: RegExp) => httpd.processes(title)[0]?.pid ?? expect.fail('nobody there');
  const worker = () => pidOf(/^tsgi: worker site\//);

  before(async () => {
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess site limit-files=64 concurrency=50 queue-timeout=3 apache-threads=48
TSGIDaemonProcess broken queue-timeout=3
TSGIScriptAlias /site @ROOT@/apps/hungry.js process-group=site
TSGIScriptAlias /broken @ROOT@/apps/broken.js process-group=broken
`,
    });
    httpd.write('hungry.js', hungry);
    httpd.write('broken.js', 'throw new Error("broken on purpose");');
    await httpd.start();
    await httpd.ask('/site/x');
    httpd.log.allow('TSGI0(794|54|50[4-9]|607|1[5-8])', 'broken', /AH0[04]/, /AH03490/, /\(24\)/);
  });
  after(() => httpd.stop());

  /** So many requests at once, on connections of their own; those that Apache does not even accept count as 0. */
  const many = (count: number, path: string) =>
    Promise.all(
      Array.from({ length: count }, () =>
        httpd.ask(path, { timeout: 20_000 }).catch(() => ({ status: 0 }) as Answer),
      ),
    );

  it('in a worker, taken by its app: others get 503, nothing spins, and all is well a second after', async () => {
    const pid = worker();
    expect((await httpd.ask('/site/take')).body).to.equal('EMFILE');
    const asked = many(40, '/site/slow');
    expect(await cpuInASecond(pid)).to.be.below(300);
    await waitFor(() => httpd.log.matching(/given back/).length > 0);
    const back = performance.now();
    expect(statuses(await many(20, '/site/x'))).to.deep.equal({ 200: 20 });
    expect(performance.now() - back).to.be.below(3000);
    for (const { status } of await asked) expect(status).to.be.oneOf([200, 503]);
    expect(httpd.log.matching(/TSGI0794: .*accept.*raise the limit/)).to.have.length(1);
    expect(worker()).to.equal(pid);
  });

  it('in a worker, held by idle connections of one Apache child: they make room for the others', async () => {
    await httpd.graceful();
    const pid = worker();
    // Room for some at a time: with fewer, the last of 45 waits longer than queue-timeout.
    limitFiles(pid, 8);
    for (let i = 0; i < 5; i++)
      expect(statuses(await many(45, '/site/x'))).to.deep.equal({ 200: 45 });
    setSoftLimit(pid, 64);
  });

  it('in a worker, taken by strangers that say nothing: they do not keep Apache out', async () => {
    await httpd.graceful();
    const pid = worker();
    limitFiles(pid, 20);
    const child = await waitFor(() => httpd.children()[0]);
    const [fd = 'none'] =
      Object.entries(fdsOf(child)).find(([, target]) => target.includes('/run/tsgi.')) ?? [];
    const silent: Socket[] = [];
    try {
      for (let i = 0; i < 100; i++) {
        const socket = connect({ path: `/proc/${String(child)}/fd/${fd}` });
        socket.on('error', () => undefined); // refused or reset, as it happens
        silent.push(socket);
      }
      await Promise.all(silent.map((socket) => once(socket, 'connect').catch(() => undefined)));
      expect(statuses(await many(30, '/site/x'))).to.deep.equal({ 200: 30 });
    } finally {
      for (const socket of silent) socket.destroy();
      setSoftLimit(pid, 64);
    }
  });

  it('in an Apache child: 503 with an id, no crash, and all is well when there are some again', async () => {
    const children = httpd.children();
    for (const pid of children) limitFiles(pid, 3);
    const answers = await many(60, '/site/slow');
    // One that cannot even accept ends itself, in order: that is httpd's own way.
    for (const pid of children) if (processOf(pid)) setSoftLimit(pid, 1024);
    expect(httpd.log.matching(/AH00052|AH00051/), 'a child that crashed').to.deep.equal([]);
    for (const { status } of answers) expect(status).to.be.oneOf([200, 503, 0]);
    const back = performance.now();
    expect(statuses(await many(30, '/site/x'))).to.deep.equal({ 200: 30 });
    expect(performance.now() - back).to.be.below(3000);
  });

  it('in the supervisor: it lives, does not spin, and starts workers when there are some again', async () => {
    const supervisor = pidOf(/^tsgi: supervisor site$/);
    limitFiles(supervisor, 1);
    process.kill(worker(), 'SIGKILL');
    await waitFor(() => httpd.log.matching(/TSGI0504.*EMFILE/).length > 0, { what: 'TSGI0504' });
    expect(await cpuInASecond(supervisor)).to.be.below(300);
    setSoftLimit(supervisor, 64);
    await waitFor(() => httpd.processes(/^tsgi: worker site\//).length === 1, {
      what: 'a worker',
      timeoutMs: 35_000,
    });
    // After failed starts requests are refused until a worker is ready.
    await waitFor(async () => (await httpd.ask('/site/x')).status === 200);
    expect(pidOf(/^tsgi: supervisor site$/)).to.equal(supervisor);
  });

  it('in the supervisor, while it refuses connections for a broken app: it lives and does not spin', async () => {
    await waitFor(async () => (await httpd.ask('/broken')).status === 503);
    const supervisor = pidOf(/^tsgi: supervisor broken$/);
    limitFiles(supervisor, 0);
    const asked = many(5, '/broken');
    const cpu = await cpuInASecond(supervisor);
    expect(statuses(await asked)).to.deep.equal({ 503: 5 });
    expect(pidOf(/^tsgi: supervisor broken$/)).to.equal(supervisor);
    expect(cpu).to.be.below(300);
    setSoftLimit(supervisor, 1024);
    await waitFor(async () => (await httpd.ask('/broken')).status === 503);
    expect(pidOf(/^tsgi: supervisor broken$/)).to.equal(supervisor);
    expect(httpd.log.matching(/TSGI0500/)).to.deep.equal([]);
  });
});

describe('the runtime directory', () => {
  let httpd: Httpd;
  const directory = () => join(httpd.dir, 'sockets');
  before(async () => {
    httpd = await Httpd.start({
      config:
        'TSGIRuntimeDir @ROOT@/sockets\nTSGIDaemonProcess site\n' +
        'TSGIScriptAlias / @APPS@/callable.js process-group=site\n',
    });
    await httpd.ask('/x');
  });
  after(() => httpd.stop());

  /** The names that sockets of Apache had, as its children still see them. */
  const names = () => {
    const child = httpd.children()[0] ?? 0;
    return Object.values(fdsOf(child))
      .filter((target) => target.includes('/sockets/tsgi.'))
      .map((target) => target.replace(/ \(deleted\)$/, ''));
  };

  it('may be taken by somebody who listens under the names of our sockets: he is never spoken to', async () => {
    let visitors = 0;
    const paths = names();
    expect(paths).to.not.deep.equal([]);
    const hostile = await Promise.all(
      paths.map(async (path) => {
        const server = createServer(() => visitors++);
        await once(server.listen(path), 'listening');
        return server;
      }),
    );
    try {
      const [worker] = httpd.processes(/^tsgi: worker/);
      process.kill(worker?.pid ?? 0, 'SIGKILL');
      httpd.log.allow('TSGI0507');
      for (let i = 0; i < 20; i++) expect((await httpd.ask('/x')).status).to.equal(200);
      await httpd.graceful();
      expect((await httpd.ask('/x')).status).to.equal(200);
    } finally {
      for (const server of hostile) server.close();
    }
    expect(visitors).to.equal(0);
  });

  it('may be emptied, deleted, or replaced by a symbolic link: nothing notices', async () => {
    for (const path of names()) writeFileSync(path, 'no socket');
    expect((await httpd.ask('/x')).status).to.equal(200);
    rmSync(directory(), { recursive: true });
    expect((await httpd.ask('/x')).status).to.equal(200);
    await httpd.graceful();
    expect((await httpd.ask('/x')).status).to.equal(200);
    rmSync(directory(), { recursive: true, force: true });
    symlinkSync('/nowhere', directory());
    const [worker] = httpd.processes(/^tsgi: worker/);
    process.kill(worker?.pid ?? 0, 'SIGKILL');
    await waitFor(async () => (await httpd.ask('/x')).status === 200);
  });
});

const faketime = [
  '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1',
  '/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1',
  '/usr/lib64/faketime/libfaketime.so.1',
].find((path) => existsSync(path));

// Needs the package libfaketime (Debian, Fedora), which has to be the first that node loads, as the sanitizers' library has.
(faketime === undefined || isSanitized ? describe.skip : describe)(
  'the clock of supervisor and workers that jumps',
  function () {
    this.timeout(60_000);
    let httpd: Httpd;
    const jump = (text: string) => {
      writeFileSync(join(httpd.dir, 'clock'), `${text}\n`);
    };
    before(async () => {
      httpd = await Httpd.prepare({ config: '' });
      httpd.write('app.js', clockwork);
      const node = httpd.write(
        'node',
        `#!/bin/sh
export LD_PRELOAD=${faketime ?? ''} FAKETIME_TIMESTAMP_FILE=${httpd.dir}/clock FAKETIME_NO_CACHE=1 DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1
exec ${nodeInUse} "$@"
`,
      );
      chmodSync(node, 0o755);
      httpd.configure(
        `TSGINode ${node}
TSGIDaemonProcess site processes=2 restart-interval=30m inactivity-timeout=30m
TSGIScriptAlias / @ROOT@/apps/app.js process-group=site
`,
      );
      jump('+0');
      await httpd.start();
      await waitFor(() => httpd.processes(/^tsgi: worker site\//).length === 2);
    });
    after(() => httpd.stop());

    const pids = () =>
      httpd
        .processes(/^tsgi: (worker|supervisor) site/)
        .map(({ pid }) => pid)
        .sort();

    for (const [name, offset] of [
      ['an hour ahead', '+1h'],
      ['an hour back', '-1h'],
      ['a year ahead', '+365d'],
      ['a year back', '-365d'],
    ] as const) {
      it(`(${name}) ends no wait early or late, reloads and recycles nothing`, async () => {
        await waitFor(async () => (await httpd.ask('/clock')).status === 200);
        const before = pids();
        const open = httpd.ask('/wait?ms=800');
        jump(offset);
        await waitFor(async () => {
          const seen = new Date((await httpd.ask('/clock')).body).getTime() - Date.now();
          return (
            Math.abs(seen) > 1_800_000 && Math.sign(seen) === (offset.startsWith('+') ? 1 : -1)
          );
        });
        for (let i = 0; i < 30; i++)
          expect((await httpd.ask('/wait?ms=20')).body).to.equal('waited');
        expect((await open).body).to.equal('waited');
        expect(pids()).to.deep.equal(before);
        expect(httpd.log.matching(/TSGI05(1[0-9]|0[4-9])/)).to.deep.equal([]);
        jump('+0');
      });
    }

    it('hides no touch', async () => {
      jump('-1h');
      const before = pids();
      const now = new Date();
      utimesSync(join(httpd.dir, 'apps', 'app.js'), now, now);
      await waitFor(() => httpd.log.matching(/TSGI0513/).length > 0);
      // The supervisor stays, both workers are others.
      await waitFor(
        () => pids().length === 3 && pids().filter((pid) => before.includes(pid)).length === 1,
      );
      expect((await httpd.ask('/clock')).status).to.equal(200);
    });
  },
);
