/** How many upgraded connections Apache relays: never so many that the rest has nothing left. */
import {
  connect as connectH2,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
} from 'node:http2';
import { once } from 'node:events';
import { expect } from 'chai';
import { freePort, Httpd } from '../harness/httpd.ts';
import { makeCertificate, TLS } from '../harness/tls.ts';
import { upgrade } from '../harness/upgrade.ts';
import { waitFor } from '../harness/wait.ts';
import { allEcho, open, type Client } from '../harness/websocket.ts';

interface Info {
  readonly open: number;
  readonly closed: readonly string[];
}

const LIMITS = {
  // Suspended: 4 threads x (1 + 2), half of it, in the one child.
  event:
    'StartServers 1\nServerLimit 1\nThreadsPerChild 4\nThreadLimit 4\nMaxRequestWorkers 4\nMinSpareThreads 1\nMaxSpareThreads 4\n',
  // Threads: half of apache-threads, which is half of MaxRequestWorkers.
  worker:
    'StartServers 1\nServerLimit 1\nThreadsPerChild 24\nThreadLimit 24\nMaxRequestWorkers 24\nMinSpareThreads 1\nMaxSpareThreads 24\n',
  prefork:
    'StartServers 4\nServerLimit 24\nMinSpareServers 2\nMaxSpareServers 24\nMaxRequestWorkers 24\n',
} as const;

/** All at once they would be more requests than are allowed at once. */
async function openInTurn(count: number, port: number): Promise<Client[]> {
  const clients: Client[] = [];
  while (clients.length < count) clients.push(await open(port));
  return clients;
}

describe('relayed upgrades are bounded', () => {
  for (const mpm of ['event', 'worker', 'prefork'] as const) {
    it(`by the MPM ${mpm}: the seventh gets 503, requests are served beside them`, async () => {
      const httpd = await Httpd.start({
        mpm,
        limits: LIMITS[mpm],
        config: 'TSGIUpgradePassing Off\nTSGIScriptAlias / @APPS@/upgrade.js\n',
      });
      httpd.log.allow(/TSGI0195/);
      const info = async (): Promise<Info> => JSON.parse((await httpd.ask('/')).body) as Info;
      try {
        const clients = await openInTurn(6, httpd.port);
        expect(await allEcho(clients)).to.equal(true);
        const refused = await upgrade(httpd.port, { path: '/raw/echo' });
        expect(refused.status).to.equal(503);
        expect(refused.head).to.match(/^Retry-After: 5$/im);
        expect(refused.head).to.match(/^TSGI-Request-Id: /im);
        refused.socket.destroy();
        await waitFor(() => httpd.log.matching(/TSGI0230/).length > 0);
        // The app had taken it over, and hears of its end.
        await waitFor(async () => (await info()).closed.includes('close /raw/echo'));
        expect((await info()).open).to.equal(6);
        clients[0]?.ws.close();
        await waitFor(async () => (await info()).open === 5);
        // A suspended connection's place is free when its memory is.
        await waitFor(async () => {
          const next = await upgrade(httpd.port, { path: '/raw/echo' });
          next.socket.destroy();
          return next.status === 101;
        });
        for (const { ws } of clients) ws.terminate();
        await waitFor(async () => (await info()).open === 0);
      } finally {
        await httpd.stop();
      }
    });
  }

  it('do not count as requests in hand: queue-size and concurrency are for requests', async () => {
    const httpd = await Httpd.start({
      config:
        'TSGIUpgradePassing Off\nTSGIDaemonProcess few concurrency=2 queue-size=1\nTSGIScriptAlias / @APPS@/upgrade.js process-group=few\n',
    });
    try {
      const clients = await openInTurn(10, httpd.port);
      expect((await httpd.ask('/')).status).to.equal(200);
      expect(await allEcho(clients)).to.equal(true);
      for (const { ws } of clients) ws.terminate();
    } finally {
      await httpd.stop();
    }
  });

  it('by places for children: those that a restart leaves behind make room for new ones', async () => {
    const httpd = await Httpd.start({
      limits: LIMITS.event,
      config:
        'TSGIUpgradePassing Off\nAlias /static @ROOT@/htdocs\nTSGIScriptAlias / @APPS@/upgrade.js\n',
    });
    // AH03092: a child of httpd that ends may find its pollset closed under a connection that lingers.
    httpd.log.allow(/TSGI0232|AH03490|AH00484|AH03092/);
    httpd.write('../htdocs/page.txt', 'a page');
    try {
      const clients = await openInTurn(3, httpd.port);
      const old = httpd.children();
      await httpd.graceful(); // the one place is the old child's
      await waitFor(() => httpd.children().some((pid) => !old.includes(pid)), {
        what: 'a new child',
        timeoutMs: 20_000,
      });
      expect((await httpd.ask('/static/page.txt')).body).to.equal('a page');
      await waitFor(() => clients.every(({ code }) => code === 1006));
      expect(httpd.log.matching(/TSGI0232/)).to.have.length(1);
    } finally {
      await httpd.stop();
    }
  });

  describe('over HTTP/2', () => {
    let httpd: Httpd;
    let session: ClientHttp2Session;
    let ca: Buffer;
    before(async () => {
      const tls = await freePort();
      httpd = await Httpd.prepare({
        modules: ['ssl', 'http2', 'socache_shmcb'],
        config: `Listen 127.0.0.1:${String(tls)}
H2WebSockets On
SSLSessionCache none
H2MaxWorkers 16
TSGIDaemonProcess site apache-threads=4
TSGIScriptAlias / @APPS@/upgrade.js process-group=site
<VirtualHost 127.0.0.1:${String(tls)}>
  Protocols h2
  ${TLS}
</VirtualHost>
`,
      });
      ca = makeCertificate(httpd);
      httpd.log.allow(/TSGI0195/);
      await httpd.start();
      session = connectH2(`https://127.0.0.1:${String(tls)}`, { ca });
      await once(session, 'remoteSettings');
    });
    after(async () => {
      session.destroy();
      await httpd.stop();
    });

    const ask = async (headers: Record<string, string>): Promise<number> => {
      const stream = session.request(headers, { endStream: headers[':method'] !== 'CONNECT' });
      stream.on('error', () => undefined);
      stream.resume();
      const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders];
      return Number(head[':status']);
    };
    const WEBSOCKET = {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/ws',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    };

    it('half of apache-threads are for them, the others for requests', async () => {
      expect([await ask(WEBSOCKET), await ask(WEBSOCKET)]).to.deep.equal([200, 200]);
      expect(await ask(WEBSOCKET)).to.equal(503);
      expect(await ask({ ':path': '/' })).to.equal(200);
      await waitFor(() => httpd.log.matching(/TSGI0230/).length > 0);
    });
  });
});
