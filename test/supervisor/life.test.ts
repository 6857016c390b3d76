import { expect } from 'chai';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../harness/wait.ts';
import { childrenOf, isAlive, TestGroup, titleOf } from './harness.ts';

const pidApp = 'module.exports = (req, res) => res.end(String(process.pid))';

describe('the workers of a group', () => {
  let group: TestGroup;
  const start = (...options: string[]): TestGroup => (group = new TestGroup(options));
  afterEach(() => group.stop());

  async function answerOf(socket: string, script: string): Promise<string> {
    return (await group.ask(socket, script)).body;
  }

  it('are shown by ps, with their group and slot', async () => {
    start();
    const script = group.write('app.js', pidApp);
    const sockets = group.app('app', [script], { slots: 2 });
    for (const socket of sockets) await group.ask(socket, script);
    expect(titleOf(group.pid)).to.equal('tsgi: supervisor test');
    expect(group.workers().map(titleOf)).to.have.members([
      'tsgi: worker test/0',
      'tsgi: worker test/1',
    ]);
  });

  it('are shown with display-name', async () => {
    start('display-name=shop:%{GROUP}');
    const { socket, script } = group.serve('app.js', pidApp);
    const pid = Number(await answerOf(socket, script));
    expect(titleOf(pid)).to.equal('shop:test/0');
    expect(titleOf(group.pid)).to.equal('shop:test');
  });

  it('are replaced when they die, and their clients wait meanwhile', async () => {
    start();
    const { socket, script } = group.serve('app.js', pidApp);
    const first = Number(await answerOf(socket, script));
    process.kill(first, 'SIGKILL');
    await waitFor(() => !isAlive(first));
    expect(Number(await answerOf(socket, script))).to.be.greaterThan(first);
    await group.logged(
      new RegExp(`TSGI0507: worker 0 of app.js \\(pid ${first}\\) ended: signal SIGKILL`),
    );
  });

  it('leave no child of theirs behind', async () => {
    start();
    const { socket, script } = group.serve(
      'app.js',
      `const child = require('node:child_process').spawn('sleep', ['600'], { stdio: 'inherit' });
       module.exports = (req, res) => res.end(process.pid + ' ' + child.pid)`,
    );
    const [worker = 0, child = 0] = (await answerOf(socket, script)).split(' ').map(Number);
    process.kill(worker, 'SIGKILL');
    await waitFor(() => !isAlive(child), { what: 'the end of the child' });
  });

  it('have the uncaught error that ended them in the log', async () => {
    start();
    const { socket, script } = group.serve(
      'app.js',
      'module.exports = (req, res) => { throw new Error("no such order") }',
    );
    await group.ask(socket, script).catch(() => undefined);
    await group.logged(/TSGI0507: .* ended: exit status 1, last on stderr: Error: no such order/);
  });

  it('start at the first connection when they are on demand', async () => {
    start();
    const { socket, script } = group.serve('app.js', pidApp, { start: 'on-demand' });
    const other = group.serve('other.js', pidApp);
    await answerOf(other.socket, other.script);
    expect(group.workers()).to.have.length(1);
    await answerOf(socket, script);
    expect(group.workers()).to.have.length(2);
  });

  it('are killed when they do not get ready in time', async () => {
    start('startup-timeout=300');
    const { socket, script } = group.serve('app.js', 'for (;;);');
    await group.logged(/TSGI0505: worker 0 of app.js .* within startup-timeout \(0.3 s\)/);
    expect((await group.ask(socket, script)).unavailable?.code).to.equal(505);
  });

  it('get the environment of env-file and env, and nothing else', async () => {
    const file = join(import.meta.dirname, 'fixtures/app.env');
    start('env=ONE=1', 'env=TWO=a=b c', `env-file=${file}`, 'lang=de_DE.UTF-8');
    const { socket, script } = group.serve(
      'app.js',
      'module.exports = (req, res) => res.end(JSON.stringify(process.env))',
    );
    const env = JSON.parse(await answerOf(socket, script)) as Record<string, string>;
    expect(env).to.include({
      ONE: '1',
      TWO: 'a=b c',
      FILED: 'two words',
      LANG: 'de_DE.UTF-8',
      USER: 'tester',
    });
    expect(env).to.include({
      TSGI_HOSTED: '1',
      TSGI_PROCESS_GROUP: 'test',
      NODE_APP_INSTANCE: '0',
    });
    expect(env).to.have.property('PORT', '80');
    expect(env).not.to.have.any.keys('NODE_UNIQUE_ID', 'TSX_DISABLE_CACHE', 'TMPDIR');
  });

  it('wait for an env-file that cannot be read', async () => {
    const file = join('/tmp', `tsgi-env-${String(process.pid)}`);
    start(`env-file=${file}`);
    const { socket, script } = group.serve(
      'app.js',
      'module.exports = (req, res) => res.end(process.env.FROM)',
    );
    await group.logged(/TSGI0503: env-file .* ENOENT/);
    expect((await group.ask(socket, script)).unavailable?.code).to.equal(503);
    writeFileSync(file, 'FROM="two words"\n');
    const body = await waitFor(async () => answerOf(socket, script));
    rmSync(file);
    expect(body).to.equal('two words');
  });

  it('are replaced one after the other by SIGHUP, without a request lost', async () => {
    start();
    const script = group.write('app.js', 'module.exports = (req, res) => res.end("old")');
    const sockets = group.app('app', [script], { slots: 2 });
    for (const socket of sockets) expect(await answerOf(socket, script)).to.equal('old');
    const before = group.workers();
    group.write('app.js', 'module.exports = (req, res) => res.end("new")');
    process.kill(group.pid, 'SIGHUP');
    const bodies = new Set<string>();
    await waitFor(async () => {
      for (const socket of sockets) bodies.add(await answerOf(socket, script));
      return before.every((pid) => !isAlive(pid));
    });
    for (const socket of sockets) expect(await answerOf(socket, script)).to.equal('new');
    expect([...bodies].sort()).to.deep.equal(['new', 'old']);
  });

  it('stay when what SIGHUP starts does not work', async () => {
    start();
    const { socket, script } = group.serve('app.js', pidApp);
    const pid = await answerOf(socket, script);
    group.write('app.js', 'throw new Error("half deployed")');
    process.kill(group.pid, 'SIGHUP');
    await group.logged(/TSGI0607.*half deployed/);
    await group.logged(/TSGI0512/);
    expect(await answerOf(socket, script)).to.equal(pid);
  });

  it('finish what they have in hand before they are replaced', async () => {
    start();
    const { socket, script } = group.serve(
      'app.js',
      `const fs = require('node:fs');
       module.exports = (req, res) => {
         if (req.url !== '/slow') return res.end('quick');
         console.log('in hand');
         const timer = setInterval(() => {
           if (fs.existsSync(__dirname + '/go')) { clearInterval(timer); res.end('finished') }
         }, 10);
       }`,
    );
    const slow = group.ask(socket, script, '/slow');
    await group.logged(/out in hand/);
    const [old = 0] = group.workers();
    process.kill(group.pid, 'SIGHUP');
    await waitFor(() => group.workers().length === 2);
    await waitFor(async () => (await answerOf(socket, script)) === 'quick');
    expect(isAlive(old)).to.equal(true);
    group.write('go', '');
    expect((await slow).body).to.equal('finished');
    await waitFor(() => !isAlive(old));
  });

  it('serve beside those of another list of scripts until that one is not named any more', async () => {
    start();
    const one = group.write('one.js', 'module.exports = (req, res) => res.end("one")');
    const two = group.write('two.js', 'module.exports = (req, res) => res.end("two")');
    const [socket = ''] = group.app('shared', [one]);
    expect(await answerOf(socket, one)).to.equal('one');
    const before = group.workers();
    group.send('app', 'shared', '1', 'boot', 'exact', one);
    const [other = ''] = group.app('shared', [one, two]);
    group.send('apps-end');
    expect(await answerOf(other, two)).to.equal('two');
    expect(await answerOf(other, one)).to.equal('one');
    expect(await answerOf(socket, one)).to.equal('one');
    expect(group.workers()).to.include.members(before);
    group.send('app', 'shared', '1', 'boot', 'exact', one, two);
    group.send('apps-end');
    await waitFor(() => !before.some(isAlive));
    expect(await answerOf(other, one)).to.equal('one');
  });

  it('end when their application is not named any more', async () => {
    start();
    const kept = group.serve('kept.js', pidApp);
    const gone = group.serve('gone.js', pidApp);
    group.send('apps-end');
    const pid = Number(await answerOf(gone.socket, gone.script));
    const other = Number(await answerOf(kept.socket, kept.script));
    group.send('app', 'kept.js', '1', 'boot', 'exact', kept.script);
    group.send('apps-end');
    await waitFor(() => !isAlive(pid));
    expect(Number(await answerOf(kept.socket, kept.script))).to.equal(other);
  });

  it('move to other sockets when their application comes with new ones', async () => {
    start();
    const { socket, script } = group.serve('app.js', pidApp);
    const pid = Number(await answerOf(socket, script));
    const [other = ''] = group.app('app.js', [script]);
    expect(Number(await answerOf(other, script))).to.be.greaterThan(pid);
    await waitFor(() => !isAlive(pid));
  });

  it('are served on when Apache sends what is not understood', async () => {
    start();
    const { socket, script } = group.serve('app.js', pidApp);
    const pid = await answerOf(socket, script);
    group.send('dance');
    group.send('group', 'again', 'a1'.repeat(16), '5e'.repeat(32));
    await group.logged(/^3 \d+ host TSGI0502: .*unknown verb "dance"/);
    await group.logged(/^3 \d+ host TSGI0502: .*a second group message/);
    expect(await answerOf(socket, script)).to.equal(pid);
  });

  it('load scripts of a pattern at their first request, and outlive those that fail', async () => {
    start();
    group.write(
      'any/a.js',
      'exports.application = (environ, start) => { start("200 OK", []); return ["a"] }',
    );
    group.write('any/b.mjs', 'export default (req, res) => res.end("b")');
    group.write('any/broken.cjs', 'throw new Error("one of many")');
    const root = join(group.directory, 'any');
    const outside = group.write('outside.js', pidApp);
    const [socket = ''] = group.app('', [`${root}/`], { mode: 'pattern' });
    expect(await answerOf(socket, join(root, 'a.js'))).to.equal('a');
    expect((await group.ask(socket, join(root, 'broken.cjs'))).abort?.code).to.equal(607);
    expect(await answerOf(socket, join(root, 'b.mjs'))).to.equal('b');
    expect((await group.ask(socket, join(root, 'none.js'))).abort?.code).to.equal(601);
    expect((await group.ask(socket, outside)).abort?.code).to.equal(606);
    expect(group.workers()).to.have.length(1);
  });

  it('pass on what the app prints, line by line, with its pid', async () => {
    start();
    const { socket, script } = group.serve(
      'app.js',
      `process.stdout.write('one\\ntw'); process.stderr.write('warned\\n'); process.stdout.write('o\\n');
       module.exports = (req, res) => res.end(String(process.pid))`,
    );
    const pid = await answerOf(socket, script);
    await group.logged(new RegExp(`^5 ${pid} out one$`));
    await group.logged(new RegExp(`^5 ${pid} out two$`));
    await group.logged(new RegExp(`^4 ${pid} err warned$`));
  });
});

