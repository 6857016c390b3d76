import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { processOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

/** Blocks its event loop in the way that it is asked for. */
const source = `
const fs = require('node:fs');
const spin = (until) => { while (Date.now() < until); };
function spinForEver() {
  console.log('blocks');
  while (true);
}
require('node:http').createServer((req, res) => {
  const { pathname, searchParams } = new URL(req.url, 'http://x');
  const ms = Number(searchParams.get('ms'));
  const answer = () => res.end(String(process.pid));
  if (pathname === '/for-ever') spinForEver();
  if (pathname === '/after-io') return fs.stat('/', () => spinForEver());
  if (pathname === '/ticks') { const again = () => process.nextTick(again); return again(); }
  if (pathname === '/regexp') return res.end(String(/^(a+)+$/.test('a'.repeat(60) + 'b')));
  if (pathname === '/atomics') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  if (pathname === '/child') require('node:child_process').execSync('sleep 300');
  if (pathname === '/spin') spin(Date.now() + ms);
  if (pathname === '/slow') return setTimeout(answer, ms);
  if (pathname === '/begin') return res.write(process.pid + ' '), setTimeout(() => res.end('end'), ms);
  answer();
}).listen(3000);
`;

const group = (name: string, options: string): string =>
  `TSGIDaemonProcess ${name} ${options}\n` +
  `TSGIScriptAlias /${name} @ROOT@/apps/block.js process-group=${name}\n`;

/** What begins a group of its own for each test, since each loses a worker. */
const blocking = ['after-io', 'ticks', 'regexp', 'atomics', 'child', 'stopped'];

describe('deadlock-timeout', function () {
  this.timeout(60_000);
  let httpd: Httpd;

  const workers = (name: string): number[] =>
    httpd.processes(new RegExp(`^tsgi: worker ${name}/`)).map(({ pid }) => pid);
  const pidOf = async (url: string): Promise<number> => Number((await httpd.ask(url)).body);
  const isReplaced = (name: string, old: number): Promise<boolean> =>
    waitFor(() => !processOf(old) && workers(name).length > 0, {
      what: `the end of ${String(old)}, and another worker of ${name}`,
    });
  const linesOf = (pid: number): string[] =>
    httpd.log.matching(new RegExp(`\\[\\S+ ${String(pid)} host\\]`));
  /** Asks for what blocks. @returns what the log says of the worker that it was. */
  const logOfBlock = async (name: string, path: string): Promise<string> => {
    const old = await pidOf(`/${name}/`);
    expect((await httpd.ask(`/${name}/${path}`)).status).to.equal(502);
    await isReplaced(name, old);
    return linesOf(old).join('\n');
  };

  before(async () => {
    httpd = await Httpd.prepare({ config: '' });
    httpd.write('block.js', source);
    httpd.configure(
      group('pair', 'processes=2 deadlock-timeout=4s') +
        blocking.map((name) => group(name, 'deadlock-timeout=1s')).join('') +
        group('busy', 'deadlock-timeout=1s') +
        group('frozen', 'deadlock-timeout=1s') +
        group('off', 'deadlock-timeout=0') +
        group('debugged', 'deadlock-timeout=1s node-args=--inspect=127.0.0.1:0'),
    );
    await httpd.start();
    httpd.log.allow(/TSGI052[567]/, /host\] at /, /TSGI01\d\d/, /Debugger|debugging|inspector/);
  });
  after(() => httpd.stop());

  it('logs where the JavaScript is, kills the worker and starts another, while others serve', async () => {
    const ready = new Set<number>();
    await waitFor(async () => {
      const asked = [1, 2, 3, 4].map(() => pidOf('/pair/slow?ms=20'));
      for (const pid of await Promise.all(asked)) ready.add(pid);
      return ready.size === 2;
    });
    let isOver = false;
    const victim = httpd.ask('/pair/for-ever').finally(() => (isOver = true));
    const [line = ''] = await waitFor(() => {
      const found = httpd.log.matching(/ out\] blocks$/);
      return found.length > 0 ? found : undefined;
    });
    const old = Number(/(\d+) out\]/.exec(line)?.[1]);
    // A GET that came to it before its silence was noticed waits with it, and goes to the other one in the end.
    const served: number[] = [];
    const asked = Array.from({ length: 8 }, async () => served.push(await pidOf('/pair/')));
    await waitFor(() => served.length >= 4, { what: 'four answers of the other worker' });
    expect(isOver).to.equal(false);
    expect((await victim).status).to.equal(502);
    await Promise.all(asked);
    expect(served).to.not.include(old);
    await waitFor(() => workers('pair').length === 2 && !workers('pair').includes(old));
    const [first = '', ...stack] = linesOf(old);
    expect(first).to.match(/TSGI0525: .*blocked for 4 s \(deadlock-timeout\)/);
    expect(first).to.match(/scripts: \S+block\.js\. It was at spinForEver \(\S+block\.js:6:\d+\)$/);
    expect(stack[0]).to.match(/at spinForEver \(\S+block\.js:6:\d+\)/);
    expect(stack[1]).to.match(/at \S+ ?\(?\S*block\.js:12:\d+\)?/);
    expect(workers('pair')).to.include(served[0]);
  });

  it('sees a callback of I/O that does not return', async () => {
    expect(await logOfBlock('after-io', 'after-io')).to.match(/TSGI0525.*\n.*at spinForEver/);
  });

  it('sees ticks without end', async () => {
    expect(await logOfBlock('ticks', 'ticks')).to.match(/TSGI0525/);
  });

  it('sees a regular expression that backtracks without end', async () => {
    expect(await logOfBlock('regexp', 'regexp')).to.match(/TSGI0525.*block\.js:15/);
  });

  it('sees a wait for what never comes', async () => {
    expect(await logOfBlock('atomics', 'atomics')).to.match(/TSGI0525.*block\.js:16/);
  });

  it('says what the system knows of a wait in native code', async () => {
    expect(await logOfBlock('child', 'child')).to.match(
      /TSGI0526: .*in native code, no JavaScript stack to be had: state S/,
    );
  });

  it('kills a worker that is stopped', async () => {
    const old = await pidOf('/stopped/');
    process.kill(old, 'SIGSTOP');
    await isReplaced('stopped', old);
    expect(linesOf(old).join()).to.match(/TSGI0527: .*no sign of life for 1 s/);
    expect(await pidOf('/stopped/')).to.not.equal(old);
  });

  it('lets short blocks, long requests and idle workers be', async () => {
    const old = await pidOf('/busy/');
    for (let i = 0; i < 6; i++) await httpd.ask('/busy/spin?ms=400');
    expect(await pidOf('/busy/slow?ms=2500')).to.equal(old);
    expect(linesOf(old).join()).to.not.match(/TSGI052/);
  });

  it('does not count the time in which everything was stopped', async () => {
    const old = await pidOf('/frozen/');
    const [supervisor] = httpd.processes(/^tsgi: supervisor frozen$/);
    const frozen = [supervisor?.pid ?? 0, old];
    for (const pid of frozen) process.kill(pid, 'SIGSTOP');
    await httpd.ask('/off/slow?ms=2500');
    for (const pid of frozen) process.kill(pid, 'SIGCONT');
    expect(await pidOf('/frozen/slow?ms=2500')).to.equal(old);
  });

  it('is off by deadlock-timeout=0', async () => {
    const old = await pidOf('/off/');
    expect(await pidOf('/off/spin?ms=2500')).to.equal(old);
  });

  it('is off while the inspector listens', async () => {
    const old = await pidOf('/debugged/');
    expect(await pidOf('/debugged/spin?ms=2500')).to.equal(old);
  });
});

