/** sticky=on: a client comes back to its worker, as socket.io's polling needs it. */
import { request } from 'node:https';
import { expect } from 'chai';
import { io, type Socket } from 'socket.io-client';
import type { Answer } from '../harness/client.ts';
import { freePort, Httpd } from '../harness/httpd.ts';
import { makeCertificate, TLS } from '../harness/tls.ts';
import { waitFor } from '../harness/wait.ts';

const COOKIE = /^tsgi_worker=(([0-2])\.[0-9a-f]{40}); Path=\/; HttpOnly; SameSite=Lax$/;

describe('sticky sessions', () => {
  let httpd: Httpd;
  let tls: number;
  let ca: Buffer;
  const config = (options = ''): string => `Listen 127.0.0.1:${String(tls)}
SSLSessionCache none
TSGIDaemonProcess site processes=3 sticky=on apache-threads=48 ${options}
TSGIDaemonProcess loose processes=3
TSGIDaemonProcess alone sticky=on
TSGIScriptAlias /loose @APPS@/socketio.js process-group=loose
TSGIScriptAlias /alone @APPS@/socketio.js process-group=alone
TSGIScriptAlias /below/here @APPS@/socketio.js process-group=site
TSGIScriptAlias / @APPS@/socketio.js process-group=site
<VirtualHost 127.0.0.1:${String(tls)}>
  ${TLS}
</VirtualHost>
`;
  before(async () => {
    tls = await freePort();
    httpd = await Httpd.prepare({ modules: ['ssl', 'socache_shmcb'], config: config() });
    ca = makeCertificate(httpd);
    await httpd.start();
    await waitFor(async () => (await workers()).size === 3, { what: 'three workers' });
  });
  after(() => httpd.stop());

  const ask = (path = '/', ...cookies: string[]): Promise<Answer> =>
    httpd.ask(path, cookies.length > 0 ? { headers: { cookie: cookies.join('; ') } } : {});
  const cookiesOf = ({ headers }: Answer): string[] => headers['set-cookie'] ?? [];
  /** Pids of those who answer clients that come for the first time. */
  async function workers(): Promise<Set<string>> {
    const answers = await Promise.all(Array.from({ length: 24 }, () => ask()));
    return new Set(answers.map(({ body }) => body));
  }
  /** A first visit: who served it, and the cookie that came with it. */
  async function visit(): Promise<{ pid: string; slot: number; cookie: string }> {
    const answer = await ask();
    const match = COOKIE.exec(cookiesOf(answer)[0] ?? '');
    expect(match, String(answer.headers['set-cookie'])).to.not.equal(null);
    return {
      pid: answer.body,
      slot: Number(match?.[2]),
      cookie: `tsgi_worker=${match?.[1] ?? ''}`,
    };
  }

  it('give a client a cookie once, and it comes back to the same worker', async () => {
    const { pid, cookie } = await visit();
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask('/', 'a=b', cookie)));
    expect(new Set(answers.map(({ body }) => body))).to.deep.equal(new Set([pid]));
    expect(answers.flatMap(cookiesOf)).to.deep.equal([]);
  });

  it('leave clients without a cookie to the balance', async () => {
    const seen = new Set<string>();
    await waitFor(async () => {
      for (const pid of await workers()) seen.add(pid);
      return seen.size === 3;
    });
  });

  it('name the mount point, and Secure under TLS', async () => {
    const below = cookiesOf(await ask('/below/here/x'));
    expect(below[0]).to.match(/; Path=\/below\/here; HttpOnly; SameSite=Lax$/);
    expect((await cookiesOver(tls, ca))[0]).to.match(/; Path=\/; HttpOnly; SameSite=Lax; Secure$/);
  });

  it('keep the cookies of the app', async () => {
    const cookies = cookiesOf(await ask('/cookie'));
    expect(cookies).to.have.length(2);
    expect(cookies).to.include('own=1');
  });

  it('set none where it is not asked for, where there is one worker, and on what caches may share', async () => {
    expect(cookiesOf(await ask('/loose/'))).to.deep.equal([]);
    expect(cookiesOf(await ask('/alone/'))).to.deep.equal([]);
    expect(cookiesOf(await ask('/public'))).to.deep.equal([]);
  });

  it('ignore what they have not signed, and find theirs among others', async () => {
    const { pid, slot, cookie } = await visit();
    const forged = [
      cookie.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')),
      cookie.replace(/=\d/, `=${String((slot + 1) % 3)}`),
      cookie.replace(/=\d/, '=7'),
      cookie.replace(/=\d/, '=999999999999'),
      cookie.slice(0, -1),
      `${cookie}0`,
      'tsgi_worker=',
      'tsgi_worker=0.',
      'tsgi_worker=.',
      `tsgi_worker=${'9'.repeat(4000)}`,
      `x${cookie}`,
    ];
    for (const each of forged) {
      const [fresh = ''] = cookiesOf(await ask('/', each));
      expect(fresh, each.slice(0, 60)).to.match(COOKIE);
    }
    const found = await ask('/', ...forged.slice(0, 4), cookie);
    expect([found.body, cookiesOf(found)]).to.deep.equal([pid, []]);
  });

  it('go to another worker, with a new cookie, when theirs is stopped', async () => {
    const { pid, slot, cookie } = await visit();
    process.kill(Number(pid), 'SIGSTOP');
    try {
      const answer = await httpd.ask('/', { method: 'POST', body: 'x', headers: { cookie } });
      expect(answer.status).to.equal(200);
      expect(answer.body).to.not.equal(pid);
      expect(COOKIE.exec(cookiesOf(answer)[0] ?? '')?.[2]).to.not.equal(String(slot));
    } finally {
      process.kill(Number(pid), 'SIGCONT');
    }
  });

  it('lose no request when their worker is killed', async () => {
    const { pid, cookie } = await visit();
    httpd.log.allow(/SIGKILL/);
    process.kill(Number(pid), 'SIGKILL');
    for (let i = 0; i < 10; i++) {
      const answer = await ask('/', cookie);
      expect([answer.status, answer.body === pid]).to.deep.equal([200, false]);
    }
    await waitFor(async () => (await workers()).size === 3, { what: 'three workers' });
  });

  for (const scheme of ['http', 'https'] as const) {
    const connectIo = (transports?: string[]): Socket =>
      io(`${scheme}://127.0.0.1:${String(scheme === 'https' ? tls : httpd.port)}`, {
        forceNew: true,
        reconnection: false,
        withCredentials: true, // in Node: keeps cookies
        ...(transports && { transports }),
        ...(scheme === 'https' && { ca: ca.toString() }),
      });
    const connected = (clients: Socket[]): Promise<unknown> =>
      waitFor(() => clients.every((client) => client.connected), { what: 'all sessions' });

    it(`let socket.io poll over ${scheme} with three workers`, async () => {
      const clients = Array.from({ length: 12 }, () => connectIo(['polling']));
      try {
        await connected(clients);
        const pids = new Set<number>();
        for (const client of clients) {
          const pid = (await client.emitWithAck('who')) as number;
          pids.add(pid);
          for (let i = 0; i < 5; i++) {
            expect(await client.emitWithAck('echo', i)).to.equal(i);
            expect(await client.emitWithAck('who')).to.equal(pid);
          }
        }
        expect(pids.size).to.be.greaterThan(1);
        expect(clients.every((client) => client.connected)).to.equal(true);
      } finally {
        for (const client of clients) client.disconnect();
      }
    });

    it(`let socket.io poll first and then upgrade over ${scheme}`, async () => {
      const clients = Array.from({ length: 12 }, () => connectIo());
      const transports = (): string[] => clients.map((client) => client.io.engine.transport.name);
      try {
        await connected(clients);
        await waitFor(() => transports().every((name) => name === 'websocket'), {
          what: 'the upgrade of all sessions',
        });
        for (const client of clients) expect(await client.emitWithAck('echo', 'x')).to.equal('x');
      } finally {
        for (const client of clients) client.disconnect();
      }
    });
  }

  it('begin anew with another configuration of the group', async () => {
    const { cookie } = await visit();
    await httpd.graceful();
    expect(cookiesOf(await ask('/', cookie))).to.deep.equal([]);
    httpd.configure(config('env=NEW=1'));
    await httpd.graceful();
    await waitFor(async () => cookiesOf(await ask('/', cookie)).length === 1, {
      what: 'a new cookie',
    });
  });

  it('end with a graceful restart that turns them off, and keep the workers', async () => {
    const before = new Set<string>();
    await waitFor(async () => {
      for (const pid of await workers()) before.add(pid);
      return before.size === 3;
    });
    httpd.configure(config('env=NEW=1').replace('processes=3 sticky=on', 'processes=3'));
    await httpd.graceful();
    await waitFor(async () => cookiesOf(await ask()).length === 0);
    expect(before).to.include((await ask()).body);
  });
});

/** @returns Set-Cookie of the answer. */
function cookiesOver(port: number, ca: Buffer): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port, ca, agent: false }, (res) => {
      res.resume();
      resolve(res.headers['set-cookie'] ?? []);
    });
    req.on('error', reject).end();
  });
}
