import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { isRoot } from '../harness/place.ts';
import { processOf, statusOf } from '../harness/processes.ts';
import { isSanitized } from '../harness/sanitizer.ts';
import { waitFor } from '../harness/wait.ts';

/** An app that does with its output what no app should. */
const noisy = `
const fs = require('node:fs');
const http = require('node:http');
const { spawn } = require('node:child_process');
const line = 'noise '.repeat(16) + '\\n';
const routes = {
  '/fine': () => 'fine',
  // Megabytes a second, but for a pause in which it answers.
  '/flood': () => {
    let left = 40;
    const timer = setInterval(() => {
      for (let i = 0; i < 5000; i++) process.stdout.write(line);
      if (--left === 0) clearInterval(timer), process.stderr.write('the flood is over\\n');
    }, 50);
    return 'flooding';
  },
  '/binary': () => {
    const bytes = Buffer.alloc(65536);
    for (let i = 0; i < bytes.length; i++) bytes[i] = i * 7919;
    fs.writeSync(1, bytes);
    fs.writeSync(1, '\\nbinary is over\\n');
    return 'written';
  },
  '/long': () => {
    process.stdout.write('x'.repeat(1024 * 1024) + ' end of the long line\\n');
    return 'written';
  },
  '/truncate': () => {
    const errors = [];
    for (const path of ['/dev/stdout', '/dev/stderr', '/proc/self/fd/1', '/proc/self/fd/2']) {
      try { fs.closeSync(fs.openSync(path, 'w')); } catch (error) { errors.push(error.code); }
      try { fs.truncateSync(path); } catch (error) { errors.push(error.code); }
    }
    for (const fd of [1, 2]) try { fs.ftruncateSync(fd, 0); } catch (error) { errors.push(error.code); }
    return errors.join();
  },
  // A child that lives on in a session of its own, with the worker's stdout.
  '/leave': () => {
    const child = spawn('sh', ['-c', 'i=0; while [ $i -lt 100 ]; do echo left behind $i; i=$((i+1)); sleep 0.05; done'],
      { detached: true, stdio: ['ignore', 'inherit', 'inherit'] });
    child.unref();
    setTimeout(() => process.exit(0), 20);
    return String(child.pid);
  },
  '/close': () => { fs.closeSync(1); fs.closeSync(2); return 'closed'; },
};
http.createServer((req, res) => res.end(String(routes[req.url]?.()))).listen(3000);
`;

