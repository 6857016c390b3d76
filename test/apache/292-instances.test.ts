import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { Load, show } from '../harness/load.ts';
import { app, isRoot, place } from '../harness/place.ts';
import { processOf } from '../harness/processes.ts';
import { AppRecord } from '../harness/record.ts';
import { waitFor } from '../harness/wait.ts';

const source = (name: string) =>
  `require('node:http').createServer((req, res) => res.end('${name} ' + process.pid)).listen(3000);\n`;
const group = (name: string, options = '') =>
  `TSGIDaemonProcess ${name} ${options}\nTSGIScriptAlias /${name} @ROOT@/apps/app.js process-group=${name}\n`;

describe('two instances of httpd on one machine', function () {
  this.timeout(60_000);
  let one: Httpd;
  let other: Httpd;

  before(async () => {
    one = await Httpd.prepare({ config: group('site', 'processes=2') });
    one.write('app.js', source('one'));
    await one.start();
    other = await Httpd.prepare({
      config: `TSGIRuntimeDir ${join(one.dir, 'run')}\n${group('site', 'processes=2')}`,
    });
    other.write('app.js', source('other'));
    await other.start();
  });
  after(async () => {
    await other.stop();
    await one.stop();
  });
  const both = async () =>
    Promise.all([one, other].map(async (httpd) => (await httpd.ask('/site')).body.split(' ')[0]));

  it('have the same names of groups and the same runtime directory, and do not meet', async () => {
    for (let i = 0; i < 10; i++) expect(await both()).to.deep.equal(['one', 'other']);
    expect(readdirSync(join(one.dir, 'run'))).to.deep.equal([]);
    await one.graceful();
    one.configure(group('site', 'processes=2 env=X=1'));
    await one.graceful();
    for (let i = 0; i < 10; i++) expect(await both()).to.deep.equal(['one', 'other']);
  });

  it('outlive the death of each other', async () => {
    other.log.allow(/AH00098/); // a pid file is there
    const all = [other.pid, ...other.processes().map(({ pid }) => pid)];
    for (const pid of all) if (processOf(pid)) process.kill(pid, 'SIGKILL');
    await waitFor(() => all.every((pid) => !processOf(pid)));
    expect((await one.ask('/site')).body).to.match(/^one /);
    await other.start();
    expect(await both()).to.deep.equal(['one', 'other']);
  });
});

describe('a new configuration that is no configuration', function () {
  this.timeout(60_000);

  it('is refused by configtest, with file and line; what runs notices nothing', async () => {
    const httpd = await Httpd.prepare({ config: group('site') });
    try {
      httpd.write('app.js', source('site'));
      await httpd.start();
      const { body } = await httpd.ask('/site');
      for (const wrong of [
        'TSGIDaemonProcess',
        'TSGINoSuchDirective x',
        group('more', 'user=nobody-of-that-name'),
        'TSGIScriptAlias /gone @ROOT@/apps/gone.js process-group=site\n',
      ]) {
        httpd.configure(`${group('site')}${wrong}`);
        const { status, output } = httpd.configtest();
        expect(status, output).to.equal(1);
        expect(output).to.match(/line \d+ of .*httpd\.conf/);
        expect((await httpd.ask('/site')).body).to.equal(body);
      }
    } finally {
      await httpd.stop();
    }
  });
});

describe('an app with ready=message', function () {
  this.timeout(60_000);

  it('gets requests when it has said so, and takes no place before', async () => {
    const httpd = await Httpd.prepare({
      config: group('warm', 'ready=message startup-timeout=3s'),
    });
    const warms = (version: string, word: string) =>
      `let isWarm = false;
${source('').replace(/res\.end\(.*\)\)/, `res.end('${version} ' + isWarm))`)}
console.log('listens: ${version}');
setTimeout(() => { isWarm = true; ${word} }, 700);\n`;
    try {
      httpd.write('app.js', warms('one', "process.send('ready');"));
      await httpd.start();
      expect((await httpd.ask('/warm')).body).to.equal('one true');
      httpd.log.allow(/TSGI0621/, /TSGI0512/);
      httpd.write('app.js', warms('two', ''));
      await waitFor(() => httpd.log.matching(/listens: two/).length === 1);
      expect((await httpd.ask('/warm')).body).to.equal('one true');
      await waitFor(() => httpd.log.matching(/TSGI0512/).length === 1);
      expect(httpd.log.matching(/TSGI0621.*app\.js/)).to.have.length(1);
      expect((await httpd.ask('/warm')).body).to.equal('one true');
      httpd.write('app.js', warms('three', "process.send('ready');"));
      await waitFor(async () => (await httpd.ask('/warm')).body === 'three true');
    } finally {
      await httpd.stop();
    }
  });
});

