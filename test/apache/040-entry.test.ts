import { expect } from 'chai';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Httpd } from '../harness/httpd.ts';
import { place } from '../harness/place.ts';

const config = `
TSGIDaemonProcess plain node-args=--no-warnings env=FROM_ENV=one
TSGIScriptAlias /cjs @APPS@/entry.cjs process-group=plain
TSGIScriptAlias /mjs @APPS@/entry.mjs process-group=plain
TSGIScriptAlias /cts @APPS@/typed.cts process-group=plain
TSGIScriptAlias /mts @APPS@/typed.mts process-group=plain
TSGIScriptAlias /fancy @APPS@/fancy/index.ts process-group=plain

TSGIDaemonProcess home home=@ROOT@/htdocs umask=0027 env-file=@ROOT@/apps/app.env lang=C.UTF-8
TSGIScriptAlias /home @APPS@/entry.cjs process-group=home

TSGIDaemonProcess link
TSGIScriptAlias /link @ROOT@/apps/current/index.cjs process-group=link

TSGIDaemonProcess shapes
TSGIScriptAlias /function @ROOT@/apps/function.js process-group=shapes
TSGIScriptAlias /default @ROOT@/apps/default.mjs process-group=shapes
TSGIScriptAlias /server @ROOT@/apps/server.js process-group=shapes
TSGIScriptAlias /express @ROOT@/apps/express.js process-group=shapes
TSGIScriptAlias /koa @ROOT@/apps/koa.js process-group=shapes
TSGIScriptAlias /fastify @ROOT@/apps/fastify.js process-group=shapes
TSGIScriptAlias /hono @ROOT@/apps/hono.mjs process-group=shapes
TSGIScriptAlias /late @ROOT@/apps/late.js process-group=shapes
TSGIScriptAlias /two @ROOT@/apps/two.js process-group=shapes
TSGIScriptAlias /cluster @ROOT@/apps/cluster.js process-group=shapes

TSGIDaemonProcess shared
TSGIScriptAlias /one @ROOT@/apps/one.js process-group=shared application-group=%{GLOBAL}
TSGIScriptAlias /other @ROOT@/apps/other.mjs process-group=shared application-group=%{GLOBAL}

TSGIScriptAliasMatch ^/any/([a-z]+) @ROOT@/apps/any/$1.js
`;

const shapes: Record<string, string> = {
  'function.js': "module.exports = (req, res) => res.end('function ' + req.url)",
  'default.mjs': "export default function app(req, res) { res.end('default ' + req.url) }",
  'server.js':
    "module.exports = require('node:http').createServer((req, res) => res.end('server ' + req.url))",
  'express.js':
    "const app = require('express')(); app.get('/x', (req, res) => res.send('express ' + req.ip)); module.exports = app",
  'koa.js':
    "const Koa = require('koa'); const app = new Koa(); app.use((ctx) => { ctx.body = 'koa ' + ctx.path }); module.exports = app",
  'fastify.js':
    "const app = require('fastify')(); app.get('/x', async () => 'fastify'); module.exports = app",
  'hono.mjs':
    "import { Hono } from 'hono'; const app = new Hono(); app.get('/x', (c) => c.text('hono')); export default app",
  'late.js':
    "setTimeout(() => require('node:http').createServer((req, res) => res.end('late')).listen(3000), 300)",
  'two.js':
    "const http = require('node:http'); http.createServer((q, s) => s.end('first')).listen(8080); http.createServer((q, s) => s.end('second')).listen(0, '127.0.0.1')",
  'cluster.js':
    "const cluster = require('node:cluster'); if (cluster.isPrimary) { cluster.fork(); cluster.fork() } else require('node:http').createServer((q, s) => s.end('cluster')).listen(3000)",
  'one.js':
    "exports.application = (e, start) => { start('200 OK', []); return ['one ' + process.pid] }",
  'other.mjs':
    "export const application = (e, start) => { start('200 OK', []); return ['other ' + process.pid] }",
  'any/first.js':
    "exports.application = (e, start) => { start('200 OK', []); return ['any first ' + e.SCRIPT_NAME + '|' + e.PATH_INFO] }",
  'any/second.js':
    "exports.application = (e, start) => { start('200 OK', []); return ['any second'] }",
  'app.env': 'FROM_FILE="two words"\n',
};

