/** What clients get of a fetch handler's answers, and handlers of clients, on every way. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { connect as http2Connect } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { expect } from 'chai';
import type { Transport } from '../harness/bulk.ts';
import { freePort, Httpd } from '../harness/httpd.ts';
import { makeCertificate, tlsHost, tlsModules } from '../harness/tls.ts';
import { waitFor } from '../harness/wait.ts';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

async function whole(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function overHttp1(isTls: boolean, port: number, path: string, ask: Ask): Promise<Answer> {
  const { method = 'GET', headers = {}, body } = ask;
  const where = { host: '127.0.0.1', port, path, method, headers, agent: false as const };
  const req = isTls ? httpsRequest({ ...where, rejectUnauthorized: false }) : httpRequest(where);
  req.end(body);
  const [res] = (await once(req, 'response')) as [IncomingMessage];
  return { status: res.statusCode ?? 0, headers: res.headers, body: await whole(res) };
}

async function overHttp2(isTls: boolean, port: number, path: string, ask: Ask): Promise<Answer> {
  const { method = 'GET', headers = {}, body } = ask;
  const origin = `${isTls ? 'https' : 'http'}://127.0.0.1:${String(port)}`;
  const session = http2Connect(origin, { rejectUnauthorized: false });
  try {
    const stream = session.request({ ...headers, ':path': path, ':method': method });
    stream.end(body);
    const [head] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    const status = Number(head[':status']);
    return { status, headers: head, body: await whole(stream as AsyncIterable<Buffer>) };
  } finally {
    session.destroy();
  }
}

const TRANSPORTS: readonly Transport[] = ['http', 'tls', 'h2c', 'h2'];
const TEXT = 'text/plain;charset=UTF-8';

interface Expected {
  readonly status?: number;
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string | string[] | undefined>>;
}

/** path → what it answers; without a status 200. Text tells its length. */
const EXPECTED: Readonly<Record<string, Expected>> = {
  text: { status: 201, body: 'grün', headers: { 'content-type': TEXT, 'content-length': '5' } },
  bytes: { body: Buffer.of(0xff, 0, 0x80), headers: { 'content-type': 'a/b' } },
  json: { body: '{"a":"€"}', headers: { 'content-type': 'application/json' } },
  none: { body: '', headers: { 'x-a': 'b', 'content-type': undefined } },
  'empty-text': { body: '', headers: { 'content-type': TEXT, 'content-length': '0' } },
  '204': { status: 204, body: '', headers: { 'content-length': undefined } },
  '304': { status: 304, body: '', headers: { etag: '"x"' } },
  redirect: { status: 303, body: '', headers: { location: 'http://a.test/b' } },
  cookies: { body: 'c', headers: { 'set-cookie': ['a=b', 'c=d; Path=/'] } },
  'own-length': { body: 'four', headers: { 'content-length': '4' } },
  'own-type': { body: '<p>', headers: { 'content-type': 'text/html', 'content-length': '3' } },
  'no-type': { body: 'x', headers: { 'content-type': undefined } },
  trailer: { body: 'no trailers' },
  encoding: { body: 'whole' },
  'looked-at': { body: 'looked at', headers: { 'content-type': TEXT, 'x-a': 'b' } },
  cloned: { body: 'cloned', headers: { 'content-type': TEXT, 'content-length': '6' } },
  again: { status: 202, body: 'again', headers: { 'content-type': TEXT } },
  captured: { body: 'captured', headers: { 'content-type': TEXT } },
  late: { body: 'late', headers: { 'content-length': '4' } },
  fetched: { body: 'fetched' },
  subclass: { body: 'subclass', headers: { 'content-type': TEXT } },
  fast: { body: 'fast', headers: { 'content-length': '4', 'x-a': 'b' } },
  stream: { body: 'one,two', headers: { 'content-type': undefined } },
  large: { body: 'x'.repeat(1024 * 1024), headers: { 'content-length': '1048576' } },
  'by-hand': { body: 'half by hand', headers: { 'x-by-hand': 'yes', 'content-type': TEXT } },
  'all-by-hand': { body: 'all by hand', headers: { 'content-type': undefined } },
};

function expectAnswer(answer: Answer, { status = 200, body, headers = {} }: Expected): void {
  expect(answer.status).to.equal(status);
  for (const [name, value] of Object.entries(headers)) {
    expect(answer.headers[name], name).to.deep.equal(value);
  }
  if (body !== undefined) expect(answer.body.equals(Buffer.from(body)), 'the body').to.equal(true);
}

