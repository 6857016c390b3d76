import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';

const app = `
const http = require('node:http');
class Request extends http.IncomingMessage {
  get shout() { return this.url.toUpperCase(); }
}
class Response extends http.ServerResponse {
  json(value) {
    this.setHeader('content-type', 'application/json');
    this.end(JSON.stringify(value));
  }
}
const server = http.createServer({
  IncomingMessage: Request,
  ServerResponse: Response,
  joinDuplicateHeaders: true,
  uniqueHeaders: ['x-unique'],
  rejectNonStandardBodyWrites: true,
  highWaterMark: 1024,
  insecureHTTPParser: true,
  maxHeaderSize: 128,
  keepAlive: true,
  keepAliveInitialDelay: 5,
  keepAliveTimeout: 1,
  connectionsCheckingInterval: 50,
  headersTimeout: 100,
  requestTimeout: 100,
  requireHostHeader: true,
  noDelay: false,
}, (req, res) => {
  res.setHeader('x-unique', ['a', 'b']);
  let refused;
  try { res.write(null); } catch (error) { refused = error.code; }
  const sizes = [];
  req.on('data', (chunk) => sizes.push(chunk.length));
  req.on('end', () => {
    res.json({
      shout: req.shout,
      classes: [req.constructor === Request, res.constructor === Response],
      joined: req.headers['x-twice'],
      referer: req.headers.referer,
      highWaterMarks: [req.readableHighWaterMark, res.writableHighWaterMark],
      large: (req.headers['x-large'] ?? '').length,
      bytes: sizes.reduce((sum, size) => sum + size, 0),
      refused,
    });
  });
});
server.maxHeadersCount = 12;
server.listen(3000);
`;

describe('options of createServer()', function () {
  this.timeout(30_000);
  let httpd: Httpd;
  const json = async (options = {}) => {
    const { status, body, headers } = await httpd.ask('/options/path', options);
    return { status, headers, ...(JSON.parse(body) as Record<string, unknown>) };
  };

  before(async () => {
    httpd = await Httpd.prepare({
      config: 'TSGIScriptAlias /options @ROOT@/apps/options.cjs\n',
    });
    httpd.write('options.cjs', app);
    await httpd.start();
  });
  after(() => httpd.stop());

  it('are honoured where they are about requests and responses', async () => {
    const got = await json({
      headers: { 'X-Twice': ['1', '2'], Referer: ['http://a', 'http://b'] },
    });
    expect(got).to.deep.include({
      status: 200,
      shout: '/PATH',
      classes: [true, true],
      joined: '1, 2',
      referer: 'http://a, http://b',
      highWaterMarks: [1024, 1024],
    });
    expect(got.headers['x-unique']).to.equal('a; b');
    expect(got).to.have.property('refused').that.matches(/^ERR_/);
  });

  it('let large bodies through in spite of a small highWaterMark', async () => {
    const body = 'x'.repeat(1_000_000);
    expect(await json({ method: 'POST', body })).to.have.property('bytes', body.length);
  });

  it("are Apache's to keep where they are about connections and their parsing", async () => {
    // Beyond maxHeaderSize, headersTimeout and requestTimeout of the app, within those of Apache.
    async function* slowly(): AsyncGenerator<string> {
      yield 'a';
      await new Promise((resolve) => setTimeout(resolve, 400));
      yield 'b';
    }
    const headers = { 'X-Large': 'x'.repeat(4000) };
    const got = await json({ method: 'POST', body: slowly(), headers });
    expect(got).to.deep.include({ status: 200, large: 4000, bytes: 2 });
    expect(
      (await httpd.ask('/options/', { headers: { 'X-Large': 'x'.repeat(9000) } })).status,
    ).to.equal(400);
    const hostless = await httpd.raw('GET /options/ HTTP/1.1\r\n\r\n');
    await hostless.closed;
    expect(hostless.received()).to.match(/^HTTP\/1\.1 400 /);
  });
});
