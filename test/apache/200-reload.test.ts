import { copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { Load, show } from '../harness/load.ts';
import { app } from '../harness/place.ts';
import { processOf } from '../harness/processes.ts';
import { AppRecord } from '../harness/record.ts';
import { waitFor } from '../harness/wait.ts';

/** Answers with what it is, and with its pid. */
const source = (version: string) =>
  `require('node:http').createServer((req, res) => res.end('${version} ' + process.pid)).listen(3000);\n`;

const config = `
TSGIDaemonProcess plain
TSGIDaemonProcess broken startup-timeout=2s
TSGIDaemonProcess many processes=3 reload=all
TSGIDaemonProcess globbed home=@ROOT@/apps watch="lib/**/*.txt tmp/restart"
TSGIDaemonProcess pattern
TSGIDaemonProcess chaos processes=2 env=CHAOS_FILE=@ROOT@/apps/begun
TSGIScriptAlias /plain @ROOT@/apps/plain.js process-group=plain
TSGIScriptAlias /linked @ROOT@/apps/current/linked.js process-group=plain
TSGIScriptAlias /broken @ROOT@/apps/broken.js process-group=broken
TSGIScriptAlias /many @ROOT@/apps/many.js process-group=many
TSGIScriptAlias /globbed @ROOT@/apps/globbed.js process-group=globbed
TSGIScriptAliasMatch ^/pattern/([a-z]+) @ROOT@/apps/pattern/$1.js process-group=pattern
TSGIScriptAlias /chaos @ROOT@/apps/chaos.js process-group=chaos
<VirtualHost *:@PORT@>
  ServerName open.test
</VirtualHost>
<VirtualHost *:@PORT@>
  ServerName frozen.test
  TSGIScriptReloading Off
  TSGIScriptAlias /frozen @ROOT@/apps/frozen.js
</VirtualHost>
`;

describe('a script that changes', function () {
  this.timeout(60_000);
  let httpd: Httpd;
  let mtime = 1_700_000_000;

  const path = (name: string) => join(httpd.dir, 'apps', name);
  const touch = (name: string, seconds = ++mtime) => {
    utimesSync(path(name), seconds, seconds);
  };
  const answer = async (url: string) => {
    const { body } = await httpd.ask(url);
    const [version = '', pid] = body.split(' ');
    return { version, pid: Number(pid), body };
  };
  const pidOf = async (url: string) => (await answer(url)).pid;
  const becomes = (url: string, version: string) =>
    waitFor(async () => (await answer(url)).version === version, { what: `${url} as ${version}` });
  const isReplaced = (url: string, old: number) =>
    waitFor(async () => (await pidOf(url)) !== old, { what: `another worker than ${String(old)}` });
  const logged = (pattern: RegExp, count = 1) =>
    waitFor(() => httpd.log.matching(pattern).length >= count, {
      what: `${String(count)} of ${pattern.source}`,
    });

  before(async () => {
    httpd = await Httpd.prepare({ config: '' });
    const scripts = ['plain', 'a/linked', 'broken', 'many', 'globbed', 'pattern/one', 'frozen'];
    for (const name of scripts) httpd.write(`${name}.js`, source('one'));
    httpd.write('b/linked.js', source('two'));
    symlinkSync('a', path('current'));
    copyFileSync(app('chaos.js'), path('chaos.js'));
    httpd.configure(config);
    await httpd.start();
  });
  after(() => httpd.stop());

  it('is loaded anew without a request, touched forwards or backwards', async () => {
    const first = await pidOf('/plain');
    touch('plain.js');
    await waitFor(() => httpd.log.matching(/TSGI0513.*plain\.js/).length === 1);
    await isReplaced('/plain', first);
    const second = await pidOf('/plain');
    touch('plain.js', 1_000_000_000);
    await isReplaced('/plain', second);
    await waitFor(() => !processOf(first) && !processOf(second), {
      what: 'the end of old workers',
    });
  });

  it('is loaded anew when it is replaced by rename, and when a link in its path is switched', async () => {
    httpd.write('plain.js.new', source('renamed'));
    renameSync(path('plain.js.new'), path('plain.js'));
    await becomes('/plain', 'renamed');
    expect((await answer('/linked')).version).to.equal('one');
    symlinkSync('b', path('current.new'));
    renameSync(path('current.new'), path('current'));
    await becomes('/linked', 'two');
  });

  it('is loaded anew by all workers at once with reload=all', async () => {
    const workers = () => httpd.processes(/^tsgi: worker many/).map(({ pid }) => pid);
    await waitFor(() => workers().length === 3);
    const before = workers();
    touch('many.js');
    await waitFor(() => workers().filter((pid) => !before.includes(pid)).length === 3);
    await waitFor(() => before.every((pid) => !processOf(pid)));
  });

  it('may be one that a pattern led to', async () => {
    expect((await answer('/pattern/one')).version).to.equal('one');
    httpd.write('pattern/one.js', source('two'));
    await becomes('/pattern/one', 'two');
  });

  it('may be another file, that watch= names', async () => {
    let pid = await pidOf('/globbed');
    httpd.write('lib/deep/words.txt', 'new');
    await isReplaced('/globbed', pid);
    pid = await pidOf('/globbed');
    mkdirSync(path('tmp'));
    httpd.write('tmp/restart', '');
    await isReplaced('/globbed', pid);
  });

  it('is not looked at with TSGIScriptReloading Off', async () => {
    const frozen = async () =>
      (await httpd.ask('/frozen', { headers: { host: 'frozen.test' } })).body;
    const before = await frozen();
    expect(before).to.match(/^one \d+$/);
    touch('frozen.js');
    const pid = await pidOf('/plain');
    touch('plain.js');
    await isReplaced('/plain', pid);
    expect(await frozen()).to.equal(before);
    expect(httpd.log.matching(/TSGI0513.*frozen/)).to.deep.equal([]);
  });

  const broken: readonly (readonly [string, string, RegExp])[] = [
    ['throws', 'throw new Error("half deployed");', /TSGI0607.*half deployed/],
    ['exits', 'process.exit(3);', /TSGI0610/],
    ['does not parse', 'const const;', /TSGI0608/],
    ['never listens', 'setInterval(() => undefined, 1000);', /TSGI0612/],
    ['hangs', 'for (;;);', /TSGI0505/],
  ];
  for (const [what, code, why] of broken) {
    it(`leaves the old workers in service when the new code ${what}`, async () => {
      httpd.log.allow(
        /TSGI0512/,
        why,
        /apps\/broken\.js|Error: half deployed|SyntaxError|const const|\^|\bat /,
      );
      const { body } = await answer('/broken');
      const stops = httpd.log.matching(/TSGI0512/).length;
      httpd.write('broken.js', code);
      await logged(/TSGI0512/, stops + 1);
      await logged(why);
      expect((await answer('/broken')).body).to.equal(body);
    });
  }

  it('is tried again at the next change, at once even while the one before still hangs', async () => {
    const { pid } = await answer('/broken');
    const tries = httpd.log.matching(/TSGI0513.*broken/).length;
    httpd.write('broken.js', 'setInterval(() => undefined, 500);');
    await logged(/TSGI0513.*broken/, tries + 1);
    const stops = httpd.log.matching(/TSGI0512/).length;
    httpd.write('broken.js', source('mended'));
    await becomes('/broken', 'mended');
    expect(await pidOf('/broken')).to.not.equal(pid);
    expect(httpd.log.matching(/TSGI0512/)).to.have.length(stops);
  });

  it('starts workers that wait after crashes at once', async () => {
    httpd.log.allow(/TSGI05|TSGI06|TSGI01|Error: half deployed/);
    const { pid } = await answer('/broken');
    const attempts = httpd.log.matching(/TSGI0607.*half deployed/).length;
    httpd.write('broken.js', 'throw new Error("half deployed");');
    await logged(/TSGI0607.*half deployed/, attempts + 1);
    process.kill(pid, 'SIGKILL');
    await logged(/TSGI0607.*half deployed/, attempts + 5);
    expect((await httpd.ask('/broken')).status).to.equal(503);
    httpd.write('broken.js', source('again'));
    await waitFor(async () => (await answer('/broken')).version === 'again', { timeoutMs: 2500 });
  });

  it('costs no request, and runs none twice, ten times under load', async () => {
    const workers = () => httpd.processes(/^tsgi: worker chaos/).map(({ pid }) => pid);
    await waitFor(() => workers().length === 2);
    const load = new Load({ port: httpd.port, path: '/chaos', connections: 4 });
    for (let i = 0; i < 10; i++) {
      const before = workers();
      touch('chaos.js');
      await waitFor(() => before.every((pid) => !processOf(pid)), { what: 'a reload' });
    }
    await load.stop();
    expect(load.failures.map(show)).to.deep.equal([]);
    expect(load.good).to.be.greaterThan(100);
    expect(new AppRecord(path('begun')).refresh().twice).to.deep.equal([]);
    rmSync(path('begun'));
  });
});