describe('a fetch handler', () => {
  let httpd: Httpd;
  let tlsPort: number;
  before(async () => {
    tlsPort = await freePort();
    httpd = await Httpd.prepare({
      modules: [...tlsModules],
      config: `
Protocols h2 h2c http/1.1
TSGIDaemonProcess fetch
TSGIProcessGroup fetch
TSGIScriptAlias / @APPS@/answers.mjs
${tlsHost(tlsPort)}
`,
    });
    makeCertificate(httpd);
    await httpd.start();
  });
  after(() => httpd.stop());

  function send(transport: Transport, path: string, ask: Ask = {}): Promise<Answer> {
    const isTls = transport === 'tls' || transport === 'h2';
    const over = transport.startsWith('h2') ? overHttp2 : overHttp1;
    return over(isTls, isTls ? tlsPort : httpd.port, `/${path}`, ask);
  }

  for (const transport of TRANSPORTS) {
    for (const [path, expected] of Object.entries(EXPECTED)) {
      it(`answers ${path}, ${transport}`, async () => {
        expectAnswer(await send(transport, path), expected);
      });
    }

    it(`sends no body to a HEAD, but its length, ${transport}`, async () => {
      for (const path of ['text', 'json', 'large', 'stream', 'none', 'captured']) {
        const { status, headers = {} } = EXPECTED[path] ?? {};
        const answer = await send(transport, path, { method: 'HEAD' });
        expectAnswer(answer, { status: status ?? 200, body: '', headers });
      }
    });

    it(`gets an upload as a stream, ${transport}`, async () => {
      const body = randomBytes(3 * 1024 * 1024);
      const answer = await send(transport, 'hash', { method: 'POST', body });
      expect(answer.body.toString()).to.equal(createHash('sha256').update(body).digest('hex'));
    });

    it(`gets forms, and clones of its request, ${transport}`, async () => {
      const form = { 'content-type': 'application/x-www-form-urlencoded' };
      const ask = { method: 'POST', body: 'a=b&c=%C3%BC', headers: form };
      expect(JSON.parse((await send(transport, 'form', ask)).body.toString())).to.deep.equal([
        ['a', 'b'],
        ['c', 'ü'],
      ]);
      const twice = await send(transport, 'twice', { method: 'POST', body: 'x' });
      expect(twice.body.toString()).to.equal('xx');
    });

    it(`gets a Request that can be copied, ${transport}`, async () => {
      const ask = { method: 'PUT', body: 'body', headers: { host: 'a.test' } };
      const answer = await send(
        transport,
        'copied',
        transport.startsWith('h2') ? { ...ask, headers: {} } : ask,
      );
      const scheme = transport === 'tls' || transport === 'h2' ? 'https' : 'http';
      const port = scheme === 'https' ? tlsPort : httpd.port;
      const host = transport.startsWith('h2') ? `127.0.0.1:${String(port)}` : 'a.test';
      expect(answer.body.toString()).to.equal(`PUT,${scheme}://${host}/copied,c,body,true`);
    });

    it(`keeps an AsyncLocalStorage of requests that come together apart, ${transport}`, async () => {
      const users = Array.from({ length: 20 }, (_, i) => `user ${i}`);
      const answers = await Promise.all(
        users.map((user) => send(transport, 'user', { headers: { 'x-user': user } })),
      );
      expect(answers.map(({ body }) => body.toString())).to.deep.equal(users);
    });
  }

  it('gets a Request of the class Request, with the address of the client', async () => {
    const answer = await httpd.ask('/request?a=b', { headers: { 'user-agent': 'test' } });
    expect(JSON.parse(answer.body)).to.deep.equal({
      isRequest: true,
      method: 'GET',
      url: `http://127.0.0.1:${String(httpd.port)}/request?a=b`,
      agent: 'test',
      signal: true,
      ip: '127.0.0.1',
      runtime: 'node',
    });
  });

  it('may pass its Request to fetch()', async () => {
    const answer = await httpd.ask('/sent-on', {
      method: 'POST',
      body: 'x',
      headers: { 'x-a': 'b' },
    });
    expect(answer.body).to.equal('POST b x from itself');
  });

  it('may answer before it has read the request', async () => {
    const answer = await httpd.ask('/refused', { method: 'POST', body: 'x'.repeat(200_000) });
    expect([answer.status, answer.body]).to.deep.equal([413, 'refused POST']);
  });

  it('sends a header value byte for byte, together with text', async () => {
    const connection = await httpd.raw(
      'GET /text HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    const text = await waitFor(() => {
      const received = connection.received();
      return received.includes('grÃ¼n') && received;
    });
    expect(text).to.match(/^HTTP\/1\.1 201 Yes\r\n/);
    expect(text).to.match(/^x-a: é\r$/im);
  });

  it('learns by the signal that a client has left', async () => {
    const aborter = new AbortController();
    const req = httpRequest({ port: httpd.port, path: '/wait', signal: aborter.signal });
    req.on('error', () => undefined);
    req.end();
    const waits = async (): Promise<unknown> => JSON.parse((await httpd.ask('/waits')).body);
    await waitFor(async () => ((await waits()) as { begun: number }).begun === 1);
    aborter.abort();
    await waitFor(async () => ((await waits()) as { left: number }).left === 1);
  });
});

describe('a fetch handler that fails', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.start({
      config: `
TSGIDaemonProcess failing
TSGIScriptAlias / @APPS@/answers.mjs process-group=failing
`,
    });
    // The lines of a stack among them.
    httpd.log.allow(/\[client [^\]]+\] \[failing \d+\]/, 'TSGI0177', 'TSGI0709', 'TSGI0710');
  });
  after(() => httpd.stop());

  for (const [path, id, why] of [
    ['throws', 'TSGI0709', 'on purpose'],
    ['no-response', 'TSGI0710', 'text'],
    ['bad-header', 'TSGI0709', 'x-a'],
    ['read', 'TSGI0709', 'locked'],
  ] as const) {
    it(`is a 500 for the client and ${id} in the log: ${path}`, async () => {
      expect((await httpd.ask(`/${path}`)).status).to.equal(500);
      await waitFor(() => httpd.log.matching(new RegExp(`${id}.*${why}`)).length > 0);
    });
  }

  it('answers by a Response once: the next time its body has been read', async () => {
    expect((await httpd.ask('/kept')).body).to.equal('kept');
    expect((await httpd.ask('/kept')).status).to.equal(500);
    await waitFor(() => httpd.log.matching(/TSGI0709.*locked/).length > 0);
  });
});