describe('an app and its log', function () {
  this.timeout(60_000);
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({
      config:
        'TSGIDaemonProcess site\nTSGIScriptAlias /site @ROOT@/apps/noisy.js process-group=site\n' +
        // What it says is not over the limit because of a flood before.
        'TSGIDaemonProcess words\nTSGIScriptAlias /words @ROOT@/apps/noisy.js process-group=words\n' +
        'TSGIDaemonProcess quiet\nTSGIScriptAlias /quiet @APPS@/callable.js process-group=quiet\n',
    });
    httpd.write('noisy.js', noisy);
    await httpd.start();
    httpd.log.allow('TSGI05(09|40)', /site \d+ err\]/, 'TSGI0507', 'TSGI0071');
    await httpd.ask('/site/fine');
  });
  after(() => httpd.stop());

  const pidOf = (title: RegExp) => httpd.processes(title)[0]?.pid ?? expect.fail('nobody there');
  const rss = (pid: number) => Number.parseInt(statusOf(pid)['VmRSS'] ?? '0', 10); // KiB
  const dropped = (id: string) =>
    httpd.log
      .matching(new RegExp(id))
      .reduce((sum, line) => sum + Number(/(\d+) (?:log )?lines were/.exec(line)?.[1] ?? 0), 0);

  /** The slowest of so many answers, in ms. */
  async function slowest(path: string, count: number): Promise<number> {
    let worst = 0;
    for (let i = 0; i < count; i++) {
      const since = performance.now();
      expect((await httpd.ask(path)).status).to.equal(200);
      worst = Math.max(worst, performance.now() - since);
    }
    return worst;
  }

  it('is limited to a thousand lines a second; what is dropped is counted to the last line', async () => {
    const supervisor = pidOf(/^tsgi: supervisor site$/);
    expect((await httpd.ask('/site/flood')).body).to.equal('flooding');
    expect(await slowest('/quiet/x', 100)).to.be.below(1000);
    // It has a share of its own.
    await waitFor(() => httpd.log.matching(/the flood is over/).length > 0, { timeoutMs: 30_000 });
    const kept = () => httpd.log.matching(/ out\] (noise ){16}$/).length;
    await waitFor(() => kept() + dropped('TSGI0540') + dropped('TSGI0509') === 200_000, {
      what: '200000 lines, kept or counted',
    });
    expect(kept()).to.be.within(1000, 40_000);
    expect(dropped('TSGI0540')).to.be.above(0);
    const reports = httpd.log.matching(/TSGI0540/).length;
    expect(reports).to.be.within(1, 30);
    if (!isSanitized) expect(rss(supervisor)).to.be.below(150 * 1024);
  });

  it('may be binary, and lines of a megabyte: they come in pieces, escaped, and all is served', async () => {
    const before = httpd.log.lines().length;
    expect((await httpd.ask('/words/binary')).body).to.equal('written');
    await waitFor(() => httpd.log.matching(/binary is over/).length > 0);
    expect((await httpd.ask('/words/long')).body).to.equal('written');
    const text = (): string => httpd.log.lines().slice(before).join('\n');
    // What Apache did not read in time is counted, not there; the end of the line may be among it.
    const isWhole = (now: string): boolean =>
      now.includes('x end of the long line') && now.split('x').length > 1024 * 1024;
    await waitFor(() => isWhole(text()) || /TSGI0(509|540)/.test(text()));
    // eslint-disable-next-line no-control-regex -- that is what must not be there
    expect(text()).to.not.match(/[\x00-\x08\x0b-\x1f]/);
  });

  it('cannot be truncated by the app', async () => {
    const size = statSync(join(httpd.dir, 'error.log')).size;
    const { body } = await httpd.ask('/site/truncate');
    expect(body).to.match(/EINVAL/);
    expect(statSync(join(httpd.dir, 'error.log')).size).to.be.at.least(size);
    expect((await httpd.ask('/site/fine')).body).to.equal('fine');
  });

  it('may be closed by the app', async () => {
    const pid = pidOf(/^tsgi: worker site\//);
    expect((await httpd.ask('/site/close')).body).to.equal('closed');
    for (let i = 0; i < 10; i++) expect((await httpd.ask('/site/fine')).body).to.equal('fine');
    expect(pidOf(/^tsgi: worker site\//)).to.equal(pid);
    process.kill(pid, 'SIGKILL');
    await waitFor(() => processOf(pid) === undefined);
    expect((await httpd.ask('/site/fine')).body).to.equal('fine');
  });

  it('takes what a process says that a worker has left behind, and its successor serves meanwhile', async () => {
    const pid = Number((await httpd.ask('/site/leave')).body);
    await waitFor(async () => (await httpd.ask('/site/fine')).status === 200);
    try {
      await waitFor(() => httpd.log.matching(/left behind \d/).length > 5);
    } finally {
      process.kill(-pid, 'SIGKILL');
    }
  });

  it('does not block the app while `tsgi: log` is stopped; what is lost is counted', async () => {
    const log = pidOf(/^tsgi: log$/);
    const supervisor = pidOf(/^tsgi: supervisor site$/);
    const kept = () => httpd.log.matching(/ out\] (noise ){16}$/).length;
    const [keptBefore, droppedBefore] = [kept(), dropped('TSGI0540') + dropped('TSGI0509')];
    process.kill(log, 'SIGSTOP');
    try {
      expect((await httpd.ask('/site/flood')).body).to.equal('flooding');
      expect(await slowest('/site/fine', 50)).to.be.below(1000);
      expect(await slowest('/quiet/x', 50)).to.be.below(1000);
      if (!isSanitized) expect(rss(supervisor)).to.be.below(150 * 1024);
    } finally {
      process.kill(log, 'SIGCONT');
    }
    await waitFor(
      () =>
        kept() - keptBefore + dropped('TSGI0540') + dropped('TSGI0509') - droppedBefore >= 200_000,
      { what: 'all lines, kept or counted', timeoutMs: 30_000 },
    );
  });

  it('comes back when `tsgi: log` is killed, with what was said meanwhile', async () => {
    const log = pidOf(/^tsgi: log$/);
    process.kill(log, 'SIGKILL');
    expect((await httpd.ask('/words/binary')).body).to.equal('written');
    await waitFor(() => httpd.processes(/^tsgi: log$/).some(({ pid }) => pid !== log), {
      timeoutMs: 20_000,
    });
    await waitFor(() => httpd.log.matching(/binary is over/).length > 1);
    expect(httpd.log.matching(/TSGI0071/)).to.have.length(1);
  });
});

