import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { expect } from 'chai';
import { selfSigned } from '../harness/certificates.ts';
import { freePort, Httpd } from '../harness/httpd.ts';

interface Told {
  readonly body: Record<string, unknown>;
  readonly text: string;
  readonly headers: IncomingMessage['headers'];
  /** The client's own port. */
  readonly port: number;
}

const apps = ['express', 'express4', 'koa', 'fastify', 'hono-node', 'hono-export'] as const;
const files: Readonly<Record<(typeof apps)[number], string>> = {
  express: 'express.js',
  express4: 'express.js',
  koa: 'koa.js',
  fastify: 'fastify.js',
  'hono-node': 'hono-node.mjs',
  'hono-export': 'hono-export.mjs',
};

describe('apps that know nothing of a proxy', function () {
  this.timeout(30_000);
  let httpd: Httpd;
  let tls = 0;
  let ca = '';
  before(async () => {
    tls = await freePort();
    const aliases = apps.map(
      (name) =>
        `TSGIScriptAlias /${name} @APPS@/client/${files[name]} process-group=${name === 'express4' ? 'four' : 'site'}`,
    );
    httpd = await Httpd.prepare({
      modules: ['ssl', 'socache_shmcb', 'remoteip'],
      config: `
TSGIDaemonProcess site startup-timeout=60 env=NODE_ENV=test
TSGIDaemonProcess four startup-timeout=60 env=EXPRESS=express4 env=NODE_ENV=test
${aliases.join('\n')}
RemoteIPHeader X-Client-IP
RemoteIPInternalProxy 127.0.0.1
Listen 127.0.0.1:${String(tls)}
<VirtualHost 127.0.0.1:${String(tls)}>
  SSLEngine On
  SSLCertificateFile @ROOT@/cert.pem
  SSLCertificateKeyFile @ROOT@/key.pem
</VirtualHost>
SSLSessionCache none
`,
    });
    ca = selfSigned(httpd.dir).cert;
    httpd.log.allow(/AH01906|AH01909|AH02217|AH02218|AH02604|AH01873|AH01882/);
    await httpd.start();
  });
  after(() => httpd.stop());

  async function ask(
    scheme: 'http' | 'https',
    path: string,
    headers: Record<string, string> = {},
  ): Promise<Told> {
    const port = scheme === 'https' ? tls : httpd.port;
    const send = scheme === 'https' ? httpsRequest : httpRequest;
    const all = { host: '127.0.0.1', port, path, ca, agent: false as const };
    // The certificate is for localhost, by which name nobody asks.
    const checkServerIdentity = (): undefined => undefined;
    const req = send({
      ...all,
      checkServerIdentity,
      headers: { Host: 'shop.example', ...headers },
    });
    req.end();
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    const { localPort = 0 } = res.socket;
    for await (const chunk of res) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const body = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {};
    return { body, text, headers: res.headers, port: localPort };
  }

  const forged = {
    'X-Forwarded-For': '192.0.2.1',
    'X-Forwarded-Proto': 'https',
    'X-Forwarded-Host': 'evil.example',
  };

  for (const name of ['express', 'express4', 'koa', 'fastify'] as const) {
    it(`${name}: know the scheme and the client, without "trust proxy"`, async () => {
      const secure = await ask('https', `/${name}/`);
      expect(secure.body).to.include({ protocol: 'https', ip: '127.0.0.1' });
      expect(secure.body['hostname']).to.equal('shop.example');
      if ('secure' in secure.body) expect(secure.body['secure']).to.equal(true);
      const plain = await ask('http', `/${name}/`);
      expect(plain.body).to.include({ protocol: 'http', ip: '127.0.0.1' });
      if ('secure' in plain.body) expect(plain.body['secure']).to.equal(false);
    });

    it(`${name}: believe Apache, and no header of the client`, async () => {
      const told = await ask('http', `/${name}/`, forged);
      expect(told.body).to.include({ protocol: 'http', ip: '127.0.0.1' });
      expect(told.body['hostname']).to.equal('shop.example');
      const behind = await ask('http', `/${name}/`, { 'X-Client-IP': '203.0.113.9' });
      expect(behind.body['ip']).to.equal('203.0.113.9');
    });
  }

  for (const name of ['hono-node', 'hono-export'] as const) {
    it(`${name}: know the scheme, and the client by getConnInfo()`, async () => {
      const secure = await ask('https', `/${name}/`, forged);
      expect(secure.body['protocol']).to.equal('https:');
      expect(secure.body['remote']).to.deep.equal({
        address: '127.0.0.1',
        addressType: 'IPv4',
        port: secure.port,
      });
      const plain = await ask('http', `/${name}/`);
      expect(plain.body['protocol']).to.equal('http:');
      expect(plain.body['remote']).to.deep.include({ port: plain.port });
    });
  }

  for (const name of ['express', 'express4'] as const) {
    it(`${name}: express-session and cookie-session set secure cookies under TLS`, async () => {
      const session = await ask('https', `/${name}/session`);
      expect(session.headers['set-cookie']?.[0]).to.match(/^connect\.sid=.*; Secure/);
      const own = await ask('https', `/${name}/cookie`);
      expect(own.headers['set-cookie']?.[0]).to.match(/^own=.*; secure/);
      const plain = await ask('http', `/${name}/session`);
      expect(plain.headers).to.not.have.property('set-cookie');
    });

    it(`${name}: redirect to where the client is`, async () => {
      expect((await ask('https', `/${name}/away`)).headers.location).to.equal(
        'https://shop.example/there',
      );
      expect((await ask('http', `/${name}/away`)).headers.location).to.equal(
        'http://shop.example/there',
      );
    });
  }

  it('koa: set secure cookies under TLS', async () => {
    const own = await ask('https', '/koa/cookie');
    expect(own.headers['set-cookie']?.[0]).to.match(/^own=alice; .*secure/);
    expect(own.body['href']).to.equal('https://shop.example/cookie');
  });
});
