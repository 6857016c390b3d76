import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import { raw } from '../harness/client.ts';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

const RESPONSE = 0x45;
const DATA = 0x46;
const END = 0x47;

const app = `
let cut;
require('node:http').createServer((req, res) => {
  if (req.url === '/now') return void (cut(), res.end('done'));
  res.setHeader('Content-Type', 'text/html');
  res.setHeader('Trailer', 'X-Sum');
  res.write('<p>a body</p>'.repeat(100));
  res.addTrailers({ 'X-Sum': '4' });
  if (req.url === '/cut') cut = () => res.destroy();
  else setImmediate(() => res.end());
}).listen(3000);
`;

/** A frame of the wire (docs/wire.md). */
function frame(type: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(payload.length, 0);
  header[4] = type;
  return Buffer.concat([header, payload]);
}

const u16 = (value: number): Buffer => Buffer.from([value & 0xff, value >> 8]);
const string = (text: string): Buffer =>
  Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')]);
const field = ([name, value]: readonly [string, string]): Buffer =>
  Buffer.concat([Buffer.from([0]), string(name), string(value)]);

/** A response of a worker that has gone bad, in hex. */
function answer(trailers: readonly (readonly [string, string])[]): string {
  const head = Buffer.concat([u16(200), u16(0), string('OK')]);
  const end = Buffer.concat([u16(trailers.length), ...trailers.map(field)]);
  const data = Buffer.from('0\r\n\r\n'); // As if it were the last chunk.
  return Buffer.concat([frame(RESPONSE, head), frame(DATA, data), frame(END, end)]).toString('hex');
}

describe('trailers of a response over HTTP/1.1', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess site
TSGIScriptAlias /app @ROOT@/apps/trailers.js process-group=site
TSGIScriptAlias /packed @ROOT@/apps/trailers.js process-group=site
TSGIDaemonProcess bad
TSGIScriptAlias /bad @APPS@/hostile.js process-group=bad
<Location /packed>
  SetOutputFilter DEFLATE
</Location>
`,
      // One child, so that the connections that were spoilt meanwhile are swept together.
      limits:
        'StartServers 1\nServerLimit 1\nThreadsPerChild 16\nThreadLimit 16\nMaxRequestWorkers 16\n',
    });
    httpd.write('trailers.js', app);
    httpd.log.allow('TSGI0', 'bad');
    await httpd.start();
  });
  after(() => httpd.stop());

  // What it wrote on its idle connections costs whoever finds it there a 502 at most.
  const recovered = () => waitFor(async () => (await httpd.ask('/bad/')).body === 'well');
  beforeEach(recovered);
  afterEach(recovered);

  async function bytes(target: string, version = '1.1', headers = ''): Promise<string> {
    const connection = await raw(
      httpd.port,
      `GET ${target} HTTP/${version}\r\nHost: a\r\n${headers}Connection: close\r\n\r\n`,
    );
    await connection.closed;
    connection.socket.destroy();
    return connection.received();
  }

  it('stand between the last chunk and the empty line, and are announced', async () => {
    const text = await bytes('/app/');
    expect(text).to.match(/\r\nTrailer: X-Sum\r\n/);
    expect(text.endsWith('\r\n0\r\nX-Sum: 4\r\n\r\n')).to.equal(true);
  });

  it('arrive behind a body that a filter has changed', async () => {
    const { headers, trailers } = await httpd.ask('/packed/', {
      headers: { 'Accept-Encoding': 'gzip' },
    });
    expect(headers['content-encoding']).to.equal('gzip');
    expect(trailers).to.deep.equal({ 'x-sum': '4' });
    const text = await bytes('/packed/', '1.1', 'Accept-Encoding: gzip\r\n');
    const body = Buffer.from(text.slice(text.indexOf('\r\n\r\n') + 4), 'latin1');
    const chunks: Buffer[] = [];
    for (let at = 0; ;) {
      const eol = body.indexOf('\r\n', at);
      const size = Number.parseInt(body.toString('latin1', at, eol), 16);
      if (size === 0) break;
      chunks.push(body.subarray(eol + 2, eol + 2 + size));
      at = eol + 4 + size;
    }
    expect(gunzipSync(Buffer.concat(chunks)).toString()).to.equal('<p>a body</p>'.repeat(100));
  });

  it('are not sent to a client of HTTP/1.0, which knows no chunks', async () => {
    const text = await bytes('/bad/?hex=' + answer([['X-Sum', '4']]), '1.0');
    expect(text.endsWith('\r\n\r\n0\r\n\r\n')).to.equal(true);
  });

  it('are not sent with a body that broke off', async () => {
    httpd.log.allow('TSGI0712');
    const connection = await raw(httpd.port, 'GET /app/cut HTTP/1.1\r\nHost: a\r\n\r\n');
    await waitFor(() => connection.received().includes('<p>a body</p>'));
    await httpd.ask('/app/now');
    await connection.closed;
    connection.socket.destroy();
    const text = connection.received();
    expect(text).to.not.match(/\r\n0\r\n|X-Sum: 4/);
    await waitFor(() => httpd.log.matching(/TSGI0712/).length > 0);
  });

  it('that would change what the message is, or hold control characters, are left out', async () => {
    const text = await bytes(
      '/bad/?hex=' +
        answer([
          ['Content-Length', '3'],
          ['Transfer-Encoding', 'identity'],
          ['Trailer', 'X-More'],
          ['Set-Cookie', 'a=1'],
          ['Connection', 'keep-alive'],
          ['Host', 'evil'],
          ['X-Control', 'a\x01b'],
          ['X-Good', '1'],
        ]),
    );
    expect(text.slice(text.indexOf('\r\n\r\n') + 4)).to.equal(
      '5\r\n0\r\n\r\n\r\n0\r\nX-Good: 1\r\n\r\n',
    );
  });
});