describe('a piped logger that is stopped', function () {
  this.timeout(60_000);
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({
      config:
        `ErrorLog "|/bin/sh -c 'exec cat >> @ROOT@/piped.log'"\n` +
        'TSGIDaemonProcess site\nTSGIScriptAlias / @ROOT@/apps/noisy.js process-group=site\n',
    });
    httpd.write('noisy.js', noisy);
    await httpd.start();
    await httpd.ask('/fine');
  });
  after(() => httpd.stop());

  it('blocks no app and no request; its log goes on afterwards', async () => {
    const piped = () => readFileSync(join(httpd.dir, 'piped.log'), 'utf8');
    const logger = httpd.processes(/^cat/)[0]?.pid ?? expect.fail('no logger');
    process.kill(logger, 'SIGSTOP');
    try {
      expect((await httpd.ask('/flood')).body).to.equal('flooding');
      for (let i = 0; i < 100; i++) expect((await httpd.ask('/fine')).body).to.equal('fine');
    } finally {
      process.kill(logger, 'SIGCONT');
    }
    await waitFor(() => piped().includes('the flood is over'), { timeoutMs: 30_000 });
    await waitFor(() => /TSGI05(09|40)/.test(piped()));
  });
});

// A file system of its own takes root to mount.
(isRoot ? describe : describe.skip)('a disk that is full', function () {
  this.timeout(60_000);
  let httpd: Httpd;
  const mounted: string[] = [];
  const fill = (dir: string) => {
    execFileSync('sh', ['-c', 'dd if=/dev/zero of="$0/filler" bs=4096 2>/dev/null || true', dir]);
  };
  before(async function () {
    httpd = await Httpd.prepare({
      config: `
ErrorLog @ROOT@/full/error.log
CustomLog @ROOT@/full/access.log "%h %r %>s %B"
TSGIDaemonProcess site home=@ROOT@/full env=TMPDIR=@ROOT@/full env=HOME=@ROOT@/full env=XDG_CACHE_HOME=@ROOT@/full
TSGIScriptAlias /site @ROOT@/apps/noisy.js process-group=site
TSGIScriptAlias /typed @ROOT@/apps/typed.ts process-group=site
TSGIScriptAlias /broken @ROOT@/apps/broken.js process-group=site
`,
    });
    const full = join(httpd.dir, 'full');
    mkdirSync(full);
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=1777', 'tmpfs', full], {
        stdio: 'ignore',
      });
      mounted.push(full);
    } catch {
      await httpd.stop();
      this.skip(); // root without the right to mount, as in most containers
    }
    httpd.write('noisy.js', noisy);
    httpd.write('broken.js', 'throw new Error("broken on purpose");');
    httpd.write(
      'typed.ts',
      `enum Kind { A = 'an enum' }
export default (req: unknown, res: { end(text: string): void }): void => { res.end(Kind.A); };`,
    );
    fill(full);
    await httpd.start();
  });
  after(async () => {
    try {
      await httpd.stop({ keep: mounted.length > 0 });
    } finally {
      for (const dir of mounted) execFileSync('umount', ['-l', dir]);
      if (mounted.length > 0) execFileSync('rm', ['-rf', httpd.dir]);
    }
  });

  it('under the logs: requests are served all the same', async () => {
    await waitFor(async () => (await httpd.ask('/site/fine')).status === 200);
    expect((await httpd.ask('/site/flood')).body).to.equal('flooding');
    for (let i = 0; i < 50; i++) expect((await httpd.ask('/site/fine')).body).to.equal('fine');
  });

  it('under the cache of TypeScript and TMPDIR: apps start all the same', async () => {
    const answer = await waitFor(async () => {
      const { status, body } = await httpd.ask('/typed');
      return status === 200 && body;
    });
    expect(answer).to.equal('an enum');
  });

  it('that has room again takes the log again, and why an app did not start is readable', async () => {
    execFileSync('rm', [join(httpd.dir, 'full', 'filler')]);
    expect((await httpd.ask('/broken')).status).to.equal(503);
    const log = () => readFileSync(join(httpd.dir, 'full', 'error.log'), 'utf8');
    await waitFor(() => /TSGI0607.*broken on purpose/.test(log()), { timeoutMs: 40_000 });
  });
});
