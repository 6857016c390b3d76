import { connect } from 'node:http2';
import { once } from 'node:events';
import { expect } from 'chai';
import type { Answer, Ask } from '../harness/client.ts';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

/** Every group has the one limit that it is about; all others are the defaults. */
const config = `
Protocols h2c http/1.1
TSGIDaemonProcess defaults
TSGIDaemonProcess none request-timeout=0
TSGIDaemonProcess request request-timeout=1s
TSGIDaemonProcess socket socket-timeout=1s
TSGIDaemonProcess socket-alone socket-timeout=1s request-timeout=0
TSGIDaemonProcess queue queue-timeout=1s concurrency=1
TSGIDaemonProcess poison
TSGIDaemonProcess poisons processes=3
TSGIScriptAlias /defaults @APPS@/timeouts.js process-group=defaults
TSGIScriptAlias /none @APPS@/timeouts.js process-group=none
TSGIScriptAlias /request @APPS@/timeouts.js process-group=request
TSGIScriptAlias /callable @ROOT@/apps/callable.js process-group=request
TSGIScriptAlias /fetch @ROOT@/apps/fetch.mjs process-group=request
TSGIScriptAlias /socket @APPS@/timeouts.js process-group=socket
TSGIScriptAlias /socket-alone @APPS@/timeouts.js process-group=socket-alone
TSGIScriptAlias /queue @APPS@/timeouts.js process-group=queue
TSGIScriptAlias /poison @APPS@/poison.js process-group=poison
TSGIScriptAlias /poisons @APPS@/poison.js process-group=poisons
ErrorDocument 502 "the page for 502"
ErrorDocument 503 "the page for 503"
ErrorDocument 504 "the page for 504"
`;

const callable = `
let seen = '';
exports.application = async (environ, startResponse) => {
  if (environ.PATH_INFO === '/hang') {
    const signal = environ['tsgi.signal'];
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    seen = signal.reason.name + ',' + (signal === environ['tsgi.signal']);
  }
  startResponse(200, []);
  return seen;
};
`;
const fetchHandler = `
let seen = '';
export default { async fetch(request) {
  if (request.url.endsWith('/hang')) {
    await new Promise((resolve) => request.signal.addEventListener('abort', resolve));
    seen = 'aborted';
  }
  return new Response(seen);
} };
`;

/** A client that sends a piece of its body, rests, and sends another. */
async function* resting(ms: number, piece = 'x'.repeat(1000)): AsyncGenerator<string> {
  yield piece;
  const end = performance.now() + ms;
  await waitFor(() => performance.now() >= end);
  yield piece;
}

function expectPage(answer: Answer, status: number): string {
  expect(answer.status).to.equal(status);
  expect(answer.body).to.equal(`the page for ${String(status)}`);
  const id = String(answer.headers['tsgi-request-id']);
  expect(id).to.match(/^[\w+/-]{8,}$/);
  if (status === 503) expect(answer.headers).to.have.property('retry-after');
  return id;
}

