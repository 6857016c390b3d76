import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { ABOUT_A_SECOND, waitFor } from '../harness/wait.ts';

const config = `
TSGIScriptAlias /echo @APPS@/echo.js
TSGIScriptAlias /stream @ROOT@/apps/stream.js
TSGIScriptAlias /callable @ROOT@/apps/callable.js
`;
// An app that tells over one route what happened on another.
const stream = `
const http = require('node:http');
const events = {};
const note = (id, what) => (events[id] ??= []).push(what);
let swallowed;
http.createServer((req, res) => {
  const url = new URL(req.url, 'http://x');
  const id = url.searchParams.get('id');
  if (url.pathname === '/events') return res.end(JSON.stringify(events[id] ?? []));
  req.on('close', () => note(id, 'req close')).on('aborted', () => note(id, 'req aborted')).on('error', () => note(id, 'req error'));
  res.on('close', () => note(id, 'res close')).on('finish', () => note(id, 'res finish'));
  if (url.pathname === '/hang') return note(id, 'hanging');
  if (url.pathname === '/drip') {
    res.write('first\\n');
    note(id, 'first');
    req.on('data', () => res.end('last\\n'));
    return;
  }
  if (url.pathname === '/early') { res.statusCode = 413; return res.end('too much'); }
  if (url.pathname === '/endless') {
    const block = Buffer.alloc(65536, 'x');
    let sent = 0;
    const pump = () => { while (res.write(block)) sent += block.length; events.sent = sent; };
    res.on('drain', pump);
    note(id, 'endless');
    return pump();
  }
  if (url.pathname === '/swallow') {
    let n = 0;
    req.on('data', (c) => { n += c.length; }).on('end', () => res.end(String(n)));
    req.pause();
    swallowed = req;
    return;
  }
  if (url.pathname === '/resume') { swallowed.resume(); return res.end(); }
  if (url.pathname === '/expect') { let n = 0; req.on('data', (c) => { n += c.length; }).on('end', () => res.end('got ' + n)); return; }
  res.statusCode = 404;
  res.end();
}).listen(3000);
`;
const callable = `
const events = [];
exports.application = async (environ, startResponse) => {
  if (environ.PATH_INFO === '/events') { startResponse(200, []); return [JSON.stringify(events)]; }
  if (environ.PATH_INFO === '/hang') {
    events.push('hang');
    await new Promise((resolve) => environ['tsgi.signal'].addEventListener('abort', resolve));
    events.push('aborted');
    return [];
  }
  if (environ.PATH_INFO === '/sum') {
    let n = 0;
    for await (const chunk of environ['tsgi.input']) n += chunk.length;
    startResponse('200 OK', [['Content-Type', 'text/plain']]);
    return (async function* () { yield 'sum '; yield String(n); })();
  }
  startResponse('404 Not Found', []);
  return [];
};
`;