describe('the end of a group', () => {
  let group: TestGroup;
  const pids: number[] = [];
  beforeEach(() => {
    group = new TestGroup(['graceful-timeout=5000', 'shutdown-timeout=1000']);
  });
  afterEach(() => group.stop());

  async function startTwo(source = pidApp): Promise<void> {
    const script = group.write('app.js', source);
    const sockets = group.app('app', [script], { slots: 2 });
    pids.splice(0);
    for (const socket of sockets) pids.push(Number((await group.ask(socket, script)).body));
  }

  async function expectEnd(exit: string, timeoutMs?: number): Promise<void> {
    expect(await group.exited(timeoutMs)).to.equal(exit);
    expect(pids.filter(isAlive)).to.deep.equal([]);
    expect(childrenOf(group.pid)).to.deep.equal([]);
  }

  for (const verb of ['drain', 'shutdown']) {
    it(`comes by ${verb}, with status 0`, async () => {
      await startTwo();
      group.send(verb);
      await expectEnd('status 0');
    });
  }

  it('comes by drain within eviction-timeout, whatever is in hand', async () => {
    await group.stop();
    group = new TestGroup(['graceful-timeout=60000', 'eviction-timeout=300']);
    const { socket, script } = group.serve(
      'app.js',
      'module.exports = (req, res) => { if (req.url === "/") res.end(String(process.pid)) }',
    );
    pids.splice(0, Infinity, Number((await group.ask(socket, script)).body));
    const isCut = group
      .ask(socket, script, '/held', () => {
        group.send('drain');
      })
      .then(
        () => false,
        () => true,
      );
    await expectEnd('status 0', 5_000);
    expect(await isCut).to.equal(true);
  });

  it('comes by SIGTERM', async () => {
    await startTwo();
    process.kill(group.pid, 'SIGTERM');
    await expectEnd('status 0');
  });

  it('comes when Apache dies', async () => {
    await startTwo();
    group.closeCommands();
    await expectEnd('status 0', 3_500);
  });

  it('comes when Apache dies even if the workers are blocked', async () => {
    await startTwo(
      'module.exports = (req, res) => { res.end(String(process.pid)); setImmediate(() => { for (;;); }) }',
    );
    group.closeCommands();
    await expectEnd('status 0', 5_000);
  });

  it('takes the workers along when the supervisor is killed', async () => {
    await startTwo();
    process.kill(group.pid, 'SIGKILL');
    await group.exited();
    await waitFor(() => !pids.some(isAlive));
  });

  it('takes blocked workers along when the supervisor is killed', async () => {
    await startTwo(
      'process.on("SIGTERM", () => undefined); module.exports = (req, res) => { res.end(String(process.pid)); setImmediate(() => { for (;;); }) }',
    );
    process.kill(group.pid, 'SIGKILL');
    await group.exited();
    // graceful-timeout and a second: what stands for Apache here lives.
    await waitFor(() => !pids.some(isAlive), { timeoutMs: 10_000 });
  });

  it('lets an app with a SIGTERM handler clean up', async () => {
    await startTwo(
      `const server = require('node:http').createServer((req, res) => res.end(String(process.pid))).listen(3000);
       process.on('SIGTERM', () => server.close(() => { console.log('closed'); setTimeout(() => console.log('cleaned'), 50) }));`,
    );
    group.send('drain');
    await expectEnd('status 0');
    expect(group.log.filter((line) => line.endsWith('out cleaned'))).to.have.length(2);
  });

  it('does not come by SIGINT or SIGUSR1', async () => {
    await startTwo();
    process.kill(group.pid, 'SIGINT');
    process.kill(group.pid, 'SIGUSR1');
    process.kill(group.pid, 'SIGHUP');
    await waitFor(() => !pids.some(isAlive)); // It still reloads.
    expect(group.exit).to.equal(undefined);
    expect(group.log.join('\n')).not.to.include('Debugger listening');
  });
});