describe('time limits', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ modules: ['http2'], config });
    httpd.write('callable.js', callable);
    httpd.write('fetch.mjs', fetchHandler);
    httpd.log.allow('TSGI01[79]', 'TSGI0712', 'TSGI0730', 'TSGI0507', 'h2_');
    await httpd.start();
  });
  after(() => httpd.stop());

  const ask = (path: string, options?: Ask) => httpd.ask(path, options);
  /** The lines about a request are there, under the ids. */
  const logged = (request: string, ...ids: string[]) =>
    waitFor(
      () => ids.every((id) => httpd.log.lines().some((l) => l.includes(id) && l.includes(request))),
      { what: `${ids.join(', ')} for ${request}\n${httpd.log.tail()}` },
    );
  const workers = (group: string) =>
    httpd.processes(new RegExp(`^tsgi: worker ${group}/`)).map(({ pid }) => pid);

  describe('request-timeout', () => {
    it('is what apps are told, 60 s where nothing is said', async () => {
      expect((await ask('/request/limit')).body).to.equal('1000');
      expect((await ask('/defaults/limit')).body).to.equal('60000');
      expect((await ask('/none/limit')).body).to.equal('0');
    });

    it('is a 504 with an id; the app sees its signal and a client that left; other requests go on', async () => {
      const before = workers('request');
      const stream = ask('/request/stream?pieces=30');
      const id = expectPage(await ask('/request/hang'), 504);
      await logged(id, 'TSGI0177');
      await waitFor(() => httpd.log.matching(/TSGI0730: .*request-timeout \(1 s\)/).length > 0);
      const seen = await waitFor(
        async () => {
          const events = (await ask('/request/seen')).body.split(',');
          return events.length === 4 && events;
        },
        { what: 'the end that the app sees' },
      );
      expect(seen[0]).to.equal('TimeoutError');
      expect(seen).to.include.members(['req ECONNRESET', 'req close', 'res close']);
      const whole = await stream;
      expect([whole.complete, whole.body.slice(-9)]).to.deep.equal([true, 'more last']);
      expect(workers('request')).to.deep.equal(before);
    });

    it('ends a callable in the same way', async () => {
      expectPage(await ask('/callable/hang'), 504);
      await waitFor(async () => (await ask('/callable/seen')).body === 'TimeoutError,true');
    });

    it('ends a fetch handler in the same way', async () => {
      expectPage(await ask('/fetch/hang'), 504);
      await waitFor(async () => (await ask('/fetch/seen')).body === 'aborted');
    });

    it('ends a request with a body too, when that has come', async () => {
      expectPage(await ask('/request/unread', { method: 'POST', body: 'small' }), 504);
    });

    it('does not count the time that a client takes to send its body', async () => {
      const answer = await ask('/request/upload', { method: 'POST', body: resting(2500) });
      expect([answer.status, answer.body]).to.deep.equal([200, '2000']);
    });

    it('comes from Apache itself when the event loop is blocked', async () => {
      const blocked = await ask('/request/block?ms=6000');
      await logged(expectPage(blocked, 504), 'TSGI0198');
      // What waits behind it is not late: no app has it yet.
      expect((await ask('/request/limit')).status).to.equal(200);
    });
  });

  describe('queue-timeout', () => {
    it('is a 503 with an id for what no worker takes, whatever its method', async () => {
      const first = await httpd.raw(
        'GET /queue/stream?pieces=60 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      );
      await waitFor(() => first.received().includes('first')); // The one place is taken.
      const others = await Promise.all([
        ask('/queue/seen'),
        ask('/queue/seen', { method: 'POST', body: 'x' }),
        ask('/queue/seen', { method: 'POST' }),
        ask('/queue/seen', { method: 'POST', body: resting(2500) }),
      ]);
      expect(first.received()).to.not.include('last');
      for (const answer of others) await logged(expectPage(answer, 503), 'TSGI0170');
      await first.closed;
      expect(first.received()).to.include('last');
      first.socket.destroy();
    });

    it('does not count the time that a client takes to send its body', async () => {
      const answer = await ask('/queue/upload', { method: 'POST', body: resting(2500) });
      expect([answer.status, answer.body]).to.deep.equal([200, '2000']);
    });

    it('does not count the time that an app takes', async () => {
      expect((await ask('/queue/late?ms=2500')).body).to.equal('late');
    });
  });

  for (const group of ['socket', 'socket-alone']) {
    describe(`socket-timeout (${group})`, () => {
      it('is a 504 with an id before the response head', async () => {
        await logged(expectPage(await ask(`/${group}/hang`), 504), 'TSGI0176');
        await waitFor(async () => (await ask(`/${group}/seen`)).body.startsWith('AbortError'));
      });

      it('is a 504 when the app does not read an upload', async () => {
        const body = Buffer.alloc(4 * 1024 * 1024);
        const answer = await ask(`/${group}/unread`, {
          method: 'POST',
          body,
          headers: { Expect: '100-continue' },
        });
        await logged(expectPage(answer, 504), 'TSGI0176');
      });

      it('does not count the time that a client takes to send its body', async () => {
        const answer = await ask(`/${group}/upload`, { method: 'POST', body: resting(2500) });
        expect([answer.status, answer.body]).to.deep.equal([200, '2000']);
      });

      it('lets a response live as long as it says something', async () => {
        const answer = await ask(`/${group}/stream?pieces=25`);
        expect([answer.complete, answer.body.slice(-9)]).to.deep.equal([true, 'more last']);
      });
    });
  }

  describe('a response that is not whole', () => {
    const ends = { silent: 'TSGI0176', destroy: 'TSGI0712', die: 'TSGI0174' };
    for (const [path, id] of Object.entries(ends)) {
      for (const query of ['', '?length']) {
        const what = query === '' ? 'no last chunk' : 'too few bytes';
        it(`(${path}) has ${what} on HTTP/1.1`, async () => {
          const before = httpd.log.matching(new RegExp(id)).length;
          const conn = await httpd.raw(
            `GET /socket/${path}${query} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
          );
          await conn.closed;
          conn.socket.destroy();
          const [head = '', body] = conn.received().split('\r\n\r\n');
          expect(head).to.match(/^HTTP\/1\.1 200 /);
          expect(head).to.match(query === '' ? /chunked/ : /Content-Length: 100/);
          expect(body).to.equal(query === '' ? '5\r\nbegun\r\n' : 'begun');
          await waitFor(() => httpd.log.matching(new RegExp(id)).length > before);
        });
      }

      it(`(${path}) is a reset of the stream on HTTP/2, whose connection lives`, async () => {
        const session = connect(`http://127.0.0.1:${String(httpd.port)}`);
        try {
          const cut = session.request({ ':path': `/socket/${path}` });
          cut.end();
          const [head] = (await once(cut, 'response')) as [{ ':status'?: number }];
          expect(head[':status']).to.equal(200);
          cut.resume();
          const [failure] = (await once(cut, 'error')) as [NodeJS.ErrnoException];
          expect(failure.code).to.equal('ERR_HTTP2_STREAM_ERROR');
          const next = session.request({ ':path': '/defaults/limit' });
          next.end();
          const chunks: Buffer[] = [];
          for await (const chunk of next) chunks.push(chunk as Buffer);
          expect(Buffer.concat(chunks).toString()).to.equal('60000');
        } finally {
          session.destroy();
        }
      });
    }
  });

  for (const group of ['poison', 'poisons']) {
    it(`a request that killed two workers is a 502 with an id, and kills no third (${group})`, async () => {
      const dead = () => httpd.log.matching(new RegExp(`\\[${group} \\d+ host\\] TSGI0507`));
      expect((await ask(`/${group}/good`, { method: 'POST' })).body).to.match(/^well/);
      const answer = await ask(`/${group}/poison`, { method: 'POST', body: 'x' });
      await logged(expectPage(answer, 502), 'TSGI0199');
      expect((await ask(`/${group}/good`, { method: 'POST' })).body).to.match(/^well/);
      await waitFor(() => dead().length === 2, { what: `two deaths\n${httpd.log.tail()}` });
    });
  }
});

describe('connect-timeout', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.start({
      config: `
TSGIDaemonProcess full connect-timeout=1s listen-backlog=1
TSGIScriptAlias / @APPS@/timeouts.js process-group=full
ErrorDocument 503 "the page for 503"`,
      // One child: pending connections of others would be room in the queue.
      limits:
        'StartServers 1\nServerLimit 1\nThreadsPerChild 16\nThreadLimit 16\nMaxRequestWorkers 16\n',
    });
    httpd.log.allow('TSGI0197');
  });
  after(() => httpd.stop());

  it('is a 503 with an id for what finds the queue full; what stands in it is served', async () => {
    expect((await httpd.ask('/limit')).status).to.equal(200);
    const [worker] = httpd.processes(/^tsgi: worker full\//);
    if (worker === undefined) throw new Error('no worker');
    const answers: Answer[] = [];
    process.kill(worker.pid, 'SIGSTOP');
    try {
      const all = Array.from({ length: 8 }, async () => {
        answers.push(await httpd.ask('/limit'));
      });
      await waitFor(() => answers.length >= 2);
      const line = /TSGI0197: the queues of all workers were full for connect-timeout/;
      await waitFor(() => httpd.log.matching(line).length >= 2);
      for (const answer of answers) expectPage(answer, 503);
      process.kill(worker.pid, 'SIGCONT');
      await Promise.all(all);
      const served = answers.filter(({ status }) => status === 200);
      expect(served).to.have.length.of.at.least(2);
      for (const answer of answers) if (!served.includes(answer)) expectPage(answer, 503);
    } finally {
      process.kill(worker.pid, 'SIGCONT');
    }
  });
});