describe('bodies', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config });
    httpd.write('stream.js', stream);
    httpd.write('callable.js', callable);
    await httpd.start();
  });
  after(() => httpd.stop());

  const eventsOf = async (id: string) =>
    JSON.parse((await httpd.ask(`/stream/events?id=${id}`)).body) as string[];

  it('go up and down whole, sized and chunked', async () => {
    const block = Buffer.alloc(100_000, 'mod_tsgi ');
    const hash = createHash('sha256');
    for (let i = 0; i < 50; i++) hash.update(block);
    const expected = `5000000 ${hash.digest('hex')}`;
    async function* chunks() {
      for (let i = 0; i < 50; i++) yield block;
    }
    const chunked = await httpd.ask('/echo/hash', { method: 'POST', body: chunks() });
    expect(chunked.body).to.equal(expected);
    const sized = await httpd.ask('/echo/hash', {
      method: 'PUT',
      headers: { 'Content-Length': 5_000_000 },
      body: chunks(),
    });
    expect(sized.body).to.equal(expected);
    const down = await httpd.ask('/echo/big?bytes=5000001');
    expect(down.complete).to.equal(true);
    expect(down.body.length).to.equal(5_000_001);
  });

  it('leave as soon as the app writes, before it ends', async () => {
    const conn = await httpd.raw(
      'POST /stream/drip?id=drip HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nConnection: close\r\n\r\n',
    );
    await waitFor(() => conn.received().includes('first\n'));
    expect(conn.received()).to.not.include('last');
    conn.socket.write('go');
    await conn.closed;
    expect(conn.received()).to.include('last\n');
    conn.socket.destroy();
  });

  it('are not read ahead of the app: a paused upload stops the client', async () => {
    const conn = await httpd.raw(
      'POST /stream/swallow?id=swallow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\nConnection: close\r\n\r\n',
    );
    const block = Buffer.alloc(1_000_000, 'x');
    let written = 0;
    const writeAll = async (limit: number) => {
      while (written < limit) {
        written += block.length;
        if (!conn.socket.write(block)) {
          const drained = await Promise.race([
            once(conn.socket, 'drain').then(() => true),
            new Promise<false>((resolve) => setTimeout(resolve, 1000, false).unref()),
          ]);
          if (!drained) return false;
        }
      }
      return true;
    };
    expect(await writeAll(100_000_000)).to.equal(false);
    await httpd.ask('/stream/resume?id=swallow');
    expect(await writeAll(100_000_000)).to.equal(true);
    await conn.closed;
    expect(conn.received()).to.match(/100000000$/m);
    conn.socket.destroy();
  });

  it('wait for a client that does not read', async () => {
    const conn = await httpd.raw(
      'GET /stream/endless?id=endless HTTP/1.1\r\nHost: localhost\r\n\r\n',
    );
    conn.socket.pause();
    await waitFor(async () => (await eventsOf('endless')).includes('endless'));
    const sent = async () =>
      JSON.parse((await httpd.ask('/stream/events?id=sent')).body) as unknown as number;
    let last = -1;
    await waitFor(async () => {
      const now = await sent();
      const still = now === last;
      last = now;
      return still && now > 0;
    });
    expect(last).to.be.lessThan(32 * 1024 * 1024);
    conn.socket.destroy();
    await waitFor(async () => (await eventsOf('endless')).includes('res close'));
  });

  it('close the request within 1 s when the client leaves while it waits', async () => {
    const conn = await httpd.raw('GET /stream/hang?id=hang HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await waitFor(async () => (await eventsOf('hang')).includes('hanging'));
    conn.socket.destroy();
    await waitFor(async () => (await eventsOf('hang')).includes('res close'), ABOUT_A_SECOND);
    expect(await eventsOf('hang')).to.include('req close');
    expect(await eventsOf('hang')).to.not.include('res finish');
  });

  it("fire a callable's AbortSignal when the client leaves", async () => {
    const events = async () => JSON.parse((await httpd.ask('/callable/events')).body) as string[];
    const conn = await httpd.raw('GET /callable/hang HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await waitFor(async () => (await events()).includes('hang'));
    conn.socket.destroy();
    await waitFor(async () => (await events()).includes('aborted'), ABOUT_A_SECOND);
  });

  it('reach a callable as an async iterable, and leave from a generator', async () => {
    const answer = await httpd.ask('/callable/sum', { method: 'POST', body: 'x'.repeat(70_000) });
    expect(answer.body).to.equal('sum 70000');
  });

  it('need not be read: an early answer is delivered while the upload goes on', async () => {
    const conn = await httpd.raw(
      'POST /stream/early?id=early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n' +
        'x'.repeat(1000),
    );
    await waitFor(() => conn.received().includes('too much'), { what: conn.received() });
    expect(conn.received()).to.match(/^HTTP\/1\.1 413/);
    conn.socket.destroy();
  });

  it('are asked for by 100 Continue when the client expects it', async () => {
    const conn = await httpd.raw(
      'POST /stream/expect?id=expect HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n',
    );
    await waitFor(() => conn.received().startsWith('HTTP/1.1 100'));
    conn.socket.write('12345');
    await conn.closed;
    expect(conn.received()).to.match(/got 5$/);
    conn.socket.destroy();
  });

  it('that break off in the middle of an upload abort the request', async () => {
    httpd.log.allow('TSGI0', 'AH01');
    const conn = await httpd.raw(
      'POST /stream/expect?id=broken HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nonly this',
    );
    await waitFor(async () => Array.isArray(await eventsOf('broken')));
    conn.socket.resetAndDestroy();
    await waitFor(async () => (await eventsOf('broken')).includes('req close'));
    expect(await eventsOf('broken')).to.not.include('res finish');
  });
});
