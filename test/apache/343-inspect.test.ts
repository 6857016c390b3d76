/** inspect=: a debugger's port for each worker, on the loopback, and by no other way. */
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { expect } from 'chai';
import { WebSocket } from 'undici';
import { freePort, Httpd } from '../harness/httpd.ts';
import { fdsOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

interface Target {
  readonly title: string;
  readonly webSocketDebuggerUrl: string;
}

/** What a debugger asks first. */
function targets(port: number): Promise<Target[]> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path: '/json/list', agent: false }, (res) => {
      let text = '';
      res.on('error', reject);
      res.on('data', (chunk: Buffer) => (text += chunk.toString()));
      res.on('end', () => {
        resolve(JSON.parse(text) as Target[]);
      });
    })
      .on('error', reject)
      .end();
  });
}

/** Evaluates an expression as the console of a debugger does. */
async function evaluate(port: number, expression: string): Promise<unknown> {
  const [target] = await targets(port);
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '');
  try {
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', reject);
    });
    const answered = new Promise<string>((resolve, reject) => {
      socket.addEventListener('message', ({ data }) => {
        resolve(String(data));
      });
      socket.addEventListener('close', () => {
        reject(new Error('expected an answer; the worker has ended'));
      });
    });
    socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } }));
    const { result } = JSON.parse(await answered) as { result: { result: { value: unknown } } };
    return result.result.value;
  } finally {
    socket.close();
  }
}

/** Addresses at which a process listens, as /proc/net has them: `0100007F:240D`. */
function listening(pid: number): string[] {
  const inodes = Object.values(fdsOf(pid)).map((target) => /socket:\[(\d+)\]/.exec(target)?.[1]);
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${String(pid)}/net/${table}`, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === '0A' && inodes.includes(inode))
      .map(([, address = '']) => address),
  );
}
const loopback = (port: number): string =>
  `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;

/** So many ports in a row that were free a moment ago. */
async function freePorts(count: number): Promise<number> {
  return waitFor(async () => {
    const first = await freePort();
    const taken = readFileSync('/proc/net/tcp', 'utf8') + readFileSync('/proc/net/tcp6', 'utf8');
    const all = Array.from({ length: count }, (_, i) => (first + i).toString(16).toUpperCase());
    return (
      first < 65_000 && all.every((port) => !taken.includes(`:${port.padStart(4, '0')} `)) && first
    );
  });
}

describe('the inspector of workers', () => {
  let httpd: Httpd;
  let first: number;
  before(async () => {
    first = await freePorts(4);
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess inspected processes=2 inspect=${String(first)}
TSGIScriptAlias /one @ROOT@/apps/one.cjs process-group=inspected
TSGIScriptAlias /two @ROOT@/apps/two.cjs process-group=inspected
TSGIDaemonProcess plain
TSGIScriptAlias /plain @ROOT@/apps/one.cjs process-group=plain
TSGIDaemonProcess last processes=2 inspect=65535
TSGIScriptAlias /last @ROOT@/apps/one.cjs process-group=last`,
    });
    const source = `
      globalThis.hold = [];
      require('node:http').createServer((req, res) => {
        if (req.url === '/hold') { res.write('held'); hold.push(res); }
        else if (req.url === '/release') { hold.forEach((one) => one.end()); res.end(); }
        else res.end(JSON.stringify({ pid: process.pid, execArgv: process.execArgv }));
      }).listen(3000);`;
    httpd.write('one.cjs', source);
    httpd.write('two.cjs', source);
    httpd.log.allow(/Debugger (listening|attached|ending)|For help, see|Waiting for the debugger/);
    await httpd.start();
  });
  after(() => httpd.stop());

  const pidAt = async (port: number): Promise<number> =>
    (await evaluate(port, 'process.pid')) as number;
  const workers = (group: string): number[] =>
    httpd.processes(new RegExp(`^tsgi: worker ${group}/`)).map(({ pid }) => pid);

  it('has a port for each worker of the group, counted up', async () => {
    await waitFor(() => workers('inspected').length === 4);
    const pids = await waitFor(async () =>
      Promise.all([0, 1, 2, 3].map((ordinal) => pidAt(first + ordinal))),
    );
    expect([...pids].sort()).to.deep.equal(workers('inspected').sort());
  });

  it('is open on the loopback alone, and leaves no trace in what the app starts', async () => {
    for (const pid of workers('inspected')) expect(listening(pid)).to.have.length(1);
    const [pid = 0] = workers('inspected').filter((one) =>
      listening(one).includes(loopback(first)),
    );
    expect(pid).to.be.greaterThan(0);
    const told = JSON.parse((await httpd.ask('/one')).body) as { execArgv: string[] };
    expect(told.execArgv).to.deep.equal([]);
  });

  it('comes back at the same port when a worker was replaced, as soon as the old one has ended', async () => {
    const old = await pidAt(first);
    const client = await httpd.raw('GET /one/hold HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await waitFor(() => client.received().includes('held'));
    const before = new Set(workers('inspected'));
    httpd.write('one.cjs', readFileSync(`${httpd.dir}/apps/one.cjs`, 'utf8') + '\n');
    await waitFor(() => workers('inspected').filter((pid) => !before.has(pid)).length === 2);
    client.socket.destroy();
    const fresh = await waitFor(async () => {
      const pid = await pidAt(first).catch(() => old);
      return pid !== old && pid;
    });
    expect(workers('inspected')).to.include(fresh);
    await waitFor(async () => !before.has(await pidAt(first + 1)));
    expect(before.has(await pidAt(first + 2))).to.equal(true);
  });

  it('does not open by a signal', async () => {
    for (const group of ['plain', 'inspected']) {
      const all = workers(group);
      expect(all).to.not.deep.equal([]);
      const open = all.map(listening);
      for (const pid of all) process.kill(pid, 'SIGUSR1');
      await httpd.ask(group === 'plain' ? '/plain' : '/one');
      expect(all.map(listening)).to.deep.equal(open);
      expect(workers(group)).to.have.members(all);
    }
  });

  it('that would need a port which there is not is left closed, and the app is served', async () => {
    expect((await httpd.ask('/last')).status).to.equal(200);
    httpd.log.allow(/TSGI0631.*127\.0\.0\.1, port 65536/);
    await waitFor(() => httpd.log.matching(/TSGI0631/).length > 0);
  });
});
