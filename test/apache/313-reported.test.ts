/**
 * What people report of other ways to run Node behind Apache, each as what the user does. Schemes, cookies and
 * addresses are in 312-identity, request targets byte for byte in test/conformance, WebSockets over TLS and HTTP/2 in
 * 300-upgrade.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, symlinkSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { raw } from '../harness/client.ts';
import { Httpd } from '../harness/httpd.ts';
import { place } from '../harness/place.ts';
import { waitFor } from '../harness/wait.ts';

const files: Record<string, string> = {
  'modules/package.json': '{ "type": "module", "imports": { "#greeting": "./greeting.js" } }',
  'modules/greeting.js': "export default await Promise.resolve('hello');",
  'modules/index.js': `
import { createServer } from 'node:http';
import { basename } from 'node:path';
import greeting from '#greeting';
const { default: express } = await import('express');
const main = import.meta.main ?? true;
const app = express();
app.get('/', (req, res) => res.json({ greeting, main, argv: basename(process.argv[1]) }));
createServer(app).listen(3000);
`,
  'live.js': `
const { createServer } = require('node:http');
const { WebSocketServer } = require('ws');
const server = createServer((req, res) => res.end('<script>new WebSocket(location)</script>'));
new WebSocketServer({ server }).on('connection', (ws) => ws.on('message', (m) => ws.send('got ' + m)));
server.listen(3000);
`,
  'upload.js': `
const { createHash } = require('node:crypto');
const server = require('node:http').createServer((req, res) => {
  if (req.method === 'GET') return void require('node:stream').Readable.from(pieces(req.url)).pipe(res);
  const hash = createHash('sha256');
  req.on('data', (chunk) => hash.update(chunk));
  req.on('end', () => res.end(hash.digest('hex')));
});
function* pieces(url) {
  const piece = Buffer.alloc(64 * 1024, 'x');
  for (let left = Number(url.slice(2)); left > 0; left--) yield piece;
}
server.keepAliveTimeout = 1;
server.listen(3000);
`,
  'show.js': `
require('node:http').createServer((req, res) => {
  res.end(JSON.stringify({ name: process.env.NAME, url: req.url, authorization: req.headers.authorization ?? null }));
}).listen(3000);
`,
  'events.js': `
const { createServer } = require('node:http');
const waiting = [];
createServer((req, res) => {
  if (req.url === '/next') {
    for (const next of waiting.splice(0)) next();
    return void res.end('told');
  }
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  let n = 0;
  const send = () => { res.write('data: ' + ++n + '\\n\\n'); waiting.push(send); };
  send();
}).listen(3000);
`,
  'listens/number.js': "server.listen(3000, () => (heard = 'number'))",
  'listens/text.js': "server.listen('3000', '0.0.0.0', () => (heard = 'text'))",
  'listens/options.js':
    "server.listen({ port: 3000, host: '127.0.0.1' }, () => (heard = 'options'))",
  'listens/late.js':
    "setTimeout(() => server.once('listening', () => (heard = 'late')).listen(0), 200)",
  'listens/path.js': "server.listen('/tmp/never-made.sock', () => (heard = 'path'))",
};
const prefix =
  "let heard = ''; const server = require('node:http').createServer((req, res) => res.end(heard));\n";
const listens = Object.keys(files).filter((name) => name.startsWith('listens/'));

const config = `
TSGIDaemonProcess site
TSGIProcessGroup site
AllowEncodedSlashes NoDecode
TSGIScriptAlias /modules @ROOT@/apps/modules/index.js
TSGIScriptAlias /live @ROOT@/apps/live.js
TSGIScriptAlias /upload @ROOT@/apps/upload.js
TSGIScriptAlias /events @ROOT@/apps/events.js
TSGIDaemonProcess shop env=NAME=shop
TSGIDaemonProcess admin env=NAME=admin
TSGIScriptAlias /shop/admin @ROOT@/apps/show.js process-group=admin
TSGIScriptAlias /shop @ROOT@/apps/show.js process-group=shop
${listens.map((name) => `TSGIScriptAlias /${name} @ROOT@/apps/${name}`).join('\n')}
`;

describe('a user', function () {
  this.timeout(20_000);
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config });
    mkdirSync(join(httpd.dir, 'apps', 'modules'));
    mkdirSync(join(httpd.dir, 'apps', 'listens'));
    for (const [name, text] of Object.entries(files)) {
      httpd.write(name, listens.includes(name) ? prefix + text : text);
    }
    symlinkSync(join(place(), 'node_modules'), join(httpd.dir, 'apps', 'node_modules'));
    await httpd.start();
  });
  after(() => httpd.stop());

  const json = async (path: string, headers = {}): Promise<Record<string, unknown>> =>
    JSON.parse((await httpd.ask(path, { headers })).body) as Record<string, unknown>;

  it('serves an entry in ES modules: "type": "module", top-level await, import(), #imports', async () => {
    expect(await json('/modules/')).to.deep.equal({
      ...{ greeting: 'hello', main: true, argv: 'index.js' },
    });
  });

  it('opens a WebSocket on the URL of the page, with no directive', async () => {
    expect((await httpd.ask('/live/')).body).to.match(/^<script>/);
    const ws = new WebSocket(`ws://127.0.0.1:${String(httpd.port)}/live/`);
    await once(ws, 'open');
    ws.send('hello');
    expect(String((await once(ws, 'message'))[0])).to.equal('got hello');
    ws.close();
    await once(ws, 'close');
  });

  it('posts on one connection after pauses longer than the keep-alive time of the app: none fails', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const bodies = Array.from({ length: 15 }, () => randomBytes(20_000));
    try {
      for (const body of bodies) {
        const req = request({ port: httpd.port, path: '/upload/', method: 'POST', agent });
        req.end(body);
        const [res] = (await once(req, 'response')) as [AsyncIterable<Buffer>];
        const chunks: Buffer[] = [];
        for await (const chunk of res) chunks.push(chunk);
        expect(Buffer.concat(chunks).toString()).to.equal(
          createHash('sha256').update(body).digest('hex'),
        );
        await pause(20); // The pause is what the test is about.
      }
    } finally {
      agent.destroy();
    }
  });

  it('mounts one app below another: each sees its own part of the path', async () => {
    expect(await json('/shop/cart?x=%2F')).to.include({ name: 'shop', url: '/cart?x=%2F' });
    expect(await json('/shop')).to.include({ name: 'shop', url: '/' });
    expect(await json('/shop/admin/users')).to.include({ name: 'admin', url: '/users' });
    expect(await json('/shop/administrator')).to.include({ name: 'shop', url: '/administrator' });
  });

  it('asks for a name with an escaped slash: it stays escaped', async () => {
    for (const path of ['/@scope%2Fname', '/10.1000%2f182', '/a%5Cb%25%3Fc;v=1//d']) {
      expect((await json(`/shop${path}`))['url']).to.equal(path);
    }
  });

  it('sends a bearer token: the app gets it', async () => {
    const told = await json('/shop/', { Authorization: 'Bearer abc.def' });
    expect(told['authorization']).to.equal('Bearer abc.def');
  });

  for (const name of listens) {
    it(`starts an app that calls listen() its own way: ${name.slice(8, -3)}`, async () => {
      const kind = name.slice(8, -3);
      await waitFor(async () => (await httpd.ask(`/${name}`)).body === kind, { what: kind });
    });
  }

  it('follows server-sent events: each arrives when it is sent', async () => {
    const connection = await raw(httpd.port, 'GET /events/ HTTP/1.1\r\nHost: a\r\n\r\n');
    try {
      for (const n of [1, 2, 3]) {
        await waitFor(() => connection.received().includes(`data: ${String(n)}\n\n`));
        expect(connection.received()).to.not.contain(`data: ${String(n + 1)}\n`);
        await httpd.ask('/events/next');
      }
    } finally {
      connection.socket.destroy();
    }
  });

  it('downloads and uploads much more than any buffer holds', async () => {
    const { body, complete } = await httpd.ask('/upload/?512');
    expect(complete).to.equal(true);
    expect(body).to.have.length(512 * 64 * 1024);
    const large = randomBytes(32 * 1024 * 1024);
    const answer = await httpd.ask('/upload/', { method: 'POST', body: large });
    expect(answer.body).to.equal(createHash('sha256').update(large).digest('hex'));
  });
});