// A file system of its own takes root to mount.
(isRoot ? describe : describe.skip)('a runtime directory on a disk that is full', function () {
  this.timeout(60_000);
  let httpd: Httpd;
  let isMounted = false;
  const run = () => join(httpd.dir, 'run');
  const fill = () => {
    for (let i = 0; i < 32; i++) {
      try {
        writeFileSync(join(run(), `filler${String(i)}`), '');
      } catch {
        return; // full
      }
    }
  };
  const free = () => {
    for (const name of readdirSync(run())) rmSync(join(run(), name));
  };

  before(async function () {
    httpd = await Httpd.prepare({ config: group('kept') + group('changed') });
    httpd.write('app.js', source('app'));
    try {
      execFileSync(
        'mount',
        ['-t', 'tmpfs', '-o', 'nr_inodes=16,mode=0777,uid=65534', 'tmpfs', run()],
        {
          stdio: 'ignore',
        },
      );
      isMounted = true;
    } catch {
      await httpd.stop();
      this.skip(); // root without the right to mount, as in most containers
    }
    execFileSync('chmod', ['755', run()]);
  });
  after(async () => {
    if (!isMounted) return;
    try {
      await httpd.stop({ keep: true });
    } finally {
      execFileSync('umount', ['-l', run()]);
      rmSync(httpd.dir, { recursive: true });
    }
  });

  it('is named by the message when httpd does not start', async () => {
    httpd.log.allow(/TSGI0052/, /AH00013/, /AH00020|AH00016/);
    fill();
    await httpd.start().catch(() => undefined); // Its port may have been open for a moment.
    expect(await httpd.exited).to.equal(1);
    expect(
      httpd.log.matching(/TSGI0052.*no socket can be made in .*run.*No space left/),
    ).to.have.length.greaterThan(0);
    free();
    await httpd.start();
  });

  it('leaves at a graceful restart everything as it was, but for what is new', async () => {
    const changed = (await httpd.ask('/changed')).body;
    const { body } = await httpd.ask('/kept');
    httpd.log.allow(/TSGI0052/, /TSGI0073/, /TSGI00\d\d/, /TSGI01/);
    fill();
    httpd.configure(group('kept') + group('changed', 'env=X=1') + group('added'));
    await httpd.graceful();
    expect((await httpd.ask('/kept')).body).to.equal(body);
    expect((await httpd.ask('/changed')).body).to.equal(changed);
    expect((await httpd.ask('/added')).status).to.equal(503);
    expect(httpd.log.matching(/TSGI0073.*group changed/)).to.have.length(1);
    free();
    await httpd.graceful();
    await waitFor(async () => (await httpd.ask('/added')).status === 200);
    await waitFor(async () => (await httpd.ask('/changed')).body !== changed);
    expect((await httpd.ask('/kept')).body).to.equal(body);
  });
});

describe('another build of the module', function () {
  this.timeout(60_000);
  let httpd: Httpd;
  let frame: string;

  /** What `npm install` of a new version leaves behind, and the LoadModule line for it. */
  const install = (name: string) => {
    const dist = join(httpd.dir, name);
    if (!existsSync(dist)) cpSync(join(place(), 'dist'), dist, { recursive: true });
    writeFileSync(
      join(httpd.dir, 'httpd.conf'),
      frame.replace(/(LoadModule tsgi_module) .*/, `$1 "${dist}/mod_tsgi.so"`),
    );
  };

  before(async () => {
    httpd = await Httpd.prepare({
      config: `TSGIDaemonProcess chaos processes=2 env=CHAOS_FILE=@ROOT@/apps/begun
TSGIScriptAlias /chaos @ROOT@/apps/chaos.js process-group=chaos`,
    });
    httpd.write('chaos.js', readFileSync(app('chaos.js'), 'utf8'));
    frame = readFileSync(join(httpd.dir, 'httpd.conf'), 'utf8');
    install('old');
    await httpd.start();
  });
  after(() => httpd.stop());

  /** @param begin what happens before the restart; others' ids must not be the same. */
  async function restartUnderLoad(begin: () => void, prefix: string): Promise<void> {
    const record = join(httpd.dir, 'apps', 'begun');
    const load = new Load({ port: httpd.port, path: '/chaos', connections: 6, prefix, record });
    try {
      await waitFor(() => load.good > 50);
      // The first of them has its title by now.
      const old = httpd.processes(/^tsgi: (supervisor|worker)/).map(({ pid }) => pid);
      begin();
      await httpd.graceful();
      await waitFor(() => old.every((pid) => !processOf(pid)), {
        what: 'the end of the old supervisor and its workers',
        timeoutMs: 30_000,
      });
      const { good } = load;
      await waitFor(() => load.good > good + 50);
    } finally {
      await load.stop();
    }
    // Kept connections that httpd closes at a restart are the client's to repeat.
    const failures = load.failures.filter(({ outcome }) => outcome !== 'idle');
    expect(failures.map(show)).to.deep.equal([]);
    expect(new AppRecord(record).refresh().twice).to.deep.equal([]);
    expect(httpd.processes(/^tsgi: supervisor/)).to.have.length(1);
  }
  const takeovers = () => httpd.log.matching(/TSGI0076.*takes over from mod_tsgi/).length;

  it('takes over at a graceful restart without a request lost', async () => {
    await restartUnderLoad(() => {
      install('new');
    }, 'a');
    expect(takeovers()).to.equal(1);
  });

  it('gives way again to the one before', async () => {
    await restartUnderLoad(() => {
      install('old');
    }, 'b');
    expect(takeovers()).to.equal(2);
  });

  it('may be put in the place of the one that runs', async () => {
    await restartUnderLoad(() => {
      // As npm does: other files under the same names. The module itself stays what it is.
      renameSync(join(httpd.dir, 'old'), join(httpd.dir, 'former'));
      install('old');
    }, 'c');
  });
});
