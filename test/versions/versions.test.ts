/**
 * One build, every version of Node.js: each serves apps of every kind from a private Apache. What
 * the versions do differently inside (contexts, module loaders, type stripping, the http classes)
 * must not show.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync } from 'node:fs';
import { connect, type IncomingHttpHeaders } from 'node:http2';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { app } from '../harness/place.ts';
import { waitFor } from '../harness/wait.ts';
import { expectSeparateUsers } from './identity.ts';
import { executableByAll, nodesUnderTest } from './nodes.ts';

const config = `
Protocols h2c http/1.1
TSGIDaemonProcess versions apache-threads=48 env=XDG_CACHE_HOME=@ROOT@/run/cache
TSGIProcessGroup versions
TSGIScriptAlias /server @APPS@/versions/server.js
TSGIScriptAlias /main @APPS@/versions/main.mjs
TSGIScriptAlias /callable @APPS@/callable.js
TSGIScriptAlias /fetch @APPS@/fetch.mjs
TSGIScriptAlias /express @APPS@/versions/express.js
TSGIScriptAlias /fastify @APPS@/versions/fastify.js
TSGIScriptAlias /echo @APPS@/echo.js
TSGIScriptAlias /streams @APPS@/versions/streams.js
TSGIScriptAlias /fatal @APPS@/versions/fatal.js
TSGIDaemonProcess blocked deadlock-timeout=1s
TSGIScriptAlias /blocked @APPS@/versions/fatal.js process-group=blocked
TSGIScriptAlias /identity/server @APPS@/versions/identity-server.js
TSGIScriptAlias /identity/callable @APPS@/versions/identity-callable.js
TSGIScriptAlias /identity/fetch @APPS@/versions/identity-fetch.mjs
TSGIScriptAlias /typed/ts @ROOT@/apps/typed.ts
TSGIScriptAlias /typed/mts @ROOT@/apps/typed.mts
TSGIScriptAlias /typed/cts @ROOT@/apps/typed.cts
TSGIScriptAlias /typed/enum @ROOT@/apps/fancy/index.ts
`;

/** Copied to where no tsconfig.json is above them: that Node strips types where it can. */
const TYPED = ['typed.ts', 'typed.mts', 'typed.cts', 'fancy/index.ts'];

interface Told {
  readonly events: string[];
  readonly sent: number;
}

async function startHttpd(node: string): Promise<Httpd> {
  const httpd = await Httpd.prepare({ config, node, modules: ['http2'] });
  mkdirSync(join(httpd.dir, 'apps/fancy'));
  for (const name of TYPED) copyFileSync(app(name), join(httpd.dir, 'apps', name));
  await httpd.start();
  return httpd;
}

async function* repeat(block: Buffer, times: number): AsyncGenerator<Buffer> {
  for (let i = 0; i < times; i++) {
    await Promise.resolve();
    yield block;
  }
}

/** One request of HTTP/2 without TLS. @returns the body, and the trailer X-Sum. */
async function overHttp2(port: number, path: string): Promise<{ body: string; sum: unknown }> {
  const session = connect(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request({ ':path': path, te: 'trailers' });
    let sum: unknown;
    stream.on('trailers', (fields: IncomingHttpHeaders) => {
      sum = fields['x-sum'];
    });
    return { body: await text(stream), sum };
  } finally {
    session.close();
  }
}

/** The value of a counter that has stood still for 300 ms. */
async function settled(counter: () => number | Promise<number>): Promise<number> {
  let last = -1;
  let since = performance.now();
  await waitFor(async () => {
    const now = await counter();
    if (now !== last) since = performance.now();
    last = now;
    return now > 0 && performance.now() - since > 300;
  });
  return last;
}