describe('loading the entry', () => {
  let httpd: Httpd;
  const json = async (path: string) =>
    JSON.parse((await httpd.ask(path)).body) as Record<string, unknown>;

  before(async function () {
    httpd = await Httpd.prepare({ config });
    for (const [name, text] of Object.entries(shapes)) httpd.write(name, text);
    symlinkSync(join(place(), 'node_modules'), join(httpd.dir, 'apps', 'node_modules'));
    mkdirSync(join(httpd.dir, 'apps', 'releases', '1'), { recursive: true });
    writeFileSync(
      join(httpd.dir, 'apps', 'releases', '1', 'index.cjs'),
      "exports.application = (e, start) => { start('200 OK', []); return [JSON.stringify({ filename: __filename, cwd: process.cwd() })] }",
    );
    symlinkSync('releases/1', join(httpd.dir, 'apps', 'current'));
    await httpd.start();
    httpd.log.allow('TSGI06'); // two.js and cluster.js are noted
  });
  after(() => httpd.stop());

  it('makes a CommonJS entry the main module, with argv and execArgv as node shows them', async () => {
    const entry = await json('/cjs');
    expect(entry['isMain']).to.equal(true);
    expect(entry['argv']).to.have.length(2);
    expect(entry['argv']).to.have.property('1', entry['filename']);
    expect(entry['execArgv']).to.deep.equal(['--no-warnings']);
    expect(entry['cwd']).to.equal(entry['dirname']);
    expect(entry['env']).to.deep.include({ FROM_ENV: 'one' });
  });

  it('makes an ES module the main module, after its top-level await', async () => {
    const entry = await json('/mjs');
    expect(entry['url']).to.match(/^file:.*entry\.mjs$/);
    expect(entry['main']).to.be.oneOf([true, null]); // null: this Node has no import.meta.main
    expect(entry['ownLength']).to.be.greaterThan(100);
  });

  it('runs .cts, .mts and .ts that needs a transform', async () => {
    expect((await httpd.ask('/cts')).body).to.equal('cts');
    expect((await httpd.ask('/mts')).body).to.equal('mts');
    expect((await httpd.ask('/fancy')).body).to.equal('red');
  });

  it('honours home, umask, lang and env-file', async () => {
    const entry = await json('/home');
    expect(entry['cwd']).to.equal(join(httpd.dir, 'htdocs'));
    expect(entry['umask']).to.equal(0o027);
    expect(entry['env']).to.deep.equal({ FROM_FILE: 'two words', LANG: 'C.UTF-8' });
  });

  it('resolves a symlinked deployment', async () => {
    const dir = join(httpd.dir, 'apps', 'releases', '1');
    expect(await json('/link')).to.deep.equal({ filename: join(dir, 'index.cjs'), cwd: dir });
  });

  for (const [path, body] of [
    ['/function/a?b', 'function /a?b'],
    ['/default/a', 'default /a'],
    ['/server/', 'server /'],
    ['/express/x', 'express 127.0.0.1'],
    ['/koa/y', 'koa /y'],
    ['/fastify/x', 'fastify'],
    ['/hono/x', 'hono'],
    ['/late', 'late'],
    ['/two', 'first'],
    ['/cluster', 'cluster'],
    ['/any/first/rest', 'any first /any/first|/rest'],
    ['/any/second', 'any second'],
  ] as const) {
    it(`finds the app behind ${path}`, async () => {
      const answer = await httpd.ask(path);
      expect(answer.body).to.equal(body);
    });
  }

  it('gives each script its own process, unless they share an application group', async () => {
    const one = (await httpd.ask('/one')).body.split(' ');
    const other = (await httpd.ask('/other')).body.split(' ');
    expect([one[0], other[0]]).to.deep.equal(['one', 'other']);
    expect(one[1]).to.equal(other[1]);
  });

  it('answers 404 for a file that a pattern does not lead to', async () => {
    httpd.log.allow('no-such|nosuch');
    expect((await httpd.ask('/any/nosuch')).status).to.equal(404);
  });
});
