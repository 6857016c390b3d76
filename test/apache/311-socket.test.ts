import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect as http2Connect } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect, type ConnectionOptions } from 'node:tls';
import { expect } from 'chai';
import { selfSigned, signedBy, type Certificate } from '../harness/certificates.ts';
import { raw } from '../harness/client.ts';
import { freePort, Httpd } from '../harness/httpd.ts';
import { place } from '../harness/place.ts';

interface TlsShown {
  readonly authorized: boolean;
  readonly authorizationError: string | null;
  readonly servername: string | false;
  readonly alpnProtocol: string | false;
  readonly protocol: string;
  readonly cipher: unknown;
  readonly certificate: { readonly subject?: Record<string, string> };
  readonly chain: string[];
}

interface Shown {
  readonly remoteAddress: string;
  readonly remoteFamily: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly encrypted: true | null;
  readonly tls: TlsShown | null;
  readonly env: Record<string, string> | null;
}

const app = 'TSGIDaemonProcess site\nTSGIScriptAlias / @APPS@/socket.js process-group=site\n';
const hasIpv6 = Object.values(networkInterfaces())
  .flat()
  .some((one) => one?.address === '::1');

/** The body of an answer to one request that closes its connection. */
async function bodyOf(port: number, head: string): Promise<Shown> {
  const connection = await raw(port, `${head}\r\nHost: a\r\nConnection: close\r\n\r\n`);
  await connection.closed;
  connection.socket.destroy();
  return parse(connection.received());
}

function parse(text: string): Shown {
  return JSON.parse(text.slice(text.indexOf('\r\n\r\n{') + 4)) as Shown;
}

