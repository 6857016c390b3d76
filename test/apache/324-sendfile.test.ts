import { once } from 'node:events';
import { mkdirSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { connect as http2Connect } from 'node:http2';
import { expect } from 'chai';
import { blocks, download, sum } from '../harness/bulk.ts';
import type { Answer, Ask } from '../harness/client.ts';
import { freePort, Httpd } from '../harness/httpd.ts';
import { app } from '../harness/place.ts';
import { makeCertificate, tlsHost, tlsModules } from '../harness/tls.ts';
import { upgrade } from '../harness/upgrade.ts';
import { waitFor } from '../harness/wait.ts';

const config = (tlsPort: number): string => `
Protocols h2 h2c http/1.1
TSGIDaemonProcess files concurrency=1
TSGIProcessGroup files
TSGISendfilePath @ROOT@/files "@ROOT@/more files"
TSGIScriptAlias /app @APPS@/sendfile.cjs application-group=app
TSGIScriptAlias /quick @APPS@/sendfile.cjs application-group=app
TSGIScriptAlias /none @APPS@/sendfile.cjs application-group=app
TSGIScriptAlias /zip @APPS@/sendfile.cjs application-group=app
TSGIScriptAlias /error @APPS@/sendfile.cjs application-group=app
TSGIScriptAlias /nested @ROOT@/apps/nested/app.cjs
<Directory @ROOT@/apps/nested>
  TSGISendfilePath @ROOT@/files
</Directory>
TSGIScriptAlias /callable @ROOT@/apps/callable.cjs
TSGIScriptAlias /relayed @APPS@/sendfile.cjs application-group=app
TSGIUpgradePassing Off
<Location /quick>
  EnableSendfile On
</Location>
<Location /none>
  TSGISendfilePath None
</Location>
<Location /zip>
  SetOutputFilter DEFLATE
</Location>
<Location /app/custom>
  ErrorDocument 404 /error?path=@ROOT@/files/sorry.txt
</Location>
${tlsHost(tlsPort)}
`;
const callable = `
exports.application = (environ, startResponse) => {
  startResponse(200, [['X-Sendfile', decodeURIComponent(environ.QUERY_STRING)], ['Content-Type', 'text/x']]);
  return 'not this';
};
`;
const BIG = 16 * 1024 * 1024;
/** More than any socket buffers. */
const HUGE = 1024 * 1024 * 1024;

describe('a response with X-Sendfile', () => {
  let httpd: Httpd;
  let tlsPort: number;
  let files: string;
  before(async () => {
    tlsPort = await freePort();
    httpd = await Httpd.prepare({ modules: tlsModules, config: config(tlsPort) });
    makeCertificate(httpd);
    files = `${httpd.dir}/files`;
    mkdirSync(`${files}/sub`, { recursive: true });
    mkdirSync(`${httpd.dir}/more files`);
    writeFileSync(`${files}/hello.txt`, 'hello from a file');
    utimesSync(`${files}/hello.txt`, 1e9, 1e9); // httpd calls the ETag of a new file weak
    writeFileSync(`${files}/empty.txt`, '');
    writeFileSync(`${files}/sorry.txt`, 'sorry');
    writeFileSync(`${files}/long.txt`, 'compress me '.repeat(1000));
    writeFileSync(`${files}/sub/100% grün.txt`, 'umlaut');
    writeFileSync(`${httpd.dir}/more files/a b.txt`, 'more');
    writeFileSync(`${files}/big`, Buffer.concat([...blocks(BIG)]));
    symlinkSync('hello.txt', `${files}/link.txt`);
    httpd.write('callable.cjs', callable);
    httpd.write('nested/app.cjs', `require(${JSON.stringify(app('sendfile.cjs'))});`);
    httpd.log.allow('TSGI0222');
    await httpd.start();
  });
  after(() => httpd.stop());

  const sent = (path: string, query = '', options?: Ask, mount = 'app'): Promise<Answer> =>
    httpd.ask(`/${mount}/?path=${encodeURIComponent(path)}${encodeURI(query)}`, options);
  const hello = (query = '', options?: Ask) => sent(`${files}/hello.txt`, query, options);

  it('is the file, and the header stays with Apache', async () => {
    const answer = await hello();
    expect(answer.status).to.equal(200);
    expect(answer.body).to.equal('hello from a file');
    expect(answer.headers).to.include({ 'content-length': '17', 'accept-ranges': 'bytes' });
    expect(answer.headers).to.have.property('etag');
    const { mtime } = statSync(`${files}/hello.txt`);
    expect(answer.headers['last-modified']).to.equal(mtime.toUTCString());
    expect(answer.headers).to.not.have.property('x-sendfile');
    expect(answer.headers).to.not.have.property('transfer-encoding');
  });

  it('has what the app has said about it: type, cookies, validators, status and its reason', async () => {
    const answer = await hello(
      '&set=Content-Type:text/x&set=Set-Cookie:a=1&set=Set-Cookie:b=2&set=Cache-Control:max-age=7' +
        '&set=Content-Disposition:attachment&set=ETag:"mine"&set=Last-Modified:Fri, 01 Jan 1999 00:00:00 GMT',
    );
    expect(answer.headers).to.deep.include({
      'content-type': 'text/x',
      'set-cookie': ['a=1', 'b=2'],
      'cache-control': 'max-age=7',
      'content-disposition': 'attachment',
      etag: '"mine"',
      'last-modified': 'Fri, 01 Jan 1999 00:00:00 GMT',
      'content-length': '17',
    });
    const missing = await hello('&status=404');
    expect([missing.status, missing.body]).to.deep.equal([404, 'hello from a file']);
  });

  it('has a head alone for HEAD', async () => {
    const answer = await hello('', { method: 'HEAD' });
    expect([answer.status, answer.body]).to.deep.equal([200, '']);
    expect(answer.headers).to.include({ 'content-length': '17' });
    expect(answer.headers).to.not.have.property('x-sendfile');
  });

  it('answers conditional requests', async () => {
    const { etag, 'last-modified': modified } = (await hello()).headers;
    for (const [query, headers, status] of [
      ['', { 'If-None-Match': etag }, 304],
      ['', { 'If-None-Match': '"other"' }, 200],
      ['', { 'If-Modified-Since': modified }, 304],
      ['', { 'If-Modified-Since': 'Fri, 01 Jan 1999 00:00:00 GMT' }, 200],
      ['', { 'If-Match': '"other"' }, 412],
      ['&set=ETag:"mine"', { 'If-None-Match': '"mine"' }, 304],
      ['&set=ETag:"mine"', { 'If-None-Match': etag }, 200],
      ['&set=Last-Modified:Fri, 01 Jan 1999 00:00:00 GMT', { 'If-Modified-Since': modified }, 304],
      ['&status=203', { 'If-None-Match': etag }, 203],
    ] as const) {
      const sent = Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, v ?? '']));
      const answer = await hello(query, { headers: sent });
      expect(answer.status, JSON.stringify([query, headers])).to.equal(status);
      expect(answer.body).to.equal(status === 304 || status === 412 ? '' : 'hello from a file');
    }
  });

  it('answers requests for ranges', async () => {
    const one = await hello('', { headers: { Range: 'bytes=6-9' } });
    expect([one.status, one.body]).to.deep.equal([206, 'from']);
    expect(one.headers['content-range']).to.equal('bytes 6-9/17');
    const two = await hello('', { headers: { Range: 'bytes=0-4,-4' } });
    expect(two.status).to.equal(206);
    expect(two.body).to.contain('\r\nhello\r\n').and.to.contain('\r\nfile\r\n');
    expect((await hello('', { headers: { Range: 'bytes=99-' } })).status).to.equal(416);
    const { etag = '' } = (await hello()).headers;
    const headers = { Range: 'bytes=0-4', 'If-Range': etag };
    expect((await hello('', { headers })).status).to.equal(206);
    headers['If-Range'] = '"other"';
    expect((await hello('', { headers })).status).to.equal(200);
  });

  it('takes names of any kind, percent-encoded, in each allowed directory', async () => {
    expect((await sent(`${files}/sub/100% grün.txt`)).body).to.equal('umlaut');
    expect((await sent(`${httpd.dir}/more files/a b.txt`)).body).to.equal('more');
    expect((await sent(`${files}//sub/../hello.txt`)).body).to.equal('hello from a file');
    const empty = await sent(`${files}/empty.txt`);
    expect([empty.status, empty.body]).to.deep.equal([200, '']);
    expect(empty.headers).to.include({ 'content-length': '0' });
  });

  it('follows links that stay inside', async () => {
    expect((await sent(`${files}/link.txt`)).body).to.equal('hello from a file');
  });

  it('may come from any method and any interface, and drops the body of the app', async () => {
    const posted = await hello('', { method: 'POST', body: 'x'.repeat(100_000) });
    expect(posted.body).to.equal('hello from a file');
    for (const body of [1, 70_000, 1_000_000]) {
      expect((await hello(`&body=${String(body)}`)).body).to.equal('hello from a file');
    }
    for (const length of ['0', '3', '9007199254740991']) {
      const answer = await hello(`&set=Content-Length:${length}`);
      expect([answer.body, answer.headers['content-length']]).to.deep.equal([
        'hello from a file',
        '17',
      ]);
    }
    const answer = await httpd.ask(`/callable?${encodeURIComponent(`${files}/hello.txt`)}`);
    expect([answer.body, answer.headers['content-type']]).to.deep.equal([
      'hello from a file',
      'text/x',
    ]);
  });

  it('is compressed by mod_deflate as other files are', async () => {
    const headers = { 'Accept-Encoding': 'gzip' };
    const answer = await sent(`${files}/long.txt`, '', { headers }, 'zip');
    expect(answer.headers).to.include({ 'content-encoding': 'gzip' });
    expect((await sent(`${files}/long.txt`, '', {}, 'zip')).body).to.have.length(12_000);
  });

  it('may be an error document', async () => {
    const answer = await httpd.ask(`/app/custom?path=${files}/missing.txt`);
    expect([answer.status, answer.body]).to.deep.equal([404, 'sorry']);
  });

  for (const mount of ['app', 'quick']) {
    for (const transport of ['http', 'tls', 'h2c', 'h2'] as const) {
      it(`is whole, ${transport}${mount === 'quick' ? ', EnableSendfile On' : ''}`, async () => {
        const isTls = transport === 'tls' || transport === 'h2';
        const port = isTls ? tlsPort : httpd.port;
        const path = `/${mount}/?path=${files}/big`;
        expect(await download({ transport, port, path })).to.equal(await sum(blocks(BIG)));
      });
    }
  }

  it('keeps no worker while a slow client takes it', async () => {
    const slow = connect({ host: '127.0.0.1', port: httpd.port });
    await once(slow, 'connect');
    slow.write(`GET /app/?path=${files}/big HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    await once(slow, 'readable'); // its head has come; the rest waits for this client
    expect((await httpd.ask('/app/hello')).body).to.equal('hello');
    slow.destroy();
  });

  for (const isTls of [false, true]) {
    it(`ends with its connection when the file shrinks under way: nothing stands in the place of the rest${isTls ? ', TLS' : ''}`, async () => {
      writeFileSync(`${files}/shrinking`, '');
      truncateSync(`${files}/shrinking`, HUGE); // of zeros that take no room
      const where = { host: '127.0.0.1', port: isTls ? tlsPort : httpd.port };
      const slow = isTls ? connectTls({ ...where, rejectUnauthorized: false }) : connect(where);
      await once(slow, isTls ? 'secureConnect' : 'connect');
      slow.write(`GET /app/?path=${files}/shrinking HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      await once(slow, 'readable');
      truncateSync(`${files}/shrinking`, 1000);
      slow.write('GET /app/hello HTTP/1.1\r\nHost: localhost\r\n\r\n');
      const chunks: Buffer[] = [];
      slow.on('error', () => undefined);
      slow.on('data', (chunk: Buffer) => chunks.push(chunk));
      await new Promise((resolve) => slow.once('close', resolve));
      const text = Buffer.concat(chunks).toString('latin1');
      expect(text).to.match(/^HTTP\/1\.1 200 /);
      expect(text.length).to.be.lessThan(HUGE);
      expect(text.indexOf('HTTP/1.1', 9)).to.equal(-1);
    });
  }

  it('never shows its header where no file is sent', async () => {
    for (const status of [204, 304]) {
      const answer = await hello(`&status=${String(status)}`);
      expect([answer.status, answer.body]).to.deep.equal([status, '']);
      expect(answer.headers).to.not.have.property('x-sendfile');
    }
    const client = await upgrade(httpd.port, { path: `/relayed?path=${files}/hello.txt` });
    await waitFor(client.hasEnded);
    client.socket.destroy();
    expect(client.head)
      .to.match(/^HTTP\/1\.1 101 /)
      .and.not.match(/x-sendfile/i);
    expect(client.received().toString()).to.equal('switched');
    const informed = await httpd.raw(
      `GET /app/?path=${files}/hello.txt&informed HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
    );
    await informed.closed;
    informed.socket.destroy();
    expect(informed.received())
      .to.match(/^HTTP\/1\.1 103 /)
      .and.match(/hello from a file$/);
    expect(informed.received()).to.not.match(/x-sendfile/i);
  });

  it('takes nothing for one that stands in a trailer, and does not pass it on', async () => {
    const session = http2Connect(`http://127.0.0.1:${String(httpd.port)}`);
    const stream = session.request({ ':path': `/app/?trailer=${files}/hello.txt` });
    const trailers: Record<string, unknown>[] = [];
    stream.on('trailers', (fields: Record<string, unknown>) => trailers.push(fields));
    let text = '';
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    stream.end();
    await once(stream, 'close');
    session.destroy();
    expect(text).to.equal('a body');
    expect(trailers).to.have.length(1);
    expect(trailers[0]).to.include({ 'x-other': 'other' }).and.not.have.property('x-sendfile');
  });

  it('may be allowed for the directory of its script alone', async () => {
    const answer = await httpd.ask(`/nested?path=${files}/hello.txt`);
    expect(answer.body).to.equal('hello from a file');
    const other = await httpd.ask(
      `/nested?path=${encodeURIComponent(`${httpd.dir}/more files/a b.txt`)}`,
    );
    expect(other.status).to.equal(500);
  });

  it('leaves X-Accel-Redirect, which names a URL of nginx, to whom it is for', async () => {
    const answer = await httpd.ask('/app/?set=X-Accel-Redirect:/internal');
    expect(answer.headers).to.include({ 'x-accel-redirect': '/internal' });
  });
});
