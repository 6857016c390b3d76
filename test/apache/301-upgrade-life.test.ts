/** What becomes of upgraded connections, and of all others beside them, when processes come and go. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { freePort, Httpd } from '../harness/httpd.ts';
import { app } from '../harness/place.ts';
import { fdsOf, processOf } from '../harness/processes.ts';
import { upgrade } from '../harness/upgrade.ts';
import { ABOUT_A_SECOND, waitFor } from '../harness/wait.ts';
import { allEcho, isOpen, open, openAll, say } from '../harness/websocket.ts';

interface Info {
  readonly pid: number;
  readonly open: number;
}

describe('upgraded connections', () => {
  let httpd: Httpd;
  let relayed: number;
  const info = async (path = '/'): Promise<Info> =>
    JSON.parse((await httpd.ask(path)).body) as Info;

  before(async () => {
    relayed = await freePort();
    httpd = await Httpd.prepare({
      limits:
        'StartServers 1\nServerLimit 3\nThreadsPerChild 8\nThreadLimit 8\nMaxRequestWorkers 16\nMinSpareThreads 1\nMaxSpareThreads 16\n',
      config: `Listen 127.0.0.1:${String(relayed)}
TSGIDaemonProcess site env=SAY_GOODBYE=${join(app('x'), '../../../dist/tsgi.js')} graceful-timeout=5s apache-threads=16
TSGIDaemonProcess few max-upgrades=3
TSGIDaemonProcess idle upgrade-idle-timeout=1s
TSGIDaemonProcess lazy inactivity-timeout=1s
TSGIScriptAlias /few @APPS@/upgrade.js process-group=few
TSGIScriptAlias /idle @APPS@/upgrade.js process-group=idle
TSGIScriptAlias /lazy @APPS@/upgrade.js process-group=lazy
Alias /static @ROOT@/htdocs
TSGIScriptAlias / @ROOT@/apps/site.js process-group=site
<VirtualHost 127.0.0.1:${String(relayed)}>
  TSGIUpgradePassing Off
</VirtualHost>
`,
    });
    httpd.write('site.js', `require(${JSON.stringify(app('upgrade.js'))});`);
    httpd.write('../htdocs/page.txt', 'a page');
    await httpd.start();
  });
  after(() => httpd.stop());

  it('take no thread of Apache, no descriptor and no memory of its children', async () => {
    await info(); // Apache has children
    const before = httpd.children().map((pid) => Object.keys(fdsOf(pid)).length);
    const clients = await openAll(300, httpd.port);
    expect((await httpd.ask('/static/page.txt')).body).to.equal('a page');
    expect((await info()).open).to.equal(300);
    expect(await allEcho(clients)).to.equal(true);
    const after = httpd.children().map((pid) => Object.keys(fdsOf(pid)).length);
    // Connections to the worker are kept; there are at most as many as threads.
    expect(Math.max(...after)).to.be.lessThan(Math.max(...before) + 20);
    for (const { ws } of clients) ws.terminate();
    await waitFor(async () => (await info()).open === 0);
  });

  it('that were handed over outlive apachectl graceful, and no old child stays for them', async () => {
    const clients = await openAll(20, httpd.port);
    const old = httpd.children();
    const { pid } = await info();
    await httpd.graceful();
    await waitFor(() => old.every((child) => !processOf(child)), {
      what: 'the end of the old children',
      timeoutMs: 15_000,
    });
    expect(clients.every(isOpen)).to.equal(true);
    expect(await Promise.all(clients.map((client) => say(client, 'pid')))).to.deep.equal(
      clients.map(() => String(pid)),
    );
    for (const { ws } of clients) ws.close();
    await waitFor(() => clients.every(({ code }) => code === 1005));
  });

  it('that are relayed outlive it too, and their child ends after them', async () => {
    const client = await open(relayed);
    const old = httpd.children();
    await httpd.graceful();
    expect(await say(client, 'still here')).to.equal('still here');
    client.ws.close();
    await waitFor(() => old.every((child) => !processOf(child)), {
      what: 'the end of the old children',
      timeoutMs: 15_000,
    });
    await waitFor(() => client.code === 1005);
  });

  it('are told of a reload: the old code says 1001, new ones reach the new code', async () => {
    const old = await info();
    const clients = await Promise.all([open(httpd.port), open(relayed)]);
    httpd.write('site.js', `require(${JSON.stringify(app('upgrade.js'))}); // changed`);
    await waitFor(() => clients.every(({ code }) => code === 1001), {
      what: '1001 from the old worker',
    });
    const fresh = await open(httpd.port);
    expect(Number(await say(fresh, 'pid'))).to.not.equal(old.pid);
    fresh.ws.terminate();
    await waitFor(() => !processOf(old.pid), { what: 'the end of the old worker' });
  });

  it('end when their worker is killed, and others can be opened', async () => {
    const clients = await Promise.all([open(httpd.port), open(relayed)]);
    const { pid } = await info();
    httpd.log.allow(/SIGKILL/);
    process.kill(pid, 'SIGKILL');
    await waitFor(() => clients.every(({ code }) => code === 1006), ABOUT_A_SECOND);
    await waitFor(async () => (await info()).pid !== pid);
    const fresh = await Promise.all([open(httpd.port), open(relayed)]);
    for (const { ws } of fresh) ws.terminate();
  });

  it('end when the listener throws, as with node app.js', async () => {
    const { pid } = await info();
    httpd.log.allow(
      /thrown by the listener|upgrade\.js|node:|TSGI05|TSGI0174|^\s*$|Node\.js|\[site \d+ err\]/,
    );
    for (const port of [httpd.port, relayed]) {
      const client = await upgrade(port, { path: '/raw/throw' });
      await waitFor(client.hasEnded);
      client.socket.destroy();
      await waitFor(async () => (await info()).pid !== pid);
    }
  });

  it('that the app closes without an answer are a 500 if relayed, closed if handed over', async () => {
    httpd.log.allow(/TSGI0177|TSGI0712/);
    const answered = await upgrade(relayed, { path: '/raw/silent' });
    expect(answered.status).to.equal(500);
    answered.socket.destroy();
    const closed = await upgrade(httpd.port, { path: '/raw/silent' });
    expect(closed.head).to.equal('');
    closed.socket.destroy();
    await waitFor(() =>
      /^GET \/raw\/silent 502 /m.test(readFileSync(join(httpd.dir, 'access.log'), 'utf8')),
    );
  });

  for (const kind of ['handed over', 'relayed'] as const) {
    const port = (): number => (kind === 'relayed' ? relayed : httpd.port);

    it(`over max-upgrades are refused with 503 and a line in the log, if ${kind}`, async () => {
      httpd.log.allow(/TSGI0750/);
      const lines = httpd.log.matching(/TSGI0750/).length;
      const clients = await Promise.all([1, 2, 3].map(() => open(port(), '/few/ws')));
      const refused = await upgrade(port(), { path: '/few/raw/echo' });
      expect(refused.status).to.equal(503);
      expect(refused.head).to.match(/^Retry-After: \d+$/im);
      refused.socket.destroy();
      expect((await httpd.ask('/few/')).status).to.equal(200);
      await waitFor(() => httpd.log.matching(/TSGI0750/).length > lines);
      for (const { ws } of clients) ws.close();
      await waitFor(async () => (await info('/few/')).open === 0);
      const next = await open(port(), '/few/ws');
      next.ws.close();
      await waitFor(() => next.code === 1005);
    });

    it(`are closed when no byte moves for upgrade-idle-timeout, if ${kind}`, async () => {
      const lines = httpd.log.matching(/TSGI0751/).length;
      const idle = await open(port(), '/idle/ws');
      const busy = await open(port(), '/idle/ws');
      const talk = setInterval(() => {
        busy.ws.send('x');
      }, 100);
      try {
        await waitFor(() => idle.code === 1006);
        expect(isOpen(busy)).to.equal(true);
      } finally {
        clearInterval(talk);
        busy.ws.terminate();
      }
      // The worker closes first and says so then; the line goes through its supervisor.
      await waitFor(() => httpd.log.matching(/TSGI0751/).length > lines, { what: 'TSGI0751' });
    });

    it(`keep their worker from being inactive, if ${kind}`, async () => {
      const { pid } = await info('/lazy/');
      const client = await open(port(), '/lazy/ws');
      const until = performance.now() + 2500;
      await waitFor(() => performance.now() > until);
      expect(await say(client, 'pid')).to.equal(String(pid));
      client.ws.terminate();
      await waitFor(() => !processOf(pid), { what: 'the end of the inactive worker' });
    });
  }

  for (const mpm of ['worker', 'prefork'] as const) {
    it(`are handed over by the MPM ${mpm} as well`, async () => {
      const other = await Httpd.start({
        mpm,
        config: 'TSGIScriptAlias / @APPS@/upgrade.js\n',
      });
      try {
        const clients = await openAll(10, other.port);
        await other.graceful();
        expect(await allEcho(clients)).to.equal(true);
        for (const { ws } of clients) ws.terminate();
      } finally {
        await other.stop();
      }
    });
  }
});