describe('eviction-timeout', function () {
  this.timeout(60_000);
  let httpd: Httpd;

  const pidOf = async (url: string): Promise<number> => Number((await httpd.ask(url)).body);
  const supervisorOf = (name: string): number =>
    httpd.processes(new RegExp(`^tsgi: supervisor ${name}$`))[0]?.pid ?? 0;

  before(async () => {
    httpd = await Httpd.prepare({ config: '' });
    httpd.write('block.js', source);
    httpd.configure(
      group('short', 'eviction-timeout=300ms graceful-timeout=1m') +
        group(
          'recycled',
          'eviction-timeout=300ms graceful-timeout=1m maximum-requests=2 jitter=0',
        ) +
        group('inherited', 'graceful-timeout=300ms'),
    );
    await httpd.start();
    httpd.log.allow(/TSGI0508.*within 0\.3 s/, /TSGI0731.*within the 0\.3 s/, /TSGI01\d\d/);
  });
  after(() => httpd.stop());

  for (const name of ['short', 'inherited']) {
    it(`ends what a worker has in hand at a reload (${name})`, async () => {
      const client = await httpd.raw(`GET /${name}/begin?ms=20000 HTTP/1.1\r\nHost: x\r\n\r\n`);
      const [, pid = ''] = await waitFor(() => /^(\d+) /m.exec(client.received()));
      process.kill(supervisorOf(name), 'SIGHUP');
      await client.closed;
      client.socket.destroy();
      expect(client.received()).to.not.contain('end');
      expect(await pidOf(`/${name}/`)).to.not.equal(Number(pid));
    });
  }

  it('is not meant for a worker that is recycled', async () => {
    const slow = httpd.ask('/recycled/slow?ms=1500');
    await httpd.ask('/recycled/');
    const { status, body } = await slow;
    expect(status).to.equal(200);
    await waitFor(async () => (await pidOf('/recycled/')) !== Number(body));
  });
});
