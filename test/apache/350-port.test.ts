/** PORT in the environment of an app, and what its server tells as its port: where Apache serves it. */
import { request as httpsRequest } from 'node:https';
import { expect } from 'chai';
import { ask } from '../harness/client.ts';
import { freePort, Httpd } from '../harness/httpd.ts';
import { makeCertificate, TLS, tlsModules } from '../harness/tls.ts';
import { waitFor } from '../harness/wait.ts';

interface Told {
  readonly pid: number;
  readonly env: string;
  readonly address: number;
  readonly originalUrl: string;
}

const APP = '@APPS@/node/port.cjs';
const group = (name: string, options = ''): string =>
  `TSGIDaemonProcess ${name} ${options}\nTSGIScriptAlias /${name} ${APP} process-group=${name}\n`;
const host = (addresses: string, body: string): string =>
  `<VirtualHost ${addresses}>\n${body}</VirtualHost>\n`;
const at = (...ports: number[]): string => ports.map((port) => `127.0.0.1:${port}`).join(' ');
const listen = (port: number, protocol = ''): string => `Listen 127.0.0.1:${port} ${protocol}\n`;

async function told(port: number, path: string): Promise<Told> {
  const { status, body } = await ask(port, path);
  expect(status, body).to.equal(200);
  return JSON.parse(body) as Told;
}

/** Asks for `path` where the certificate is one of makeCertificate(). */
async function toldOverTls(port: number, path: string, ca: Buffer): Promise<Told> {
  const body = await new Promise<string>((resolve, reject) => {
    const req = httpsRequest({ host: '127.0.0.1', port, path, ca, agent: false }, (res) => {
      let text = '';
      res.on('data', (chunk: Buffer) => (text += chunk.toString()));
      res.on('end', () => {
        resolve(text);
      });
    });
    req.on('error', reject);
    req.end();
  });
  return JSON.parse(body) as Told;
}

