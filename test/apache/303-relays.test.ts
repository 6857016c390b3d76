/**
 * Upgraded connections under TLS: a few threads of an Apache child relay them all, and what one of
 * them does is felt by no other.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { freePort, Httpd } from '../harness/httpd.ts';
import { fdsOf, processOf, statusOf } from '../harness/processes.ts';
import { makeCertificate, TLS } from '../harness/tls.ts';
import { upgrade, type Upgraded } from '../harness/upgrade.ts';
import { waitFor } from '../harness/wait.ts';
import { allEcho, isOpen, open, openAll, say, type Client } from '../harness/websocket.ts';

interface Info {
  readonly pid: number;
  readonly open: number;
  readonly closed: readonly string[];
}

const MIB = 1024 * 1024;

describe('relayed WebSockets', () => {
  let httpd: Httpd;
  let tls: number;
  let impatient: number;
  let ca: Buffer;

  before(async () => {
    tls = await freePort();
    impatient = await freePort();
    httpd = await Httpd.prepare({
      modules: ['ssl', 'socache_shmcb'],
      // 8 threads, and room for 4 x 101 relays in the child.
      limits:
        'StartServers 1\nServerLimit 6\nThreadsPerChild 8\nThreadLimit 8\nMaxRequestWorkers 8\nMinSpareThreads 1\nMaxSpareThreads 8\nAsyncRequestWorkerFactor 100\n',
      config: `Listen 127.0.0.1:${String(tls)}
Listen 127.0.0.1:${String(impatient)}
SSLSessionCache none
TSGIDaemonProcess site apache-threads=8
TSGIProcessGroup site
Alias /static @ROOT@/htdocs
TSGIScriptAlias / @APPS@/upgrade.js
<VirtualHost 127.0.0.1:${String(tls)}>
  ${TLS}
</VirtualHost>
<VirtualHost 127.0.0.1:${String(impatient)}>
  ${TLS}
  Timeout 1
</VirtualHost>
`,
    });
    ca = makeCertificate(httpd);
    httpd.log.allow(/AH00484/); // 8 threads are soon all busy
    httpd.write('../htdocs/page.txt', 'a page');
    await httpd.start();
  });
  after(() => httpd.stop());

  const info = async (): Promise<Info> => JSON.parse((await httpd.ask('/')).body) as Info;
  const openTls = (count: number): Promise<Client[]> => openAll(count, tls, '/ws', { ca });
  const raw = (path: string, port = tls): Promise<Upgraded> => upgrade(port, { path, ca });
  const noneOpen = (): Promise<unknown> =>
    waitFor(async () => (await info()).open === 0, { what: 'the end of all sockets in the app' });
  const page = async (): Promise<string> => (await httpd.ask('/static/page.txt')).body;
  const descriptors = (): number =>
    httpd.children().reduce((sum, pid) => sum + Object.keys(fdsOf(pid)).length, 0);
  const threads = (): number[] => httpd.children().map((pid) => Number(statusOf(pid)['Threads']));
  const accessLog = (pattern: RegExp): string[] =>
    readFileSync(join(httpd.dir, 'access.log'), 'utf8')
      .split('\n')
      .filter((line) => pattern.test(line));

  afterEach(noneOpen);

  it('are more than Apache has threads: 100 on 8, each echoes, and files are served beside them', async () => {
    await info();
    const before = Math.max(...threads());
    const clients = await openTls(100);
    expect((await info()).open).to.equal(100);
    expect(await allEcho(clients)).to.equal(true);
    expect(await page()).to.equal('a page');
    expect(Math.max(...threads())).to.be.at.most(before + 2);
    for (const { ws } of clients) ws.close();
    await waitFor(() => clients.every(({ code }) => code === 1005));
  });

  it('give back their descriptors when they end, whichever side ends them', async () => {
    const before = await waitFor(descriptors);
    const clients = await openTls(40);
    await noneOpenAfter(clients);
    // Up to 8 connections to the worker stay.
    await waitFor(() => descriptors() <= before + 8, { what: 'the descriptors' });
  });

  async function noneOpenAfter(clients: Client[]): Promise<void> {
    for (const [i, client] of clients.entries()) {
      if (i % 4 === 0) client.ws.close();
      else if (i % 4 === 1) client.ws.terminate();
      else client.ws.send(i % 4 === 2 ? 'close' : 'terminate');
    }
    await waitFor(() => clients.every(({ code }) => code !== 0));
    await noneOpen();
  }

  it('stand in the access log when they end', async () => {
    const before = accessLog(/^GET \/ws 101 /).length;
    const client = await open(tls, '/ws', { ca });
    client.ws.close();
    await waitFor(() => accessLog(/^GET \/ws 101 /).length > before);
  });

  it('outlive apachectl graceful again and again, under load', async () => {
    const clients = await openTls(30);
    let messages = 0;
    let isOver = false;
    const talk = async (client: Client): Promise<void> => {
      while (!isOver) {
        expect(await say(client, `m${String(messages)}`)).to.match(/^m/);
        messages++;
      }
    };
    const talking = Promise.all(clients.map(talk));
    try {
      for (let i = 0; i < 3; i++) {
        const before = messages;
        await httpd.graceful();
        await waitFor(() => messages > before + 300, { what: 'messages after the restart' });
        expect(await page()).to.equal('a page');
      }
    } finally {
      isOver = true;
    }
    await talking;
    expect(clients.every(isOpen)).to.equal(true);
    const all = httpd.children();
    for (const { ws } of clients) ws.close();
    await waitFor(() => all.filter((pid) => processOf(pid)).length === 1, {
      what: 'the end of the old children',
      timeoutMs: 20_000,
    });
  });

  it('wait for nobody: one that does not read holds up no other', async () => {
    const lazy = await Promise.all([1, 2, 3, 4].map(() => raw('/raw/echo')));
    for (const { socket } of lazy) {
      socket.pause();
      for (let i = 0; i < 16; i++) socket.write(Buffer.alloc(MIB, 'y'));
    }
    const clients = await openTls(20);
    for (let round = 0; round < 5; round++) expect(await allEcho(clients)).to.equal(true);
    for (const { socket } of lazy) socket.resume();
    await waitFor(() => lazy.every(({ received }) => received().length === 16 * MIB), {
      what: 'all bytes back',
      timeoutMs: 30_000,
    });
    for (const { socket } of lazy) socket.end();
    for (const { ws } of clients) ws.close();
    await Promise.all(lazy.map(({ closed }) => closed));
  });

  it('whose client takes nothing for Timeout are given up', async () => {
    const lazy = await raw('/raw/echo', impatient);
    lazy.socket.pause();
    for (let i = 0; i < 24; i++) lazy.socket.write(Buffer.alloc(MIB, 'y'));
    await waitFor(async () => (await info()).open === 0, { what: 'the end in the app' });
    lazy.socket.destroy();
  });

  it('deliver the last bytes of the app to a client that reads late', async () => {
    const late = await raw('/raw/last');
    late.socket.pause();
    expect(await page()).to.equal('a page');
    late.socket.resume();
    await waitFor(late.hasEnded);
    expect(late.received().length).to.equal(MIB);
    late.socket.end();
    await late.closed;
  });

  it('lose no byte on connections to the worker that large heads came by', async () => {
    // Their buffers are large from then on.
    const askLarge = async (): Promise<void> => {
      const asked = get({ port: httpd.port, path: '/large-head', maxHeaderSize: 128 * 1024 });
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      expect(answer.headers['x-large']).to.have.length(60_000);
      await once(answer.resume(), 'end');
    };
    await Promise.all(Array.from({ length: 7 }, askLarge));
    const lazy: Upgraded[] = [];
    while (lazy.length < 7) lazy.push(await raw('/raw/flood'));
    for (const { socket, received } of lazy) {
      await waitFor(() => received().length === 4096);
      socket.pause();
      socket.write('go');
    }
    const clients = await openTls(4);
    for (let round = 0; round < 20; round++) expect(await allEcho(clients)).to.equal(true);
    for (const { socket } of lazy) socket.resume();
    await Promise.all(lazy.map(({ hasEnded }) => waitFor(hasEnded)));
    const whole = 4096 + 16 * MIB;
    expect(lazy.map(({ received }) => received().length)).to.deep.equal(lazy.map(() => whole));
    for (const { socket } of lazy) socket.end();
    for (const { ws } of clients) ws.close();
    await Promise.all(lazy.map(({ closed }) => closed));
  });

  it('let go of a client that does not end its half', async () => {
    const before = descriptors();
    const clients = await Promise.all(Array.from({ length: 20 }, () => raw('/raw/last')));
    await waitFor(() => clients.every(({ hasEnded }) => hasEnded()));
    await waitFor(() => descriptors() <= before + 8, { what: 'the descriptors' });
    for (const { socket } of clients) socket.destroy();
  });

  it('end when what comes is no WebSocket, or no TLS', async () => {
    const garbage = await open(tls, '/ws', { ca });
    const { _socket: socket } = garbage.ws as unknown as { _socket: NodeJS.WritableStream };
    socket.write(Buffer.concat([Buffer.from('ff', 'hex'), randomBytes(64)]));
    await waitFor(() => garbage.code !== 0);

    const plain = connect({ host: '127.0.0.1', port: tls });
    plain.on('error', () => undefined);
    await once(plain, 'connect');
    const { socket: secret } = await upgradeOver(plain);
    plain.write(randomBytes(2000)); // below TLS
    await noneOpen();
    secret.destroy();
  });

  /** TLS over a socket that the test has, too. */
  async function upgradeOver(plain: ReturnType<typeof connect>): Promise<Upgraded> {
    return upgrade(tls, { path: '/raw/echo', ca, over: plain });
  }

  it('go on when the client has TLS 1.3 update its keys', async () => {
    const args = ['s_client', '-connect', `127.0.0.1:${String(tls)}`, '-tls1_3', '-crlf'];
    const client = spawn('openssl', args);
    let text = '';
    const note = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
    };
    client.stdout.on('data', note);
    client.stderr.on('data', note);
    try {
      client.stdin.write(
        'GET /raw/echo HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: raw\n\n',
      );
      await waitFor(() => text.includes('101 Switching'));
      for (let i = 0; i < 5; i++) {
        client.stdin.write('K\n'); // a command of s_client
        await waitFor(() => text.split('KEYUPDATE').length === i + 2);
        client.stdin.write(`hello ${String(i)}\n`);
        await waitFor(() => text.includes(`hello ${String(i)}`));
      }
    } finally {
      client.kill();
    }
  });

  it('end when their worker is killed, all at once, and new ones can be opened', async () => {
    const clients = await openTls(60);
    const { pid } = await info();
    const child = httpd.children();
    httpd.log.allow(/SIGKILL/);
    process.kill(pid, 'SIGKILL');
    await waitFor(() => clients.every(({ code }) => code === 1006));
    await waitFor(async () => (await info()).pid !== pid);
    expect(await allEcho(await openTls(2))).to.equal(true);
    expect(httpd.children()).to.deep.equal(child);
    process.kill((await info()).pid, 'SIGKILL');
  });

  it('wait while their worker is stopped, and go on', async () => {
    const clients = await openTls(20);
    const { pid } = await info();
    process.kill(pid, 'SIGSTOP');
    for (const { ws } of clients) ws.send('while you slept');
    const answers = Promise.all(clients.map(({ ws }) => once(ws, 'message')));
    expect(await page()).to.equal('a page');
    process.kill(pid, 'SIGCONT');
    expect((await answers).map(([text]) => String(text))).to.deep.equal(
      clients.map(() => 'while you slept'),
    );
    for (const { ws } of clients) ws.close();
  });

  it('end with their Apache child, and the app hears of it', async () => {
    const clients = await openTls(20);
    const [child] = httpd.children();
    httpd.log.allow(/AH00052/);
    process.kill(child ?? 0, 'SIGKILL');
    await waitFor(() => clients.every(({ code }) => code === 1006));
    await noneOpen();
    expect(await allEcho(await openTls(2).then(closeLater))).to.equal(true);
  });

  /** For the end of a test. */
  function closeLater(clients: Client[]): Client[] {
    setImmediate(() => {
      for (const { ws } of clients)
        ws.once('message', () =>
          setImmediate(() => {
            ws.close();
          }),
        );
    });
    return clients;
  }

  it('do not keep Apache from stopping', async () => {
    const other = await Httpd.prepare({
      modules: ['ssl', 'socache_shmcb'],
      config: `SSLSessionCache none\nTSGIScriptAlias / @APPS@/upgrade.js\n<VirtualHost *:@PORT@>\n${TLS}\n</VirtualHost>\n`,
    });
    const trusted = makeCertificate(other);
    await other.start();
    const clients = await openAll(5, other.port, '/ws', { ca: trusted });
    await other.stop();
    await waitFor(() => clients.every(({ code }) => code === 1006));
  });
});
