import { createHash, randomBytes } from 'node:crypto';
import { connect, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import { request as httpsRequest, Agent } from 'node:https';
import { once } from 'node:events';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { makeCertificate, TLS, tlsModules } from '../harness/tls.ts';
import { waitFor } from '../harness/wait.ts';

interface Shown {
  httpVersion: string;
  encrypted: boolean;
  headers: Record<string, string>;
  tsgi: { protocol: string; scheme: string; env: Record<string, string> };
}

interface H2Answer {
  status: number;
  body: string;
}

/** One stream of an HTTP/2 session. */
async function stream(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: Buffer,
): Promise<H2Answer> {
  const req = session.request(headers);
  req.end(body);
  const [head] = (await once(req, 'response')) as [{ ':status'?: number }];
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return { status: head[':status'] ?? 0, body: Buffer.concat(chunks).toString() };
}

const app =
  'TSGIDaemonProcess site processes=2\nTSGIScriptAlias /app @APPS@/echo.js process-group=site\n';

describe('an app behind HTTP/2 (h2c)', () => {
  let httpd: Httpd;
  let session: ClientHttp2Session;
  before(async () => {
    httpd = await Httpd.start({
      modules: ['http2'],
      // One worker for /streams: it tells of the requests that it has itself in hand.
      config: `Protocols h2c http/1.1\n${app}TSGIDaemonProcess streams\nTSGIScriptAlias /streams @APPS@/h2.js process-group=streams\n`,
    });
    session = connect(`http://127.0.0.1:${String(httpd.port)}`);
    await once(session, 'connect');
  });
  after(async () => {
    session.destroy();
    await httpd.stop();
  });

  it('is asked in HTTP/1.1 and told the true protocol', async () => {
    const shown = JSON.parse((await stream(session, { ':path': '/app/show' })).body) as Shown;
    expect(shown.httpVersion).to.equal('1.1');
    expect(shown.tsgi.protocol).to.equal('HTTP/2.0');
    expect(shown.headers['host']).to.equal(`127.0.0.1:${String(httpd.port)}`);
  });

  it('receives a body of 1 MiB', async () => {
    const body = randomBytes(1024 * 1024);
    const answer = await stream(session, { ':path': '/app/hash', ':method': 'POST' }, body);
    expect(answer.body).to.equal(
      `${String(body.length)} ${createHash('sha256').update(body).digest('hex')}`,
    );
  });

  it('answers many streams at once, each its own', async () => {
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        stream(session, { ':path': `/app/big?bytes=${String(50_000 + i)}` }),
      ),
    );
    expect(answers.map(({ body }) => body.length)).to.deep.equal(
      Array.from({ length: 40 }, (_, i) => 50_000 + i),
    );
  });

  it('sees that the client has reset its stream, and serves the others', async () => {
    const req = session.request({ ':path': '/streams/hang' });
    req.on('error', () => undefined);
    req.end();
    await waitFor(async () => (await stream(session, { ':path': '/streams/open' })).body === '1');
    req.close(8); // CANCEL
    await waitFor(async () => (await stream(session, { ':path': '/streams/open' })).body === '0');
  });

  it('is cut off visibly when it dies in the middle: the stream is reset, the connection lives', async () => {
    httpd.log.allow('TSGI05', 'TSGI01', 'h2');
    const req = session.request({ ':path': '/streams/die' });
    req.end();
    await once(req, 'response');
    let failure: unknown;
    req.on('error', (error) => {
      failure = error;
    });
    req.resume();
    await waitFor(() => req.closed);
    expect(failure).to.be.an('error');
    expect((await stream(session, { ':path': '/app/hello' })).body).to.equal('hello');
  });
});

describe('an app behind TLS', () => {
  let httpd: Httpd;
  let agent: Agent;
  let ca: Buffer;
  before(async () => {
    httpd = await Httpd.prepare({
      modules: tlsModules,
      config: `Protocols h2 http/1.1
${TLS}
SSLSessionCache none
<Location /app>
  SSLOptions +StdEnvVars +ExportCertData
</Location>
${app}`,
    });
    ca = makeCertificate(httpd);
    await httpd.start();
    agent = new Agent({ keepAlive: true, ca, maxSockets: 1 });
  });
  after(async () => {
    agent.destroy();
    await httpd.stop();
  });

  async function ask(path: string, body?: Buffer): Promise<string> {
    const method = body ? 'POST' : 'GET';
    const req = httpsRequest({ host: '127.0.0.1', port: httpd.port, path, method, agent });
    req.end(body);
    const [res] = (await once(req, 'response')) as [AsyncIterable<Buffer>];
    const chunks: Buffer[] = [];
    for await (const chunk of res) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  it('sees an encrypted socket, the scheme https, and the variables of mod_ssl', async () => {
    const shown = JSON.parse(await ask('/app/show')) as Shown;
    expect(shown.encrypted).to.equal(true);
    expect(shown.tsgi.scheme).to.equal('https');
    expect(shown.tsgi.env['HTTPS']).to.equal('on');
    expect(shown.tsgi.env['SSL_PROTOCOL']).to.match(/^TLSv1/);
    expect(shown.tsgi.env['SSL_SERVER_S_DN_CN']).to.equal('localhost');
    expect(shown.tsgi.env['SSL_SERVER_CERT']).to.match(
      /^-----BEGIN CERTIFICATE-----\n[\w+/=\n]+-----END CERTIFICATE-----\n$/,
    );
  });

  it('receives and sends large bodies on one kept connection', async () => {
    const body = randomBytes(3 * 1024 * 1024);
    expect(await ask('/app/hash', body)).to.equal(
      `${String(body.length)} ${createHash('sha256').update(body).digest('hex')}`,
    );
    expect((await ask('/app/big?bytes=3000000')).length).to.equal(3_000_000);
  });

  it('is asked over HTTP/2 too, where the client chooses it', async () => {
    const session = connect(`https://127.0.0.1:${String(httpd.port)}`, { ca });
    try {
      const shown = JSON.parse((await stream(session, { ':path': '/app/show' })).body) as Shown;
      expect(shown.encrypted).to.equal(true);
      expect(shown.tsgi.protocol).to.equal('HTTP/2.0');
      expect(shown.tsgi.env['SSL_PROTOCOL']).to.match(/^TLSv1/);
    } finally {
      session.destroy();
    }
  });
});
