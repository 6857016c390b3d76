import { expect } from 'chai';
import { raw } from '../harness/client.ts';
import { Httpd } from '../harness/httpd.ts';

const config = `
TSGIDaemonProcess site
TSGIProcessGroup site
TSGIScriptAlias /echo @APPS@/echo.js
TSGIScriptAlias /call @ROOT@/apps/environ.js
TSGIScriptAlias /changed @APPS@/echo.js
<Location /changed>
  RequestHeader append X-Twice "by Apache"
  RequestHeader unset X-Gone
  RequestHeader set X-New "by Apache"
</Location>
`;

const environ = `
exports.application = (environ, startResponse) => {
  startResponse('200 OK', []);
  return [JSON.stringify(environ)];
};
`;

interface Shown {
  readonly rawHeaders: string[];
  readonly headers: Record<string, string | string[]>;
}

describe('request headers of HTTP/1.1', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config });
    httpd.write('environ.js', environ);
    await httpd.start();
  });
  after(() => httpd.stop());

  /** Sends the requests on one connection. @returns what the app has seen of each. */
  async function shown(...heads: string[]): Promise<Shown[]> {
    const texts = heads.map((head, i) => {
      const isLast = i === heads.length - 1;
      return `${head}\r\nHost: a.example\r\n${isLast ? 'Connection: close\r\n' : ''}\r\n`;
    });
    return answers(texts.join(''));
  }

  async function answers(bytes: string): Promise<Shown[]> {
    const connection = await raw(httpd.port, bytes);
    await connection.closed;
    connection.socket.destroy();
    const bodies = connection.received().split('HTTP/1.1 200').slice(1);
    return bodies.map((text) => {
      const json = text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1);
      return JSON.parse(json) as Shown;
    });
  }

  it('arrive as the client sent them: order, case, repeats, empty values', async () => {
    const [seen] = await shown(
      [
        'GET /echo/show HTTP/1.1',
        'X-Twice: one',
        'Accept: */*',
        'x-twice:  two, three',
        'X_Under: score',
        'X-Empty:',
        'X-TWICE: ',
        'X-Last: yes\t ',
      ].join('\r\n'),
    );
    expect(seen?.rawHeaders.slice(0, 14)).to.deep.equal([
      ...['X-Twice', 'one'],
      ...['Accept', '*/*'],
      ...['x-twice', 'two, three'],
      ...['X_Under', 'score'],
      ...['X-Empty', ''],
      ...['X-TWICE', ''],
      ...['X-Last', 'yes'],
    ]);
    expect(seen?.headers['x-twice']).to.equal('one, two, three, ');
  });

  it('join cookies as Node does: by a semicolon', async () => {
    const [seen] = await shown('GET /echo/show HTTP/1.1\r\nCookie: a=1\r\nX: x\r\nCookie: b=2');
    expect(seen?.headers['cookie']).to.equal('a=1; b=2');
  });

  it('are told apart on a kept connection, and pipelined', async () => {
    const seen = await shown(
      'GET /echo/show?1 HTTP/1.1\r\nX-A: 1\r\nX-A: 2',
      'GET /echo/show?2 HTTP/1.1\r\nX-A: 3',
      '\r\nGET /echo/show?3 HTTP/1.1\r\nX-B: 4\r\nX-B: 5',
    );
    const names = seen.map(({ rawHeaders }) => rawHeaders.filter((s) => /^(X-.|\d)$/.test(s)));
    expect(names).to.deep.equal([
      ['X-A', '1', 'X-A', '2'],
      ['X-A', '3'],
      ['X-B', '4', 'X-B', '5'],
    ]);
  });

  it('show what Apache has been told to change', async () => {
    const [seen] = await shown(
      [
        'GET /changed/show HTTP/1.1',
        'X-Gone: a',
        'X-Twice: one',
        'X-Kept: a',
        'X-Gone: b',
        'X-Twice: two',
        'X-Kept: b',
      ].join('\r\n'),
    );
    expect(
      seen?.rawHeaders.filter((_, i, all) => (all[i - (i % 2)] ?? '').startsWith('X-')),
    ).to.deep.equal([
      ...['X-Twice', 'one, two, by Apache'],
      ...['X-Kept', 'a'],
      ...['X-Kept', 'b'],
      ...['X-New', 'by Apache'],
    ]);
  });

  it('that go on in a second line arrive in one, as httpd reads them', async () => {
    const [seen] = await shown(
      'GET /echo/show HTTP/1.1\r\nX-Fold: one\r\n two\r\nX-A: 1\r\nX-A: 2',
    );
    expect(seen?.headers['x-fold']).to.equal('one two');
    expect(seen?.headers['x-a']).to.equal('1, 2');
  });

  it('that are many and repeated cost no more than they are', async () => {
    const many = Array.from({ length: 90 }, (_, i) => `X-Many: ${String(i)}`);
    const [seen] = await shown(['GET /echo/show HTTP/1.1', ...many].join('\r\n'));
    expect(seen?.rawHeaders.filter((name) => name === 'X-Many')).to.have.length(90);
  });

  it('come to a body of chunks and its trailers without confusion', async () => {
    const [first, second] = await answers(
      'POST /echo/show HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\nX-A: 2\r\n\r\n' +
        '3\r\nabc\r\n0\r\nX-Trailer: 1\r\nX-Trailer: 2\r\n\r\n' +
        'GET /echo/show HTTP/1.1\r\nHost: a\r\nX-B: 1\r\nX-B: 2\r\nConnection: close\r\n\r\n',
    );
    expect(first?.rawHeaders.slice(2)).to.deep.equal([
      'X-A',
      '1',
      'Transfer-Encoding',
      'chunked',
      'X-A',
      '2',
    ]);
    expect(second?.rawHeaders.slice(2)).to.deep.equal(['X-B', '1', 'X-B', '2']);
  });

  it('a callable finds several of one name joined', async () => {
    const [environ] = (await answers(
      'GET /call/ HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nCookie: b=2\r\nX-A: 1\r\nX-A: 2\r\nX_A: 3\r\nConnection: close\r\n\r\n',
    )) as unknown as Record<string, string>[];
    expect(environ?.['HTTP_COOKIE']).to.equal('a=1; b=2');
    expect(environ?.['HTTP_X_A']).to.equal('1, 2');
  });
});
