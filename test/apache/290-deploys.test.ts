import { cpSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { Load, show } from '../harness/load.ts';
import { app, place } from '../harness/place.ts';
import { AppRecord } from '../harness/record.ts';
import { waitFor } from '../harness/wait.ts';

/** Answers with what it is, and with its pid. */
const source = (version: string) =>
  `require('node:http').createServer((req, res) => res.end('${version} ' + process.pid)).listen(3000);\n`;
/** The same, with the text of a file beside it. */
const withPart = `
const part = require('node:fs').readFileSync(__dirname + '/part.txt', 'utf8');
require('node:http').createServer((req, res) => res.end(part + ' ' + process.pid)).listen(3000);
`;

const config = `
TSGIDaemonProcess site home=@ROOT@/apps/site watch=**/*.txt
TSGIDaemonProcess busy home=@ROOT@/apps/busy watch=*.log
TSGIDaemonProcess waits startup-timeout=60s queue-timeout=60s
TSGIDaemonProcess blocks startup-timeout=60s queue-timeout=60s
TSGIDaemonProcess chaos processes=2 env=CHAOS_FILE=@ROOT@/apps/begun
TSGIDaemonProcess held processes=5 reload=all apache-threads=90
TSGIScriptAlias /held @ROOT@/apps/held.js process-group=held
TSGIScriptAlias /site @ROOT@/apps/site/index.js process-group=site
TSGIScriptAlias /busy @ROOT@/apps/busy/index.js process-group=busy
TSGIScriptAlias /waits @ROOT@/apps/waits.js process-group=waits
TSGIScriptAlias /blocks @ROOT@/apps/blocks.js process-group=blocks
TSGIScriptAlias /chaos @ROOT@/apps/chaos.js process-group=chaos
`;

/** Answers after ms=; says when it is to go. */
const held = `
const http = require('node:http');
http.createServer((req, res) => {
  req.resume();
  setTimeout(() => res.end('pid ' + process.pid), new URL(req.url, 'http://x').searchParams.get('ms'));
}).listen(3000);
import('@PLACE@/dist/index.js').then(({ tsgi }) => tsgi.on('drain', () => console.log('going')));
`;

describe('a deploy', function () {
  this.timeout(60_000);
  let httpd: Httpd;

  const path = (name: string) => join(httpd.dir, 'apps', name);
  const version = async (url: string) => (await httpd.ask(url)).body.split(' ')[0];
  const becomes = (url: string, wanted: string, timeoutMs?: number) =>
    waitFor(async () => (await version(url)) === wanted, {
      what: `${url} as ${wanted}`,
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
  const workers = (group: string) => httpd.processes(new RegExp(`^tsgi: worker ${group}/`));

  before(async () => {
    httpd = await Httpd.prepare({
      config,
      limits:
        'StartServers 1\nServerLimit 1\nThreadLimit 96\nThreadsPerChild 96\nMaxRequestWorkers 96\n',
    });
    httpd.write('held.js', held.replace('@PLACE@', place()));
    httpd.write('site/index.js', withPart);
    httpd.write('site/part.txt', 'one');
    httpd.write('busy/index.js', source('one'));
    httpd.write('waits.js', 'setInterval(() => undefined, 1000);');
    httpd.write('blocks.js', 'for (;;);');
    httpd.write('chaos.js', readFileSync(app('chaos.js'), 'utf8'));
    // A worker that blocks its event loop as it starts has to be killed.
    httpd.log.allow(/TSGI0508.*blocks.*did not finish within 1 s/);
    await httpd.start();
  });
  after(() => httpd.stop());

  it('may put another directory in the place of the old one, its files older than before', async () => {
    expect(await version('/site')).to.equal('one');
    cpSync(path('site'), path('next'), { recursive: true });
    writeFileSync(path('next/part.txt'), 'two');
    for (const name of ['index.js', 'part.txt']) utimesSync(path(`next/${name}`), 1e9, 1e9);
    renameSync(path('site'), path('former'));
    renameSync(path('next'), path('site'));
    await becomes('/site', 'two');
  });

  it('may go back to what was there, by the same names', async () => {
    renameSync(path('site'), path('failed'));
    renameSync(path('former'), path('site'));
    await becomes('/site', 'one');
  });

  it('may keep time and size of a file: it is another one by its inode', async () => {
    const { atime, mtime } = statSync(path('site/part.txt'));
    writeFileSync(path('site/.part.txt.8f3a'), 'six');
    utimesSync(path('site/.part.txt.8f3a'), atime, mtime);
    renameSync(path('site/.part.txt.8f3a'), path('site/part.txt'));
    await becomes('/site', 'six');
  });

  it('may bring directories that watch= has not seen', async () => {
    const pid = (await httpd.ask('/site')).body;
    httpd.write('site/new/deep/words.txt', 'x');
    await waitFor(async () => (await httpd.ask('/site')).body !== pid, { what: 'a reload' });
    const next = (await httpd.ask('/site')).body;
    httpd.write('site/new/deep/words.txt', 'xy');
    await waitFor(async () => (await httpd.ask('/site')).body !== next, { what: 'a reload' });
  });

  it('is seen beside a file that is written without end', async () => {
    expect(await version('/busy')).to.equal('one');
    const writer = setInterval(() => {
      writeFileSync(path('busy/access.log'), 'x\n', { flag: 'a' });
    }, 20);
    try {
      httpd.write('busy/index.js', source('two'));
      await becomes('/busy', 'two', 25_000);
    } finally {
      clearInterval(writer);
    }
  });

  for (const [group, what] of [
    ['waits', 'never listens'],
    ['blocks', 'blocks its event loop'],
  ] as const) {
    it(`that mends an app which ${what} as it starts is served at once`, async () => {
      const [hanging] = await waitFor(() => workers(group).length > 0 && workers(group));
      const waiting = httpd.ask(`/${group}`);
      httpd.write(`${group}.js`, source('mended'));
      expect((await waiting).body).to.match(/^mended /);
      await waitFor(() => workers(group).every(({ pid }) => pid !== hanging?.pid), {
        what: 'the end of the one that hangs',
      });
      expect(workers(group)).to.have.length(1);
    });
  }

  it('finds connections to old workers kept: they refuse what comes on them, and it costs no request', async () => {
    const ask = async (ms: number, method = 'GET') =>
      (await httpd.ask(`/held?ms=${String(ms)}`, { method })).body;
    const many = (count: number, ms: number) =>
      Promise.all(Array.from({ length: count }, (_, i) => ask(ms, i % 2 ? 'POST' : 'GET')));
    // All are ready, and each has connections that nobody uses then.
    await waitFor(async () => new Set(await many(40, 300)).size === 5);
    const before = workers('held').map(({ pid }) => `pid ${String(pid)}`);
    // Each has something in hand until the end.
    let isOver = false;
    const long = many(5, 8000).finally(() => {
      isOver = true;
    });
    httpd.write('held.js', `${held.replace('@PLACE@', place())}// changed`);
    await waitFor(() => httpd.log.matching(/going/).length === 5, { what: 'five that go' });
    await many(5, 0);
    const bodies = await many(40, 50);
    expect(isOver, 'the old workers were there').to.equal(false);
    expect(bodies.filter((body) => !body.startsWith('pid '))).to.deep.equal([]);
    expect(bodies.filter((body) => before.includes(body))).to.deep.equal([]);
    expect((await long).every((body) => before.includes(body))).to.equal(true);
  });

  it('that comes again and again, by SIGHUP and by touch, costs no request and leaves no process', async () => {
    await waitFor(() => workers('chaos').length === 2);
    const [supervisor] = httpd.processes(/^tsgi: supervisor chaos$/);
    const load = new Load({ port: httpd.port, path: '/chaos', connections: 4 });
    let mtime = 1_700_000_000;
    const most: number[] = [];
    const storm = setInterval(() => {
      process.kill(supervisor?.pid ?? 0, 'SIGHUP');
      utimesSync(path('chaos.js'), ++mtime, mtime);
      most.push(workers('chaos').length);
    }, 50);
    await waitFor(() => most.length >= 60 && load.good > 400, { timeoutMs: 30_000 });
    clearInterval(storm);
    const last = workers('chaos').map(({ pid }) => pid);
    await waitFor(() => workers('chaos').every(({ pid }) => !last.includes(pid)), {
      what: 'the last reload',
    });
    await waitFor(() => workers('chaos').length === 2, { what: 'two workers' });
    await load.stop();
    expect(load.failures.map(show)).to.deep.equal([]);
    expect(new AppRecord(path('begun')).refresh().twice).to.deep.equal([]);
    expect(Math.max(...most), 'workers at once').to.be.below(12);
  });
});
