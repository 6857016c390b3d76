import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd, type Mpm } from '../harness/httpd.ts';
import { processOf, type Process } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

/** Closes its server at SIGTERM as apps do, and says what it goes through. */
const orderly = `
const server = require('node:http').createServer((req, res) => {
  const { pathname, searchParams } = new URL(req.url, 'http://x');
  if (pathname.endsWith('/slow')) {
    console.log('in hand');
    setTimeout(() => res.end('finished'), Number(searchParams.get('ms')));
  } else setTimeout(() => res.end(String(process.pid)), 20);
}).listen(3000);
server.on('close', () => console.log('said: close'));
process.on('SIGTERM', (signal) => {
  console.log('said: ' + signal);
  server.close(() => setTimeout(() => console.log('said: cleaned'), 50));
});
process.on('exit', (code) => console.log('said: exit ' + code));
`;

/** Says something as it ends, though it hears no signal. */
const plain = `
require('node:http').createServer((req, res) => res.end(String(process.pid))).listen(3000);
process.on('exit', (code) => console.log('plain said: exit ' + code));
`;

const config = `
TSGIDaemonProcess orderly processes=2
TSGIDaemonProcess plain
TSGIScriptAlias /orderly @ROOT@/apps/orderly.js process-group=orderly
TSGIScriptAlias /plain @ROOT@/apps/plain.js process-group=plain
`;

/** Both workers of the orderly app, and the one of the plain app, have answered. */
async function serves(httpd: Httpd): Promise<void> {
  const pids = new Set<string>();
  await waitFor(async () => {
    const asked = [1, 2, 3, 4].map(() => httpd.ask('/orderly'));
    for (const { body } of await Promise.all(asked)) pids.add(body);
    return pids.size === 2;
  });
  await httpd.ask('/plain');
}

const ours = (httpd: Httpd) => httpd.processes(/^tsgi:/);
const isAlive = ({ pid, title }: Process) => processOf(pid)?.title === title;
const said = (httpd: Httpd, what: RegExp) => httpd.log.matching(what).length;

/** What has to be true when httpd has ended, however that was asked for. */
function expectOrder(httpd: Httpd, before: readonly Process[]): void {
  expect(before.filter(isAlive), 'processes').to.deep.equal([]);
  expect(readdirSync(join(httpd.dir, 'run')), 'files').to.deep.equal([]);
  expect(said(httpd, /said: SIGTERM/), 'SIGTERM').to.equal(2);
  expect(said(httpd, / said: close/), 'close').to.equal(2);
  expect(said(httpd, /said: cleaned/), 'cleaned').to.equal(2);
  expect(said(httpd, /\bout\] said: exit 0/), 'exit').to.equal(2);
  expect(said(httpd, /plain said: exit 0/), 'exit of the plain app').to.equal(1);
}

/** Whether a socket of that local port is open but for the listening one (0A) and those of nobody (06). */
function hasConnections(port: number): boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')} `;
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/ +/))
    .some(
      ([, address = '', , state]) => `${address} `.endsWith(local) && !/0A|06/.test(state ?? ''),
    );
}

describe('the end of httpd', function () {
  this.timeout(60_000);
  let httpd: Httpd;
  afterEach(() => httpd.stop());

  async function startWith(mpm: Mpm = 'event', args?: readonly string[]): Promise<void> {
    httpd = await Httpd.prepare({ config, mpm });
    httpd.write('orderly.js', orderly);
    httpd.write('plain.js', plain);
    await httpd.start(args);
    await serves(httpd);
  }

  const ways: readonly (readonly [string, NodeJS.Signals, Mpm])[] = [
    ['SIGTERM', 'SIGTERM', 'event'],
    ['SIGINT of a foreground httpd', 'SIGINT', 'event'],
    ['apachectl graceful-stop', 'SIGWINCH', 'event'],
    ['SIGTERM', 'SIGTERM', 'worker'],
    ['SIGTERM', 'SIGTERM', 'prefork'],
    ['apachectl graceful-stop', 'SIGWINCH', 'prefork'],
  ];
  for (const [what, signal, mpm] of ways) {
    it(`by ${what} lets the apps close their servers and say their last words (${mpm})`, async () => {
      await startWith(mpm);
      const below = ours(httpd);
      expect(below.filter(({ title }) => title.includes('worker'))).to.have.length(3);
      httpd.signal(signal);
      expect(await httpd.exited).to.equal(0);
      // At that moment, not later: systemd kills what the main process leaves behind.
      expectOrder(httpd, below);
      expect(existsSync(join(httpd.dir, 'httpd.pid'))).to.equal(false);
      await httpd.start();
      await serves(httpd);
    });
  }

  it('by SIGTERM of httpd -X is just as orderly', async () => {
    await startWith('event', ['-X']);
    const below = ours(httpd);
    // In one process, httpd closes the sockets of its threads while they still use them, and may crash.
    await waitFor(() => !hasConnections(httpd.port), { what: 'the end of the connections' });
    httpd.signal('SIGTERM');
    expect(await httpd.exited).to.equal(0);
    expectOrder(httpd, below);
  });

  it('by graceful-stop waits for a request in hand, and its answer comes whole', async () => {
    await startWith();
    const slow = httpd.ask('/orderly/slow?ms=2000');
    await waitFor(() => said(httpd, /in hand/) === 1);
    const below = ours(httpd);
    httpd.signal('SIGWINCH');
    const { status, body, complete } = await slow;
    expect({ status, body, complete }).to.deep.equal({
      status: 200,
      body: 'finished',
      complete: true,
    });
    expect(await httpd.exited).to.equal(0);
    expectOrder(httpd, below);
  });

  it('kills what does not end within shutdown-timeout, and not what is left until then', async () => {
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess deaf shutdown-timeout=1s
TSGIDaemonProcess blocked shutdown-timeout=1s
TSGIDaemonProcess stopped shutdown-timeout=1s
TSGIScriptAlias /deaf @ROOT@/apps/deaf.js process-group=deaf
TSGIScriptAlias /blocked @ROOT@/apps/blocked.js process-group=blocked
TSGIScriptAlias /stopped @ROOT@/apps/plain.js process-group=stopped
`,
    });
    httpd.log.allow(/TSGI0508/, /AH00045/);
    httpd.write('plain.js', plain);
    httpd.write(
      'deaf.js',
      `process.on('SIGTERM', () => setInterval(() => undefined, 1000));\n${plain}`,
    );
    httpd.write(
      'blocked.js',
      `require('node:http').createServer((req, res) => {
        res.end('ok', () => setImmediate(() => { for (;;); }));
      }).listen(3000);`,
    );
    await httpd.start();
    for (const path of ['/deaf', '/blocked', '/stopped']) await httpd.ask(path);
    for (const { pid } of httpd.processes(/^tsgi: (worker|supervisor) stopped/)) {
      process.kill(pid, 'SIGSTOP');
    }
    const below = ours(httpd);
    httpd.signal('SIGTERM');
    expect(await httpd.exited).to.equal(0);
    expect(below.filter(isAlive)).to.deep.equal([]);
  });
});
