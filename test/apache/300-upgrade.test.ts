/**
 * Upgrades through Apache, each behaviour in the three ways they go: handed over, relayed, and relayed
 * under TLS.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  connect as connectH2,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type Settings,
} from 'node:http2';
import { once } from 'node:events';
import { expect } from 'chai';
import { WebSocket, type ClientOptions } from 'ws';
import { freePort, Httpd } from '../harness/httpd.ts';
import { makeCertificate, TLS } from '../harness/tls.ts';
import { upgrade, type Upgraded } from '../harness/upgrade.ts';
import { ABOUT_A_SECOND, waitFor } from '../harness/wait.ts';

interface Info {
  readonly pid: number;
  readonly open: number;
  readonly closed: readonly string[];
  readonly upgrade?: string;
  readonly connection?: string;
}

interface Facts {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly remoteFamily: string;
  readonly localAddress: string;
  readonly localPort: number;
  readonly encrypted: boolean;
  readonly isSocket: boolean;
  readonly isSame: boolean;
  readonly upgrade: boolean;
  readonly headers: Record<string, string>;
  readonly head: string;
  readonly tsgi: string;
}

interface H2WebSocket {
  readonly stream: ClientHttp2Stream;
  readonly status: number;
  readonly received: () => Buffer;
}

/** A frame of a WebSocket's client, up to 125 bytes. */
function masked(first: number, text: string): Buffer {
  const payload = Buffer.from(text, 'latin1');
  return Buffer.concat([Buffer.from([first, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

const MEDIA = ['handed over', 'relayed', 'relayed under TLS'] as const;
type Medium = (typeof MEDIA)[number];

describe('an upgrade', () => {
  let httpd: Httpd;
  let ca: Buffer;
  const ports = {} as Record<Medium, number>;

  before(async () => {
    const relayed = await freePort();
    const tls = await freePort();
    httpd = await Httpd.prepare({
      modules: ['ssl', 'http2', 'socache_shmcb', 'remoteip'],
      limits:
        'StartServers 1\nServerLimit 2\nThreadsPerChild 64\nThreadLimit 64\nMaxRequestWorkers 128\nMinSpareThreads 16\nMaxSpareThreads 128\n',
      config: `Listen 127.0.0.1:${String(relayed)}
Listen 127.0.0.1:${String(tls)}
H2WebSockets On
SSLSessionCache none
H2MaxWorkers 64
TSGIDaemonProcess site
TSGIDaemonProcess plain
TSGIProcessGroup site
TSGIScriptAlias /echo @APPS@/echo.js process-group=plain
TSGIScriptAlias / @APPS@/upgrade.js
RemoteIPHeader X-Client
RemoteIPInternalProxy 127.0.0.1
<VirtualHost 127.0.0.1:${String(relayed)}>
  TSGIUpgradePassing Off
</VirtualHost>
<VirtualHost 127.0.0.1:${String(tls)}>
  Protocols h2 http/1.1
  ${TLS}
</VirtualHost>
`,
    });
    ca = makeCertificate(httpd);
    await httpd.start();
    ports['handed over'] = httpd.port;
    ports.relayed = relayed;
    ports['relayed under TLS'] = tls;
  });
  after(() => httpd.stop());

  const info = async (): Promise<Info> => JSON.parse((await httpd.ask('/')).body) as Info;
  const noneOpen = (): Promise<unknown> =>
    waitFor(async () => (await info()).open === 0, { what: 'the end of all sockets in the app' });

  function webSocket(medium: Medium, path = '/ws', options: ClientOptions = {}): WebSocket {
    const scheme = medium === 'relayed under TLS' ? 'wss' : 'ws';
    const url = `${scheme}://127.0.0.1:${String(ports[medium])}${path}`;
    return new WebSocket(url, { ca, perMessageDeflate: false, ...options });
  }

  async function echoed(ws: WebSocket, data: string | Buffer): Promise<Buffer> {
    ws.send(data);
    const [answer] = (await once(ws, 'message')) as [Buffer];
    return answer;
  }

  function accessLog(pattern: RegExp): string[] {
    const lines = readFileSync(`${httpd.dir}/access.log`, 'utf8').split('\n');
    return lines.filter((line) => pattern.test(line));
  }

  for (const medium of MEDIA) {
    const isTls = medium === 'relayed under TLS';
    const raw = (path: string, early = '', headers: string[] = []): Promise<Upgraded> =>
      upgrade(ports[medium], { path, early, headers, ca: isTls ? ca : undefined });

    describe(medium, () => {
      afterEach(noneOpen);

      it('carries a WebSocket: text, binary, large and fragmented messages, ping, close', async () => {
        const ws = webSocket(medium);
        await once(ws, 'open');
        expect(String(await echoed(ws, 'hello'))).to.equal('hello');
        const large = randomBytes(5 * 1024 * 1024);
        const hash = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
        expect(hash(await echoed(ws, large))).to.equal(hash(large));
        ws.send('one, ', { fin: false });
        ws.send('two, ', { fin: false });
        expect(String(await echoed(ws, 'three'))).to.equal('one, two, three');
        ws.ping('x');
        expect(String((await once(ws, 'pong'))[0])).to.equal('x');
        ws.send('close');
        const [code, reason] = (await once(ws, 'close')) as [number, Buffer];
        expect([code, String(reason)]).to.deep.equal([4000, 'as you like']);
      });

      it('carries 40 WebSockets at once', async () => {
        const all = Array.from({ length: 40 }, () => webSocket(medium));
        await Promise.all(all.map((ws) => once(ws, 'open')));
        const answers = await Promise.all(all.map((ws, i) => echoed(ws, String(i))));
        expect(answers.map(String)).to.deep.equal(all.map((_, i) => String(i)));
        for (const ws of all) ws.close();
        await Promise.all(all.map((ws) => once(ws, 'close')));
      });

      it('shows 101 with the headers of the app, and in the access log', async () => {
        const client = await raw('/raw/facts');
        expect(client.status).to.equal(101);
        expect(client.head).to.match(/^Upgrade: raw$/im);
        expect(client.head).to.match(/^Connection: Upgrade$/im);
        expect(client.head).to.match(/^X-App: raw$/im);
        await waitFor(client.hasEnded);
        client.socket.end();
        await client.closed;
        await waitFor(() => accessLog(/^GET \/raw\/facts 101 /).length > 0);
      });

      it('gives the listener a socket that tells the truth', async () => {
        const client = await raw('/raw/facts', '', ['X-Client: 192.0.2.77', 'X-Other: kept']);
        const port = client.socket.localPort;
        await waitFor(client.hasEnded);
        const facts = JSON.parse(client.received().toString()) as Facts;
        expect(facts.remoteAddress).to.equal('192.0.2.77');
        expect(facts.remoteFamily).to.equal('IPv4');
        expect(facts.localAddress).to.equal('127.0.0.1');
        expect(facts.localPort).to.equal(ports[medium]);
        expect(facts.encrypted).to.equal(isTls);
        expect(facts.isSocket).to.equal(true);
        expect(facts.isSame).to.equal(true);
        expect(facts.upgrade).to.equal(true);
        expect(facts.headers).to.include({
          upgrade: 'raw',
          connection: 'keep-alive, Upgrade',
          'x-other': 'kept',
        });
        expect(facts.tsgi).to.be.a('string');
        expect(facts.remotePort).to.be.oneOf([port, 0]);
        client.socket.end();
        await client.closed;
      });

      it('loses no byte that comes with the handshake', async () => {
        const client = await raw('/raw/head', 'early bird');
        client.socket.end(' and late');
        await waitFor(client.hasEnded);
        expect(client.received().toString()).to.equal('heard early bird and late');
      });

      it('delivers the last bytes before the app closes', async () => {
        const client = await raw('/raw/last');
        await waitFor(client.hasEnded);
        expect(client.received().length).to.equal(1024 * 1024);
        client.socket.end();
        await client.closed;
      });

      it('lets the client end its half and hear the rest', async () => {
        const client = await raw('/raw/echo');
        client.socket.end('hello ');
        await waitFor(client.hasEnded);
        expect(client.received().toString()).to.equal('hello goodbye');
      });

      if (!isTls) {
        it('lets the app end its half and hear the rest', async () => {
          const client = await raw('/raw/last');
          await waitFor(client.hasEnded);
          client.socket.end(`${medium} I`);
          await waitFor(async () => (await info()).closed.includes(`last heard ${medium} I`));
        });
      }

      it('holds up nothing but what is for a client that does not read', async () => {
        const client = await raw('/raw/echo');
        client.socket.pause();
        const block = Buffer.alloc(1024 * 1024, 'y');
        for (let i = 0; i < 24; i++) client.socket.write(block);
        expect((await info()).open).to.be.greaterThan(0);
        client.socket.resume();
        await waitFor(() => client.received().length === 24 * block.length, {
          what: 'all bytes back',
          timeoutMs: 20_000,
        });
        client.socket.end();
        await waitFor(client.hasEnded);
      });

      it('lets the app refuse by hand, and the access log shows its status', async () => {
        const client = await raw('/raw/refuse');
        expect(client.status).to.equal(401);
        expect(client.head).to.match(/^WWW-Authenticate: Basic$/im);
        await waitFor(() => client.received().toString() === 'nope');
        client.socket.end();
        await client.closed;
        await waitFor(() => accessLog(/^GET \/raw\/refuse 401 /).length > 0);
      });

      it('is an ordinary request for an app that does not listen to it', async () => {
        const client = await raw('/echo/show');
        expect(client.status).to.equal(200);
        await waitFor(() => client.received().includes('"upgrade":"raw"'));
        client.socket.destroy();
      });

      it('tells the app within a second that the client has gone', async () => {
        const client = await raw('/raw/echo');
        const count = (await info()).closed.length;
        if (isTls) client.socket.destroy();
        else client.socket.resetAndDestroy();
        await waitFor(async () => (await info()).closed.slice(count).includes('close /raw/echo'), {
          ...ABOUT_A_SECOND,
          what: 'the close event',
        });
      });

      it('tells the client that the app has destroyed the socket', async () => {
        const client = await raw('/raw/drop');
        await waitFor(() => client.received().toString() === 'bye');
        client.socket.write('x');
        await waitFor(client.hasEnded, ABOUT_A_SECOND);
        client.socket.end();
        await client.closed;
      });
    });
  }

  describe('over HTTP/2 (RFC 8441)', () => {
    let session: ClientHttp2Session;
    before(async () => {
      session = connectH2(`https://127.0.0.1:${String(ports['relayed under TLS'])}`, { ca });
      const [settings] = (await once(session, 'remoteSettings')) as [Settings];
      expect(settings.enableConnectProtocol).to.equal(true);
    });
    after(() => {
      session.destroy();
    });
    afterEach(noneOpen);

    const open = async (): Promise<H2WebSocket> => {
      const stream = session.request(
        {
          ':method': 'CONNECT',
          ':protocol': 'websocket',
          ':path': '/ws',
          'sec-websocket-version': '13',
        },
        { endStream: false },
      );
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('error', () => undefined);
      const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders];
      return { stream, status: Number(head[':status']), received: () => Buffer.concat(chunks) };
    };

    it('carries a WebSocket that answers 200', async () => {
      const { stream, status, received } = await open();
      expect(status).to.equal(200);
      stream.write(masked(0x81, 'hello'));
      await waitFor(() => received().equals(Buffer.from('\x81\x05hello', 'latin1')));
      stream.write(masked(0x88, '\x03\xe8')); // close, 1000
      await waitFor(
        () =>
          received().subarray(-4).equals(Buffer.from('8802', 'hex')) ||
          stream.closed ||
          received().subarray(-4).equals(Buffer.from('880203e8', 'hex')),
      );
      stream.end();
      if (!stream.closed) await once(stream, 'close');
    });

    it('carries several at once on one connection', async () => {
      const all = await Promise.all(Array.from({ length: 5 }, open));
      all.forEach(({ stream }, i) => stream.write(masked(0x81, `n${String(i)}`)));
      await waitFor(() =>
        all.every(({ received }, i) => received().toString('latin1', 2) === `n${String(i)}`),
      );
      for (const { stream } of all) stream.close();
    });

    it('tells the app within a second that the client has reset the stream', async () => {
      const { stream } = await open();
      expect((await info()).open).to.equal(1);
      stream.close(constants.NGHTTP2_CANCEL);
      await waitFor(async () => (await info()).open === 0, ABOUT_A_SECOND);
    });
  });
});