for (const { path, version } of nodesUnderTest()) {
  describe(`Node.js ${version} behind Apache`, () => {
    let httpd: Httpd;
    let node: ReturnType<typeof executableByAll>;
    before(async () => {
      node = executableByAll(path);
      httpd = await startHttpd(node.path);
    });
    after(async () => {
      try {
        await httpd.stop();
      } finally {
        node.remove();
      }
    });

    const json = async (url: string): Promise<unknown> => JSON.parse((await httpd.ask(url)).body);
    const told = async (): Promise<Told> => (await json('/streams/told')) as Told;

    it('is the one that serves, under the title of a worker', async () => {
      const title = 'tsgi: worker versions/0';
      expect(await json('/server')).to.deep.equal({ title, version: `v${version}`, isMain: true });
      const pid = (await httpd.ask('/fatal/pid')).body;
      const worker = httpd.processes().find((process) => process.pid === Number(pid));
      expect(worker?.title).to.equal(title);
    });

    it('runs an ES module as the main one, as it does alone', async () => {
      const alone = execFileSync(path, [app('versions/main.mjs')], { encoding: 'utf8' });
      expect(await json('/main')).to.deep.equal(JSON.parse(alone));
    });

    it('serves a TSGI callable', async () => {
      const { body } = await httpd.ask('/callable/a');
      expect(body).to.equal('callable GET /callable|/a');
    });

    it('serves a fetch handler', async () => {
      expect((await httpd.ask('/fetch/a')).body).to.equal('fetch GET /a');
    });

    for (const framework of ['express', 'fastify']) {
      it(`serves ${framework}`, async () => {
        expect((await httpd.ask(`/${framework}/items/7`)).body).to.equal('7');
        const headers = { 'Content-Type': 'application/json' };
        const sent = { method: 'POST', headers, body: '{"name":"a"}' };
        const made = await httpd.ask(`/${framework}/items`, sent);
        expect(made).to.include({ status: 201, body: '{"name":"a"}' });
        const refused = await httpd.ask(`/${framework}/items`, { ...sent, body: '{"name"' });
        expect(refused.status).to.equal(400);
      });
    }

    it('runs TypeScript without a build, also what needs more than its types stripped', async () => {
      expect((await httpd.ask('/typed/ts')).body).to.equal('typed');
      expect((await httpd.ask('/typed/mts')).body).to.equal('mts');
      expect((await httpd.ask('/typed/cts')).body).to.equal('cts');
      expect((await httpd.ask('/typed/enum')).body).to.equal('red');
    });

    it('streams bodies up and down whole', async () => {
      const block = Buffer.alloc(100_000, 'mod_tsgi ');
      const hash = createHash('sha256');
      for (let i = 0; i < 30; i++) hash.update(block);
      const up = await httpd.ask('/echo/hash', { method: 'POST', body: repeat(block, 30) });
      expect(up.body).to.equal(`3000000 ${hash.digest('hex')}`);
      const down = await httpd.ask('/echo/big?bytes=3000001');
      expect(down).to.include({ complete: true });
      expect(down.body).to.have.length(3_000_001);
    });

    it('lets the client wait that uploads faster than the app reads', async () => {
      const bytes = 64_000_000;
      const block = Buffer.alloc(1_000_000, 'x');
      const client = await httpd.raw(
        'POST /streams/hold HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n' +
          `Content-Length: ${bytes}\r\n\r\n`,
      );
      let sent = 0;
      const send = (): void => {
        while (sent < bytes) {
          sent += block.length;
          if (!client.socket.write(block)) return;
        }
      };
      client.socket.on('drain', send);
      send();
      await waitFor(async () => (await told()).events.includes('holding'));
      expect(await settled(() => sent)).to.be.lessThan(bytes);
      await httpd.ask('/streams/release');
      await client.closed;
      client.socket.destroy();
      expect(client.received()).to.match(/64000000 bytes\s*$/);
    });

    it('lets the app wait for a client that does not read, and closes the request when it leaves', async () => {
      const client = await httpd.raw('GET /streams/endless HTTP/1.1\r\nHost: localhost\r\n\r\n');
      client.socket.pause();
      const sent = await settled(async () => (await told()).sent);
      expect(sent).to.be.within(1, 32 * 1024 * 1024);
      client.socket.destroy();
      await waitFor(async () => (await told()).events.includes('res close'));
      const { events } = await told();
      expect(events).to.include.members(['req aborted', 'req close']);
      expect(events).to.not.include('res finish');
    });

    it('sends early hints', async () => {
      const client = await httpd.raw(
        'GET /streams/hints HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
      );
      await client.closed;
      client.socket.destroy();
      const [hints, head, body] = client.received().split('\r\n\r\n');
      expect(hints).to.match(/^HTTP\/1\.1 103 .*\r\nLink: <\/style\.css>; rel=preload; as=style$/);
      expect(head).to.match(/^HTTP\/1\.1 200 /);
      expect(body).to.equal('with hints');
    });

    it('sends trailers, where httpd has room for them: in HTTP/2', async () => {
      expect(await overHttp2(httpd.port, '/streams/trailers')).to.deep.equal({
        body: 'with trailers',
        sum: '42',
      });
      const plain = await httpd.ask('/streams/trailers');
      expect(plain).to.include({ body: 'with trailers', complete: true });
    });

    for (const kind of ['server', 'callable', 'fetch']) {
      it(`shows no request the user of another in its AsyncLocalStorage (${kind})`, async () => {
        await expectSeparateUsers(httpd, `/identity/${kind}`);
      });
    }

    /** The process of the app that ends itself, as soon as there is one. */
    const pidOfFatal = (): Promise<string> =>
      waitFor(async () => {
        const { status, body } = await httpd.ask('/fatal/pid');
        return status === 200 && body;
      });

    for (const [fault, logged] of [
      ['throws', 'uncaught, at once'],
      ['rejects', 'uncaught, as a rejection'],
    ] as const) {
      it(`answers 502 when the app ${fault} uncaught, logs why and starts it again`, async () => {
        httpd.log.allow(/TSGI0[125]/, /err\]/);
        const pid = await pidOfFatal();
        expect((await httpd.ask(`/fatal/${fault}`)).status).to.equal(502);
        expect(await pidOfFatal()).to.not.equal(pid);
        await waitFor(() => httpd.log.lines().some((line) => line.includes(`Error: ${logged}`)));
      });
    }

    it('logs where the JavaScript of a blocked event loop is, and starts another worker', async () => {
      httpd.log.allow(/TSGI0525/, /host\] at /, /TSGI017/);
      await waitFor(async () => (await httpd.ask('/blocked/pid')).status === 200);
      expect((await httpd.ask('/blocked/spins')).status).to.equal(502);
      expect(httpd.log.matching(/TSGI0525.* at spin \(\S+fatal\.js:19:\d+\)$/)).to.have.length(1);
      await waitFor(async () => (await httpd.ask('/blocked/pid')).status === 200);
    });

    it('delivers what the app ended before it exits in the same turn', async () => {
      const pid = await pidOfFatal();
      const answer = await httpd.ask('/fatal/answers-and-exits');
      expect(answer).to.include({ status: 200, body: 'last words', complete: true });
      expect(await pidOfFatal()).to.not.equal(pid);
    });
  });
}
