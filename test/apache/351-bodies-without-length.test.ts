/** Bodies whose length is not told, and parsers that look for one in the headers first. */
import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

const TYPE = 'application/x-www-form-urlencoded';
const parsed = { name: 'mod_tsgi' };

describe('a form whose length is not told', () => {
  let httpd: Httpd;
  let session: ClientHttp2Session;
  before(async () => {
    httpd = await Httpd.start({
      modules: ['http2'],
      config:
        'Protocols h2c http/1.1\nTSGIDaemonProcess bodies\nTSGIScriptAlias / @APPS@/bodies.cjs process-group=bodies\n',
    });
    session = connect(`http://127.0.0.1:${String(httpd.port)}`);
    await once(session, 'connect');
  });
  after(async () => {
    session.destroy();
    await httpd.stop();
  });

  /** @returns what the app tells about a request of HTTP/2. */
  async function overHttp2(headers: Record<string, string>, body?: string): Promise<unknown> {
    const stream = session.request({ ':path': '/', 'content-type': TYPE, ...headers });
    stream.end(body);
    return JSON.parse(await text(stream));
  }

  async function* pieces(): AsyncGenerator<string> {
    yield 'name=';
    await Promise.resolve();
    yield 'mod_tsgi';
  }

  it('is parsed when it comes in chunks', async () => {
    const headers = { 'Content-Type': TYPE };
    const answer = await httpd.ask('/', { method: 'POST', headers, body: pieces() });
    const framing = ['Transfer-Encoding: chunked'];
    expect(JSON.parse(answer.body)).to.deep.equal({ body: parsed, framing });
  });

  it('is parsed when it comes by HTTP/2, which frames it by itself', async () => {
    const shown = await overHttp2({ ':method': 'POST' }, 'name=mod_tsgi');
    expect(shown).to.deep.equal({ body: parsed, framing: ['Transfer-Encoding: chunked'] });
  });

  it('keeps its length where HTTP/2 tells it', async () => {
    const shown = await overHttp2({ ':method': 'POST', 'content-length': '13' }, 'name=mod_tsgi');
    expect(shown).to.deep.equal({ body: parsed, framing: ['Content-Length: 13'] });
  });

  it('is not expected of a request of HTTP/2 without a body', async () => {
    const shown = (await overHttp2({ ':method': 'GET' })) as { framing: string[] };
    expect(shown.framing).to.not.include('Transfer-Encoding: chunked');
  });

  it('never has two lengths: a request that tells both keeps the encoding', async () => {
    const connection = await httpd.raw(
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: ${TYPE}\r\nContent-Length: 0\r\n` +
        'Transfer-Encoding: chunked\r\nConnection: close, Transfer-Encoding\r\n\r\n' +
        'd\r\nname=mod_tsgi\r\n0\r\n\r\n',
    );
    await waitFor(() => connection.received().includes('}'), { what: 'the answer' });
    connection.socket.destroy();
    expect(connection.received()).to.include('"framing":["Transfer-Encoding: chunked"]');
  });
});
