import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request, type ClientRequest } from 'node:http';
import { connect as connect2 } from 'node:http2';
import { connect } from 'node:net';
import { expect } from 'chai';
import { Httpd, type Mpm } from '../harness/httpd.ts';
import { processOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

/** One request before the gate of test/apps/gate.js. */
interface Held {
  readonly request: ClientRequest;
  status?: number;
  retryAfter?: string;
  isOver: boolean;
}

function hold(port: number, path: string): Held {
  const held: Held = {
    request: request({ host: '127.0.0.1', port, path, agent: false }),
    isOver: false,
  };
  held.request.on('response', (res) => {
    held.status = res.statusCode ?? 0;
    held.retryAfter = String(res.headers['retry-after']);
    res.resume();
    res.on('close', () => (held.isOver = true));
  });
  held.request.on('error', () => (held.isOver = true));
  held.request.end();
  return held;
}

const statuses = (all: readonly Held[]) =>
  all.reduce<Record<string, number>>((sum, { status = 'none' }) => {
    sum[status] = (sum[status] ?? 0) + 1;
    return sum;
  }, {});
const over = (all: readonly Held[]) => all.filter(({ isOver }) => isOver);

/** Lets through everything that waits before the gate, until all of it is over. */
async function openGate(httpd: Httpd, name: string, all: readonly Held[]): Promise<void> {
  const socket = connect(`${httpd.dir}/run/${name}.gate`);
  await once(socket, 'data');
  await waitFor(() => over(all).length === all.length, { what: 'the end of what was held' });
  socket.end(); // The app closes its side when the gate is shut again.
  await once(socket, 'close');
}

/** Sends so many at once; resolves when those that are refused have been. */
async function crowd(httpd: Httpd, path: string, count: number, kept: number): Promise<Held[]> {
  const all = Array.from({ length: count }, () => hold(httpd.port, path));
  await waitFor(() => over(all).length >= count - kept, {
    what: `${String(count - kept)} refusals of ${path}`,
  });
  return all;
}

const group = (name: string, options: string) =>
  `TSGIDaemonProcess ${name} env=GATE=@ROOT@/run/${name}.gate ${options}
TSGIScriptAlias /${name} @APPS@/gate.js process-group=${name}\n`;

const overloaded = /TSGI0195: group \w+ is overloaded: request \S+ got 503, as did \d+ others/;

describe('the queue of an application group', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.start({
      config: [
        group('small', 'concurrency=2 queue-size=3 apache-threads=40'),
        group('none', 'concurrency=1 queue-size=0 apache-threads=40'),
        group(
          'boot',
          'concurrency=1 queue-size=1 apache-threads=40 start=on-demand env=BOOT=@ROOT@/apps/boot',
        ),
      ].join(''),
    });
    httpd.log.allow(overloaded);
    for (const name of ['small', 'none']) await httpd.ask(`/${name}/now`);
  });
  after(() => httpd.stop());

  it('takes as many as it may, and the others are refused at once', async () => {
    for (let round = 0; round < 3; round++) {
      const all = await crowd(httpd, '/small/x', 20, 5);
      expect(statuses(all)).to.deep.equal({ none: 5, 503: 15 });
      expect(over(all).map(({ retryAfter }) => retryAfter)).to.deep.equal(Array(15).fill('2'));
      await openGate(httpd, 'small', all);
      expect(statuses(all)).to.deep.equal({ 200: 5, 503: 15 });
    }
    expect(httpd.log.matching(/TSGI0193: .*group small, request/).length).to.equal(45);
  });

  it('may be empty: then only as many as the workers begin with are let in', async () => {
    const all = await crowd(httpd, '/none/x', 9, 1);
    await openGate(httpd, 'none', all);
    expect(statuses(all)).to.deep.equal({ 200: 1, 503: 8 });
    expect((await httpd.ask('/none/now')).status).to.equal(200);
  });

  it('holds those who wait for workers that start', async () => {
    const all = await crowd(httpd, '/boot/now', 8, 2);
    expect(statuses(all)).to.deep.equal({ none: 2, 503: 6 });
    writeFileSync(`${httpd.dir}/apps/boot`, '');
    await waitFor(() => over(all).length === 8, { what: 'the answers of the worker' });
    expect(statuses(all)).to.deep.equal({ 200: 2, 503: 6 });
  });

  it('is free again when clients go away', async () => {
    const all = await crowd(httpd, '/small/x', 8, 5);
    const gone = httpd.log.matching(/TSGI0182/).length + 5;
    for (const held of all) held.request.destroy();
    await waitFor(() => httpd.log.matching(/TSGI0182/).length >= gone, {
      what: 'clients noticed as gone',
    });
    const again = await crowd(httpd, '/small/x', 8, 5);
    expect(statuses(again)).to.deep.equal({ none: 5, 503: 3 });
    await openGate(httpd, 'small', again);
  });

  it('fills the error log with one line a second, not with one for each refusal', async () => {
    const before = httpd.log.matching(overloaded).length;
    const start = performance.now();
    for (let i = 0; i < 10; i++) {
      const all = await crowd(httpd, '/small/x', 40, 5);
      await openGate(httpd, 'small', all);
    }
    const seconds = (performance.now() - start) / 1000;
    const lines = httpd.log.matching(overloaded).length - before;
    expect(lines).to.be.at.most(3 * (Math.ceil(seconds) + 1)); // three children
    expect(lines).to.be.lessThan(350);
  });
});

