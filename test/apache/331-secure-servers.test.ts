import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

/** What an app can tell of the classes that it gets, and of the client. */
const handler = `(req, res) => {
  req.resume().on('end', () => {
    res.setHeader('x-first', '1');
    res.writeHead(201, { 'content-type': 'application/json' });
    res.end(JSON.stringify({
      classes: [req.constructor.name, res.constructor.name, req instanceof require('node:http').IncomingMessage],
      version: req.httpVersion, method: req.method, url: req.url, encrypted: req.socket.encrypted ?? false,
      events,
    }));
  });
}`;

const apps: Record<string, string> = {
  'https.cjs': `
const events = [];
const server = require('node:https').createServer({}, ${handler});
server.on('secureConnection', (socket) => events.push('secureConnection ' + (socket.server === server)));
server.on('connection', () => events.push('connection'));
server.setTimeout(10_000);
server.listen(443, () => events.push('listening ' + server.address().port));`,
  'https-late.cjs': `
const events = [];
const https = require('node:https');
const server = https.createServer(${handler});
server.setSecureContext({ minVersion: 'TLSv1.2' });
server.addContext('other.example', {});
setTimeout(() => server.listen({ port: 8443, host: '::' }), 50);`,
  'http2.cjs': `
const events = [];
const server = require('node:http2').createServer(${handler});
server.on('session', () => events.push('session'));
server.updateSettings({ enablePush: false });
server.listen(8080, () => events.push('listening'));`,
  'http2-secure.cjs': `
const events = [];
const server = require('node:http2').createSecureServer({});
server.on('stream', (stream) => stream.respond());
server.on('request', ${handler});
server.listen(443, () => events.push('listening'));`,
  'http2-allow-http1.cjs': `
const events = [];
const server = require('node:http2').createSecureServer({ allowHTTP1: true }, ${handler});
server.on('secureConnection', () => events.push('secureConnection'));
server.setTimeout(10_000);
server.listen(443, '0.0.0.0', () => events.push('listening'));`,
  'http2-export.cjs': `
const events = [];
module.exports = require('node:http2').createServer(${handler});`,
  'streams.cjs': `
require('node:http2').createServer().on('stream', (stream) => stream.respond({ ':status': 200 })).listen(8080);`,
  'streams-export.mjs': `
import { createSecureServer } from 'node:http2';
export default createSecureServer({ allowHTTP1: true }).on('stream', (stream) => stream.end());`,
  'garbage.cjs': `
require('node:https').createServer({ key: 'no key', cert: 'no certificate' }).listen(443);`,
};

describe('servers of https and http2', function () {
  this.timeout(30_000);
  let httpd: Httpd;
  const json = async (path: string, options = {}) =>
    JSON.parse((await httpd.ask(path, options)).body) as Record<string, unknown>;

  before(async () => {
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess secure
TSGIScriptAliasMatch ^/app/([a-z0-9.-]+) @ROOT@/apps/$1 process-group=secure
TSGIDaemonProcess booted
TSGIScriptAlias /booted @ROOT@/apps/streams.cjs process-group=booted
`,
    });
    for (const [name, text] of Object.entries(apps)) httpd.write(name, text);
    httpd.log.allow(/TSGI0622|TSGI0177|TSGI0171/); // what is refused
    httpd.log.allow(/TSGI0607.*garbage\.cjs/, /\[secure \d+\] /); // and the stack of what throws
    await httpd.start();
  });
  after(() => httpd.stop());

  it('are served without certificates', async () => {
    expect(await json('/app/https.cjs/x?y')).to.deep.equal({
      classes: ['IncomingMessage', 'ServerResponse', true],
      version: '1.1',
      method: 'GET',
      url: '/x?y',
      encrypted: false,
      events: ['listening 443', 'connection', 'secureConnection true'],
    });
    const late = await json('/app/https-late.cjs');
    expect(late).to.have.property('method', 'GET');
  });

  for (const [file, events] of [
    ['http2.cjs', ['listening']],
    ['http2-secure.cjs', ['listening']],
    ['http2-allow-http1.cjs', ['listening', 'secureConnection']],
    ['http2-export.cjs', []],
  ] as const) {
    it(`get requests in the classes of HTTP/1, as clients of HTTP/1 do: ${file}`, async () => {
      const path = `/app/${file}/x`;
      const got = await json(path, { method: 'POST', body: 'a body' });
      expect(got).to.deep.include({
        classes: ['IncomingMessage', 'ServerResponse', true],
        version: '1.1',
        method: 'POST',
        url: '/x',
        events,
      });
      const { status, headers } = await httpd.ask(path);
      expect([status, headers['x-first']]).to.deep.equal([201, '1']);
    });
  }

  it('fail to load with TSGI0622 when they only have streams, and the log says what to do', async () => {
    for (const file of ['streams.cjs', 'streams-export.mjs']) {
      expect((await httpd.ask(`/app/${file}`)).status).to.equal(500);
    }
    const lines = await waitFor(() => {
      const found = httpd.log.matching(/TSGI0622.*streams.*'request'/);
      return found.length >= 2 && found;
    });
    expect(lines.join())
      .to.match(/streams\.cjs/)
      .and.to.match(/streams-export\.mjs/);
  });

  it('fail to boot, and answer 503, when workers start with Apache', async () => {
    const { status } = await httpd.ask('/booted');
    expect(status).to.equal(503);
  });

  it('fail as in Node with a certificate that is none', async () => {
    expect((await httpd.ask('/app/garbage.cjs')).status).to.equal(500);
    await waitFor(() => httpd.log.matching(/TSGI0607.*garbage\.cjs/).length > 0);
  });
});
