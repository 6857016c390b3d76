import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

const config = `
TSGIScriptAlias /echo @APPS@/echo.js
AllowEncodedSlashes NoDecode
LimitRequestFieldSize 131072
LimitRequestBody 1000000
<VirtualHost 127.0.0.1:@PORT@>
  ServerName localhost
</VirtualHost>
`;

describe('bad input from clients', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.start({ config });
    httpd.log.allow('AH0', 'AH1', 'TSGI02'); // httpd's and our own words about clients
  });
  after(() => httpd.stop());

  const send = async (head: string, body = '') => {
    const conn = await httpd.raw(`${head}\r\nHost: localhost\r\nConnection: close\r\n\r\n${body}`);
    await conn.closed;
    conn.socket.destroy();
    return conn.received();
  };
  const shown = async (head: string) => {
    const text = await send(head);
    expect(text).to.match(/^HTTP\/1\.1 200/);
    return JSON.parse(text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1)) as {
      url: string;
      headers: Record<string, string>;
      rawHeaders: string[];
    };
  };

  afterEach('Apache and the app are well', async () => {
    expect((await httpd.ask('/echo/hello')).body).to.equal('hello');
  });

  it('a header block over the limit is refused by Apache', async () => {
    expect(await send(`GET /echo/show HTTP/1.1\r\n${'X: y\r\n'.repeat(200)}Z: z`)).to.match(
      /^HTTP\/1\.1 400/,
    );
  });

  it('a value of 0 bytes and one of 64 KiB arrive as they are', async () => {
    const { headers } = await shown(
      `GET /echo/show HTTP/1.1\r\nX-Empty:\r\nX-Long: ${'v'.repeat(65536)}`,
    );
    expect(headers['x-empty']).to.equal('');
    expect(headers['x-long']).to.have.length(65536);
  });

  it('headers named __proto__ do no harm, those named Proxy do not arrive', async () => {
    const { rawHeaders } = await shown(
      'GET /echo/show HTTP/1.1\r\n__proto__: x\r\nProxy: x\r\nX-Fine: x',
    );
    const names = rawHeaders.filter((_, i) => i % 2 === 0);
    expect(names).to.include('X-Fine');
    expect(names).to.include('__proto__');
    expect(names).to.not.include('Proxy');
  });

  for (const target of [
    '/echo/show?%2F',
    '/echo/show?a=%5C..',
    '/echo/show?//;',
    '/echo/show?%25%3F',
  ]) {
    it(`the query of ${target} arrives byte for byte`, async () => {
      const { url } = await shown(`GET ${target} HTTP/1.1`);
      expect(url).to.equal(target.slice('/echo'.length));
    });
  }

  for (const [target, status] of [
    ['/echo/a%2Fb', 404],
    ['/echo/a%5Cb', 404],
    ['/echo//x;y', 404],
    ['/echo/a%00b', 404],
    ['/echo/../echo/hello', 200],
    ['/echo/../../etc/passwd', 400],
    ['/%2e%2e/%2e%2e/etc/passwd', 400],
    ['/echo/%zz', 400],
  ] as const) {
    it(`the path ${target} is answered ${String(status)}`, async () => {
      expect(await send(`GET ${target} HTTP/1.1`)).to.match(
        new RegExp(`^HTTP/1\\.1 ${String(status)}`),
      );
    });
  }

  it('a body that is shorter than its Content-Length is no request that the app completes', async () => {
    const conn = await httpd.raw(
      'POST /echo/hash HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nshort',
    );
    conn.socket.end();
    await conn.closed;
    conn.socket.destroy();
    expect(conn.received()).to.not.match(/^HTTP\/1\.1 200/);
  });

  it('a body over LimitRequestBody is a 413', async () => {
    const answer = await httpd.ask('/echo/hash', { method: 'POST', body: Buffer.alloc(1_000_001) });
    expect(answer.status).to.equal(413);
  });

  it('a chunked body over LimitRequestBody is a 413', async () => {
    async function* chunks() {
      for (let i = 0; i < 20; i++) yield Buffer.alloc(100_000);
    }
    const answer = await httpd.ask('/echo/hash', { method: 'POST', body: chunks() });
    expect(answer.status).to.equal(413);
  });

  it('a bad chunk size is a 400', async () => {
    expect(
      await send(
        'POST /echo/hash HTTP/1.1\r\nTransfer-Encoding: chunked',
        'zz\r\nabc\r\n0\r\n\r\n',
      ),
    ).to.match(/^HTTP\/1\.1 400/);
  });

  it('Content-Length beside Transfer-Encoding smuggles no second request', async () => {
    const text = await send(
      'POST /echo/hash HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked',
      '5\r\nabcde\r\n0\r\n\r\nGET /echo/pid HTTP/1.1\r\nHost: localhost\r\n\r\n',
    );
    expect(text.match(/^HTTP\/1\.1 /gm)).to.have.length(1);
  });

  it('a client that resets in the middle of an upload or a download harms nobody', async () => {
    for (let i = 0; i < 20; i++) {
      const up = await httpd.raw(
        'POST /echo/hash HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\nxxx',
      );
      up.socket.resetAndDestroy();
      const down = await httpd.raw(
        'GET /echo/big?bytes=10000000 HTTP/1.1\r\nHost: localhost\r\n\r\n',
      );
      await waitFor(() => down.received().length > 0);
      down.socket.resetAndDestroy();
    }
  });

  it('Connection cannot remove what Apache adds or relies on', async () => {
    const text = await send(
      'GET /echo/show HTTP/1.1\r\nConnection: X-Drop, Host\r\nX-Drop: 1\r\nX-Keep: 1',
    );
    expect(text).to.match(/"x-keep":"1"/);
    expect(text).to.match(/"host":"localhost"/);
    expect(text).to.not.match(/"x-drop"/);
  });
});