describe("an app's port", function () {
  this.timeout(40_000);

  describe('where its server has a plain one', () => {
    let httpd: Httpd;
    let named: number;
    let secure: number;
    let other: number;
    const config = (more = '', serverName = '@PORT@'): string => `
ServerName localhost:${serverName}
${listen(named) + listen(secure, 'https') + listen(other) + more}
${group('main')}${group('wanted', 'env=LISTEN=PORT')}${group('lazy', 'start=on-demand')}
${group('said', 'env=PORT=4711')}${group('chosen', 'listen=port:4712 env=LISTEN=4712')}
${group('pipe', 'env=PORT=/run/pipe')}${group('fixed', 'env=LISTEN=3000')}
${group('two', 'env=LISTEN=3000 env=FURTHER=PORT')}
${host(at(named), `${group('own')}TSGIScriptAlias /implicit ${APP}\nTSGIScriptAliasMatch ^/match/(\\w+) @APPS@/node/$1.cjs\n`)}
${host(at(secure, other), group('several'))}
${host('*:*', `ServerName wild.test:${other}\n${group('wild')}`)}
`;
    before(async () => {
      httpd = await Httpd.prepare({ config: '' });
      [named, secure, other] = [await freePort(), await freePort(), await freePort()];
      httpd.configure(config());
      await httpd.start();
    });
    after(() => httpd.stop());

    it("is that of the main server's ServerName, where it reaches itself", async () => {
      const { env, address, pid } = await told(httpd.port, '/main');
      expect({ env, address }).to.deep.equal({ env: String(httpd.port), address: httpd.port });
      const itself = await told(httpd.port, '/main/self');
      expect(itself).to.include({ pid, originalUrl: '/main/told' });
    });

    it('is the same where it listens on PORT, and in an on-demand group', async () => {
      for (const path of ['/wanted', '/lazy']) {
        const { env, address } = await told(httpd.port, path);
        expect([env, address]).to.deep.equal([String(httpd.port), httpd.port]);
      }
    });

    it('is that of the virtual host which defines its group, or has its script', async () => {
      for (const path of ['/own', '/implicit', '/match/port']) {
        const { env, address, pid } = await told(named, path);
        expect([env, address], path).to.deep.equal([String(named), named]);
        expect(await told(named, `${path}/self`)).to.include({ pid });
      }
    });

    it('is the first one without TLS where the virtual host has several', async () => {
      expect(await told(other, '/several')).to.include({ env: String(other), address: other });
    });

    it('is that of ServerName in a virtual host of every port', async () => {
      expect(await told(httpd.port, '/wild')).to.include({ env: String(other) });
    });

    it('is what env= says, and what listen= says', async () => {
      expect(await told(httpd.port, '/said')).to.include({ env: '4711', address: 4711 });
      expect(await told(httpd.port, '/chosen')).to.include({ env: '4712', address: 4712 });
    });

    it('is still told by address() where env= has put something else into PORT', async () => {
      expect(await told(httpd.port, '/pipe')).to.include({ env: '/run/pipe', address: httpd.port });
    });

    it('is its own where it listens on a port of its own', async () => {
      const { env, address } = await told(httpd.port, '/fixed');
      expect([env, address]).to.deep.equal([String(httpd.port), 3000]);
    });

    it('is not bound, nor missed, by a further server of an app that is served on another one', async () => {
      expect(await told(httpd.port, '/two')).to.include({ address: 3000 });
      const note = new RegExp(`TSGI0625.*port\\.cjs.*Apache's.*:${httpd.port}\\b`);
      await waitFor(() => httpd.log.matching(note).length === 1, { what: 'TSGI0625' });
    });

    it('changes with the configuration at a graceful restart, and the group with it', async () => {
      const main = await told(httpd.port, '/main');
      const own = await told(named, '/own');
      const moved = await freePort();
      httpd.configure(config(listen(moved), String(moved)));
      await httpd.graceful();
      const now = await told(httpd.port, '/main');
      expect(now).to.include({ env: String(moved), address: moved });
      expect(now.pid).to.not.equal(main.pid);
      expect(await told(named, '/own')).to.deep.equal(own);
      expect((await told(httpd.port, '/main/self')).pid).to.equal(now.pid);
    });
  });

  it('leads to the first virtual host of the port, or to that which is localhost as well', async () => {
    const httpd = await Httpd.prepare({ config: '' });
    const port = await freePort();
    const first = host(at(port), 'ServerName first.test\nRedirect 410 /\n');
    const shop = (more: string): string =>
      host(at(port), `ServerName shop.test\n${more}\nTSGIScriptAlias /shop ${APP}\n`);
    const askItself = async (): Promise<string> =>
      (await ask(port, '/shop/self', { headers: { Host: 'shop.test' } })).body;
    httpd.configure(listen(port) + first + shop(''));
    await httpd.start();
    try {
      expect(await askItself()).to.match(/410 Gone/);
      httpd.configure(listen(port) + first + shop('ServerAlias localhost'));
      await httpd.graceful();
      expect(JSON.parse(await askItself())).to.include({ originalUrl: '/shop/told' });
    } finally {
      await httpd.stop();
    }
  });

  describe('where nothing names one', () => {
    it('is the lowest one without TLS at which Apache listens, after graceful restarts as well', async () => {
      const httpd = await Httpd.prepare({ config: '' });
      const ports = [await freePort(), await freePort(), await freePort()];
      const [secure = 0, ...plain] = ports.sort((a, b) => a - b);
      const lines = `${listen(secure, 'https')}${plain.map((port) => listen(port)).join('')}`;
      httpd.configure(
        `ServerName localhost\n${lines}${group('main')}TSGIScriptAlias /own ${APP}\n`,
      );
      await httpd.start();
      try {
        const expected = Math.min(httpd.port, ...plain);
        const main = await told(httpd.port, '/main');
        const own = await told(httpd.port, '/own');
        expect([main.env, own.env]).to.deep.equal([String(expected), String(expected)]);
        for (let i = 0; i < 2; i++) {
          await httpd.graceful();
          expect(await told(httpd.port, '/main')).to.deep.equal(main);
          expect(await told(httpd.port, '/own')).to.deep.equal(own);
        }
      } finally {
        await httpd.stop();
      }
    });
  });

  describe('where its virtual host speaks TLS', () => {
    let httpd: Httpd;
    let ca: Buffer;
    let alone: number;
    let shop: number;
    let plain: number;

    before(async () => {
      httpd = await Httpd.prepare({ config: '', modules: tlsModules });
      ca = makeCertificate(httpd);
      [alone, shop, plain] = [await freePort(), await freePort(), await freePort()];
      httpd.configure(`SSLSessionCache none
${listen(alone) + listen(shop) + listen(plain)}
${host(at(alone), `ServerName alone.test:443\n${TLS}\n${group('alone')}`)}
${host(at(shop), `ServerName shop.test\n${TLS}\n${group('shop')}`)}
${host(at(plain), `ServerName shop.test\nTSGIScriptAlias /shop ${APP} process-group=shop\n`)}
`);
      await httpd.start();
    });
    after(() => httpd.stop());

    it('is that of the plain virtual host with the same name, where it reaches itself', async () => {
      const { env, address } = await toldOverTls(shop, '/shop', ca);
      expect([env, address]).to.deep.equal([String(plain), plain]);
      const itself = await toldOverTls(shop, '/shop/self', ca);
      expect(itself).to.include({ env, originalUrl: '/shop/told' });
    });

    it('is another plain one where there is no such virtual host', async () => {
      const expected = Math.min(httpd.port, plain);
      expect(await toldOverTls(alone, '/alone', ca)).to.include({ env: String(expected) });
    });

    it('stays with the group at a graceful restart', async () => {
      const before = await toldOverTls(shop, '/shop', ca);
      await httpd.graceful();
      expect(await toldOverTls(shop, '/shop', ca)).to.deep.equal(before);
    });
  });

  it('is the one with TLS where Apache has no other', async () => {
    const httpd = await Httpd.prepare({ config: '', modules: tlsModules });
    const ca = makeCertificate(httpd);
    httpd.configure(`SSLSessionCache none\n${TLS}\n${group('main')}`);
    await httpd.start();
    try {
      const { env, address } = await toldOverTls(httpd.port, '/main', ca);
      expect([env, address]).to.deep.equal([String(httpd.port), httpd.port]);
    } finally {
      await httpd.stop();
    }
  });
});
