import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

const head = (method: string, path: string, more = '', version = '1.1') =>
  `${method} ${path} HTTP/${version}\r\nHost: x\r\n${more}\r\n`;
/** The last request of a connection: its answer shows that the ones before it left nothing behind. */
const last = head('GET', '/echo?last', 'Connection: close\r\n');

describe('unusual requests and answers on one connection', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.start({
      config: 'TSGIDaemonProcess site\nTSGIScriptAlias / @APPS@/odd.js process-group=site\n',
    });
  });
  after(() => httpd.stop());

  /** Sends everything at once. @returns status lines, and all that came. */
  async function exchange(bytes: string): Promise<{ lines: string[]; text: string }> {
    const connection = await httpd.raw(bytes);
    await connection.closed;
    const text = connection.received();
    return { lines: text.match(/HTTP\/1\.1 \d+/g) ?? [], text };
  }
  const ok = 'HTTP/1.1 200';

  it('pipelined requests are answered in their order', async () => {
    const { lines, text } = await exchange(
      head('GET', '/echo?1') +
        `${head('POST', '/echo?2', 'Content-Length: 3\r\n')}abc` +
        `${head('POST', '/echo?3', 'Transfer-Encoding: chunked\r\n')}3\r\nxyz\r\n0\r\n\r\n` +
        last,
    );
    expect(lines).to.deep.equal([ok, ok, ok, ok]);
    expect(text).to.match(
      /GET \/echo\?1 [^]*POST \/echo\?2 abc[^]*POST \/echo\?3 xyz[^]*GET \/echo\?last /,
    );
  });

  it('HTTP/1.0 is closed after the answer, or kept where the client asks for it and the length is known', async () => {
    expect((await exchange(head('GET', '/echo', '', '1.0'))).text).to.match(/GET \/echo $/);
    const kept = await exchange(head('GET', '/length', 'Connection: keep-alive\r\n', '1.0') + last);
    expect(kept.lines).to.deep.equal([ok, ok]);
  });

  it('HEAD has the head of GET and no body', async () => {
    const { lines, text } = await exchange(head('HEAD', '/length') + last);
    expect(lines).to.deep.equal([ok, ok]);
    expect(text).to.match(/Content-Length: 5\r\n(?:[^\r]+\r\n)*\r\nHTTP\/1\.1 200/);
  });

  for (const status of ['204', '304']) {
    it(`${status} has no body, whatever the app writes`, async () => {
      const { lines, text } = await exchange(head('GET', `/${status}`) + last);
      expect(lines).to.deep.equal([`HTTP/1.1 ${status}`, ok]);
      expect(text).to.match(/^[^]*?\r\n\r\nHTTP\/1\.1 200/);
    });
  }

  it('interim responses reach a client of HTTP/1.1, and none of HTTP/1.0', async () => {
    const newer = await exchange(head('GET', '/hints') + last);
    expect(newer.lines).to.deep.equal(['HTTP/1.1 103', 'HTTP/1.1 102', ok, ok]);
    expect(newer.text).to.match(
      /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/style\.css>; rel=preload\r\n\r\n/i,
    );
    expect((await exchange(head('GET', '/hints', '', '1.0'))).lines).to.deep.equal([ok]);
  });

  it('a body of 50 MiB that the app does not read delays neither the answer nor the next request', async () => {
    const size = 50 * 1024 * 1024;
    const block = Buffer.alloc(64 * 1024, 'u');
    const connection = await httpd.raw(
      head('POST', '/unread', `Content-Length: ${String(size)}\r\n`),
    );
    await waitFor(() => connection.received().endsWith('unread'), { what: 'the early answer' });
    for (let sent = 0; sent < size; sent += block.length) {
      if (!connection.socket.write(block)) {
        await new Promise((resolve) => connection.socket.once('drain', resolve));
      }
    }
    connection.socket.write(last);
    await connection.closed;
    expect(connection.received()).to.match(/unreadHTTP\/1\.1 200[^]*GET \/echo\?last $/);
  });

  it('50 cookies stay 50 headers', async () => {
    expect((await httpd.ask('/cookies')).headers['set-cookie']).to.have.length(50);
  });

  it('900 headers and a value of 64 KiB pass; more than 1000, or than 256 KiB, fail that request alone', async () => {
    const maxHeaderSize = 1024 * 1024;
    const many = await httpd.ask('/headers?count=900', { maxHeaderSize });
    expect(many.headers['x-h899']).to.equal('v899');
    expect(
      (await httpd.ask('/headers?long=65536', { maxHeaderSize })).headers['x-long'],
    ).to.have.length(65_536);
    httpd.log.allow('TSGI01', 'TSGI0716');
    expect((await httpd.ask('/headers?count=1100')).status).to.equal(502);
    expect((await httpd.ask('/headers?long=300000')).status).to.equal(500);
    expect(httpd.log.matching(/TSGI0716/)).to.have.length(1);
    expect((await httpd.ask('/echo')).status).to.equal(200);
  });
});