describe('the socket of a request', () => {
  let httpd: Httpd;
  let proxied = 0;
  let ipv6 = 0;
  before(async () => {
    [proxied, ipv6] = [await freePort(), await freePort()];
    httpd = await Httpd.start({
      modules: ['remoteip'],
      config: `${app}
Listen 127.0.0.1:${String(proxied)}
${hasIpv6 ? `Listen [::1]:${String(ipv6)}` : ''}
<VirtualHost 127.0.0.1:@PORT@>
  RemoteIPHeader X-Client-IP
  RemoteIPInternalProxy 127.0.0.1
</VirtualHost>
<VirtualHost 127.0.0.1:${String(proxied)}>
  RemoteIPProxyProtocol On
</VirtualHost>
`,
    });
  });
  after(() => httpd.stop());

  it('is a net.Socket that tells both ends of the connection', async () => {
    const connection = await raw(
      httpd.port,
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    const { localPort } = connection.socket;
    await connection.closed;
    connection.socket.destroy();
    const { env, ...shown } = parse(connection.received());
    expect(env).to.be.an('object');
    expect(shown).to.deep.equal({
      ...{ remoteAddress: '127.0.0.1', remoteFamily: 'IPv4', remotePort: localPort },
      ...{ localAddress: '127.0.0.1', localFamily: 'IPv4', localPort: httpd.port },
      address: { address: '127.0.0.1', family: 'IPv4', port: httpd.port },
      ...{ encrypted: null, kind: 'Socket', isNetSocket: true, isTlsSocket: false, tls: null },
    });
  });

  it('tells nothing that the client says of itself in a header', async () => {
    const shown = await bodyOf(
      httpd.port,
      [
        'GET / HTTP/1.1',
        'X-Forwarded-For: 192.0.2.1',
        'X-Real-IP: 192.0.2.2',
        'Forwarded: for=192.0.2.3;proto=https',
        'X-Forwarded-Proto: https',
        'tsgi.tls.verify: SUCCESS',
        'tsgi.tls.protocol: TLSv1.3',
      ].join('\r\n'),
    );
    expect(shown).to.deep.include({ remoteAddress: '127.0.0.1', encrypted: null, tls: null });
  });

  it('tells the client that mod_remoteip has found behind a proxy, whose port nobody knows', async () => {
    expect(await bodyOf(httpd.port, 'GET / HTTP/1.1\r\nX-Client-IP: 203.0.113.9')).to.deep.include({
      remoteAddress: '203.0.113.9',
      remoteFamily: 'IPv4',
      remotePort: 0,
    });
    expect(await bodyOf(httpd.port, 'GET / HTTP/1.1\r\nX-Client-IP: 2001:db8::7')).to.deep.include({
      remoteAddress: '2001:db8::7',
      remoteFamily: 'IPv6',
      remotePort: 0,
    });
  });

  it('tells the client that the PROXY protocol names, with its port', async () => {
    const shown = await bodyOf(
      proxied,
      'PROXY TCP4 198.51.100.7 127.0.0.1 4711 80\r\nGET / HTTP/1.1',
    );
    expect(shown).to.deep.include({
      ...{ remoteAddress: '198.51.100.7', remoteFamily: 'IPv4', remotePort: 4711 },
      ...{ localAddress: '127.0.0.1', localPort: proxied },
    });
  });

  it('tells the addresses of IPv6', async function () {
    if (!hasIpv6) this.skip(); // there is no loopback address to connect to
    const socket = connect({ host: '::1', port: ipv6 });
    await once(socket, 'connect');
    const { localPort } = socket;
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    expect(parse(Buffer.concat(chunks).toString())).to.deep.include({
      ...{ remoteAddress: '::1', remoteFamily: 'IPv6', remotePort: localPort },
      ...{ localAddress: '::1', localFamily: 'IPv6', localPort: ipv6 },
      address: { address: '::1', family: 'IPv6', port: ipv6 },
    });
  });
});

describe('the socket of a request that came by TLS', function () {
  this.timeout(20_000);
  let httpd: Httpd;
  let child: ChildProcess;
  /** The same app alone. */
  let alone = 0;
  let generous = 0;
  let ca: string;
  let alice: Certificate;
  let mallory: Certificate;
  before(async () => {
    generous = await freePort();
    httpd = await Httpd.prepare({
      modules: ['ssl', 'socache_shmcb', 'http2'],
      config: `
Listen 127.0.0.1:${String(generous)}
Protocols h2 http/1.1
SSLCertificateFile @ROOT@/cert.pem
SSLCertificateKeyFile @ROOT@/key.pem
SSLCACertificateFile @ROOT@/cacert.pem
SSLSessionCache none
${app}
<VirtualHost 127.0.0.1:@PORT@>
  SSLEngine On
  SSLVerifyClient optional
</VirtualHost>
<VirtualHost 127.0.0.1:${String(generous)}>
  SSLEngine On
  SSLVerifyClient optional_no_ca
  SetEnv SSL_CLIENT_VERIFY SUCCESS
  SetEnv tsgi.tls.verify SUCCESS
</VirtualHost>
`,
    });
    const authority = selfSigned(httpd.dir, 'ca', '/O=Org/CN=authority');
    signedBy(httpd.dir, 'ca', '', '/CN=localhost', ['subjectAltName=DNS:localhost,IP:127.0.0.1']);
    ca = authority.cert;
    const one = signedBy(httpd.dir, 'ca', 'alice', '/C=DE/O=Org/CN=alice', [
      'subjectAltName=DNS:alice.example,email:alice@a.example',
      'extendedKeyUsage=clientAuth',
      'authorityInfoAccess=OCSP;URI:http://ocsp.a.example/',
    ]);
    alice = { cert: one.cert + authority.cert, key: one.key };
    mallory = selfSigned(httpd.dir, 'mallory', '/CN=alice');
    httpd.log.allow(/AH01906|AH01909|AH02217|AH02218|AH02604|AH01873|AH01882/);
    await httpd.start();
    child = spawn(process.execPath, [join(place(), 'test', 'apps', 'socket.js')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TLS_DIR: httpd.dir },
    });
    const [line] = (await once(child.stdout ?? expect.fail('no stdout'), 'data')) as [Buffer];
    alone = Number(line.toString());
  });
  after(async () => {
    child.kill();
    await httpd.stop();
  });

  async function ask(port: number, options: ConnectionOptions = {}): Promise<Shown> {
    const usual = { host: '127.0.0.1', port, ca, agent: false, ALPNProtocols: ['http/1.1'] };
    const req = httpsRequest({ ...usual, ...options } as object);
    req.end();
    const [res] = (await once(req, 'response')) as [AsyncIterable<Buffer>];
    const chunks: Buffer[] = [];
    for await (const chunk of res) chunks.push(chunk);
    return JSON.parse(Buffer.concat(chunks).toString()) as Shown;
  }

  /** What does not depend on the connection's ports. */
  const comparable = ({ remotePort, localPort, env, ...rest }: Shown): object => {
    expect([remotePort, localPort, env]).to.have.length(3);
    return { ...rest, address: undefined };
  };

  const clients: Record<string, () => ConnectionOptions> = {
    'a client with a certificate, TLS 1.3': () => alice,
    'a client with a certificate, TLS 1.2, that names the server': () => ({
      ...alice,
      maxVersion: 'TLSv1.2',
      servername: 'localhost',
    }),
    'TLS 1.2 with a cipher suite of its own': () => ({
      ...alice,
      maxVersion: 'TLSv1.2',
      ciphers: 'ECDHE-RSA-AES256-SHA384:ECDHE-RSA-CHACHA20-POLY1305',
    }),
  };
  for (const [name, options] of Object.entries(clients)) {
    it(`is a tls.TLSSocket that tells what Node's own would: ${name}`, async () => {
      const shown = await ask(httpd.port, options());
      expect(shown.tls?.certificate.subject?.['CN']).to.equal('alice');
      expect(comparable(shown)).to.deep.equal(comparable(await ask(alone, options())));
    });
  }

  it('tells of a client without a certificate that it is not authorized', async () => {
    const { tls } = await ask(httpd.port);
    expect(tls).to.deep.include({ authorized: false, authorizationError: null, chain: [] });
    expect(tls?.certificate).to.deep.equal({});
  });

  it('shows the certificate without SSLOptions, and adds no variable to it', async () => {
    const { env, tls } = await ask(httpd.port, alice);
    expect(tls?.chain).to.deep.equal(['alice', 'authority']);
    expect(Object.keys(env ?? {}).filter((name) => /SSL_CLIENT|^tsgi/.test(name))).to.deep.equal(
      [],
    );
  });

  it('believes no SetEnv: a certificate of an unknown issuer is not authorized', async () => {
    const { tls } = await ask(generous, mallory);
    expect(tls).to.deep.include({
      authorized: false,
      authorizationError: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    });
    expect(tls?.certificate.subject?.['CN']).to.equal('alice');
    expect((await ask(alone, mallory)).tls).to.deep.include({
      authorized: false,
      authorizationError: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    });
  });

  it('tells the same to a listener of upgrade', async () => {
    const told = async (port: number): Promise<unknown> => {
      const socket = tlsConnect({
        host: '127.0.0.1',
        port,
        ca,
        ALPNProtocols: ['http/1.1'],
        ...alice,
      });
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: facts\r\n\r\n');
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      return parse(Buffer.concat(chunks).toString());
    };
    const shown = await told(httpd.port);
    expect(shown).to.have.nested.property('tls.authorized', true);
    expect(shown).to.deep.equal(await told(alone));
  });

  it('tells the same over HTTP/2; what the app speaks is HTTP/1.1 all the same', async () => {
    const session = http2Connect(`https://127.0.0.1:${String(httpd.port)}`, { ca, ...alice });
    try {
      const req = session.request({ ':path': '/' });
      const chunks: Buffer[] = [];
      for await (const chunk of req) chunks.push(chunk as Buffer);
      const { tls, encrypted } = JSON.parse(Buffer.concat(chunks).toString()) as Shown;
      expect(encrypted).to.equal(true);
      expect(tls).to.deep.include({ authorized: true, alpnProtocol: 'http/1.1' });
      expect(tls?.chain).to.deep.equal(['alice', 'authority']);
    } finally {
      session.destroy();
    }
  });
});
