/** CONNECT for an app that listens to it, as a proxy written in Node does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { freePort, Httpd } from '../harness/httpd.ts';
import { makeCertificate, TLS } from '../harness/tls.ts';
import { upgrade, type Upgraded } from '../harness/upgrade.ts';
import { waitFor } from '../harness/wait.ts';

const MEDIA = ['handed over', 'relayed', 'relayed under TLS'] as const;
type Medium = (typeof MEDIA)[number];

describe('CONNECT', () => {
  let httpd: Httpd;
  let ca: Buffer;
  const ports = {} as Record<Medium | 'deaf' | 'callable' | 'below', number>;

  before(async () => {
    const names = ['relayed', 'relayed under TLS', 'deaf', 'callable', 'below'] as const;
    for (const name of names) ports[name] = await freePort();
    httpd = await Httpd.prepare({
      modules: ['ssl', 'socache_shmcb'],
      config: `${names.map((name) => `Listen 127.0.0.1:${String(ports[name])}`).join('\n')}
SSLSessionCache none
TSGIDaemonProcess site
TSGIProcessGroup site

<VirtualHost 127.0.0.1:@PORT@>
  TSGIScriptAlias / @APPS@/connect.js
</VirtualHost>
<VirtualHost 127.0.0.1:${String(ports.relayed)}>
  TSGIScriptAlias / @APPS@/connect.js
  TSGIUpgradePassing Off
</VirtualHost>
<VirtualHost 127.0.0.1:${String(ports['relayed under TLS'])}>
  TSGIScriptAlias / @APPS@/connect.js
  ${TLS}
</VirtualHost>
<VirtualHost 127.0.0.1:${String(ports.deaf)}>
  TSGIScriptAlias / @APPS@/echo.js
</VirtualHost>
<VirtualHost 127.0.0.1:${String(ports.callable)}>
  TSGIScriptAlias / @APPS@/callable.js
</VirtualHost>
<VirtualHost 127.0.0.1:${String(ports.below)}>
  TSGIScriptAlias /app @APPS@/connect.js
</VirtualHost>
`,
    });
    ca = makeCertificate(httpd);
    await httpd.start();
    ports['handed over'] = httpd.port;
  });
  after(() => httpd.stop());

  const accessLog = (pattern: RegExp): string[] =>
    readFileSync(join(httpd.dir, 'access.log'), 'utf8')
      .split('\n')
      .filter((line) => pattern.test(line));
  const tunnel = (
    where: keyof typeof ports,
    path: string,
    early = '',
    headers: string[] = [],
  ): Promise<Upgraded> =>
    upgrade(ports[where], {
      path,
      early,
      headers,
      method: 'CONNECT',
      ca: where === 'relayed under TLS' ? ca : undefined,
    });

  for (const medium of MEDIA) {
    describe(medium, () => {
      it('gives the listener the host, and a tunnel both ways', async () => {
        const client = await tunnel(medium, 'echo.example:443', 'early ', ['X-Own: kept']);
        expect(client.status).to.equal(200);
        expect(client.head).to.match(/^HTTP\/1\.1 200 Connection Established\r\n/);
        expect(client.head).to.match(/^X-App: connect$/im);
        expect(client.head).to.not.match(/^(Content-Length|Transfer-Encoding|Upgrade):/im);
        client.socket.write('and late');
        await waitFor(() => client.received().toString().endsWith('and late'));
        const [facts = '', echoed] = client.received().toString().split('\n');
        expect(JSON.parse(facts)).to.deep.equal({
          method: 'CONNECT',
          url: 'echo.example:443',
          own: 'kept',
          encrypted: medium === 'relayed under TLS',
        });
        expect(echoed).to.equal('early and late');
        client.socket.end();
        await waitFor(client.hasEnded);
        await client.closed;
        await waitFor(() => accessLog(/^CONNECT .* 200 /).length > 0);
      });

      it('carries a megabyte each way', async () => {
        const client = await tunnel(medium, 'echo.example:443');
        const before = client.received().length;
        client.socket.write(Buffer.alloc(1024 * 1024, 'x'));
        await waitFor(() => client.received().length >= before + 1024 * 1024);
        client.socket.end();
        await waitFor(client.hasEnded);
      });

      it('lets the app refuse', async () => {
        const client = await tunnel(medium, 'refused.example:443');
        expect(client.head).to.match(/^HTTP\/1\.1 403 Forbidden\r\n/);
        await waitFor(() => client.received().toString() === 'no');
        client.socket.end();
        await client.closed;
      });
    });
  }

  for (const where of ['deaf', 'callable'] as const) {
    it(`is 405 for an app that does not listen to it (${where})`, async () => {
      const client = await tunnel(where, 'echo.example:443');
      expect(client.status).to.equal(405);
      client.socket.destroy();
    });
  }

  it('is not for an app below the root of the virtual host', async () => {
    const client = await tunnel('below', 'echo.example:443');
    expect(client.status).to.be.oneOf([400, 404, 405]);
    client.socket.destroy();
  });

  it('goes through the access rules of the root', async () => {
    const denied = await Httpd.start({
      config:
        'TSGIScriptAlias / @APPS@/connect.js\n<Location />\n  Require method GET\n</Location>\n',
    });
    try {
      denied.log.allow(/AH01630/);
      const client = await upgrade(denied.port, { path: 'echo.example:443', method: 'CONNECT' });
      expect(client.status).to.equal(403);
      client.socket.destroy();
    } finally {
      await denied.stop();
    }
  });
});