for (const mpm of ['event', 'worker', 'prefork'] satisfies Mpm[]) {
  describe(`a group that hangs (${mpm})`, () => {
    let httpd: Httpd;
    /** Half of MaxRequestWorkers. */
    const most = 8;
    before(async () => {
      httpd = await Httpd.start({
        mpm,
        limits:
          mpm === 'prefork'
            ? 'StartServers 16\nServerLimit 16\nMinSpareServers 1\nMaxSpareServers 16\nMaxRequestWorkers 16\n'
            : 'StartServers 2\nServerLimit 2\nThreadsPerChild 8\nThreadLimit 8\nMaxRequestWorkers 16\nMinSpareThreads 1\nMaxSpareThreads 16\n',
        config: group('hung', '') + group('fine', ''),
      });
      writeFileSync(`${httpd.dir}/htdocs/file.txt`, 'static');
      httpd.log.allow(overloaded, /AH00484|AH00161|AH00288|AH10159/); // all of httpd's threads in use
      await waitFor(() => httpd.children().length >= (mpm === 'prefork' ? 16 : 2), {
        what: 'all children',
      });
      for (const name of ['hung', 'fine']) await httpd.ask(`/${name}/now`);
    });
    after(() => httpd.stop());

    it('holds half of the threads, and the rest serves others and refuses', async () => {
      const all = await crowd(httpd, '/hung/x', 12, most);
      expect(statuses(all)).to.deep.equal({ none: most, 503: 4 });
      expect(over(all).map(({ retryAfter }) => retryAfter)).to.deep.equal(Array(4).fill('2'));
      for (let i = 0; i < 20; i++) {
        expect((await httpd.ask('/file.txt')).body).to.equal('static');
        expect((await httpd.ask('/fine/now')).body).to.equal('now');
        expect((await httpd.ask('/hung/now')).status).to.equal(503);
      }
      expect(httpd.log.matching(/TSGI0194: .*group hung, request/).length).to.equal(24);
      await openGate(httpd, 'hung', all);
      expect(statuses(all)).to.deep.equal({ 200: most, 503: 4 });
      expect((await httpd.ask('/hung/now')).status).to.equal(200);
    });

    it('gets its threads back when it goes on, and when clients go away', async () => {
      const all = await crowd(httpd, '/hung/x', 10, most);
      expect(statuses(all)).to.deep.equal({ none: most, 503: 2 });
      const gone = httpd.log.matching(/TSGI0182/).length + most;
      for (const held of all) held.request.destroy();
      await waitFor(() => httpd.log.matching(/TSGI0182/).length >= gone, {
        what: 'clients noticed as gone',
      });
      const again = await crowd(httpd, '/hung/x', 10, most);
      expect(statuses(again)).to.deep.equal({ none: most, 503: 2 });
      await openGate(httpd, 'hung', again);
    });

    it('gets back those of an Apache child that was killed', async () => {
      const all = await crowd(httpd, '/hung/x', 10, most);
      const children = httpd.children();
      const killed = mpm === 'prefork' ? children : children.slice(0, 1);
      for (const pid of killed) process.kill(pid, 'SIGKILL');
      await waitFor(() => killed.every((pid) => !processOf(pid)), { what: 'their end' });
      await openGate(httpd, 'hung', all);
      await waitFor(
        async () => {
          const again = Array.from({ length: 10 }, () => hold(httpd.port, '/hung/x'));
          await waitFor(() => over(again).length >= 2, { what: 'refusals' });
          const kept = again.length - over(again).length;
          await openGate(httpd, 'hung', again);
          return kept === most;
        },
        { what: 'as many threads as before', timeoutMs: 15_000 },
      );
    });
  });
}

describe('a group that may hold few threads', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.start({
      modules: ['http2'],
      config: `Protocols h2c http/1.1
${group('few', 'apache-threads=3')}${group('some', 'apache-threads=8')}${group('one', 'apache-threads=1')}
<Location /one/outer>
  Options +Includes
  SetOutputFilter INCLUDES
</Location>
`,
    });
    httpd.log.allow(overloaded);
    for (const name of ['few', 'some', 'one']) await httpd.ask(`/${name}/now`);
  });
  after(() => httpd.stop());

  it('may hold as many again for HTTP/2', async () => {
    const plain = await crowd(httpd, '/few/x', 5, 3);
    const session = connect2(`http://127.0.0.1:${String(httpd.port)}`);
    await once(session, 'connect');
    const heads: (number | undefined)[] = [];
    for (let i = 0; i < 5; i++) {
      const stream = session.request({ ':path': '/few/x' });
      stream.on('response', (head) => heads.push(head[':status'])).on('error', () => undefined);
      stream.resume().end();
    }
    await waitFor(() => heads.length >= 2, { what: 'two refusals' });
    expect(heads).to.deep.equal([503, 503]);
    await openGate(httpd, 'few', plain);
    expect(statuses(plain)).to.deep.equal({ 200: 3, 503: 2 });
    await waitFor(() => heads.length === 5, { what: 'the other three' });
    expect(heads.slice(2)).to.deep.equal([200, 200, 200]);
    session.destroy();
    const again = await crowd(httpd, '/few/x', 5, 3);
    expect(statuses(again)).to.deep.equal({ none: 3, 503: 2 });
    await openGate(httpd, 'few', again);
  });

  it('serves the requests of more clients one after the other while it makes progress', async () => {
    const clients = Array.from({ length: 30 }, async () => {
      const seen: number[] = [];
      for (let i = 0; i < 20; i++) seen.push((await httpd.ask('/some/now')).status);
      return seen;
    });
    const seen = (await Promise.all(clients)).flat();
    // All of them, were it not for moments in which a busy machine gives the app no time. If nobody
    // waited, most of these would be refused: there are four times as many clients as threads.
    expect(seen.filter((status) => status === 503).length).to.be.lessThan(seen.length / 5);
  });

  it('needs one thread only where an answer of it includes another one', async () => {
    expect((await httpd.ask('/one/outer')).body).to.equal('outer now');
  });
});
