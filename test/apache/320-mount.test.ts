import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { place } from '../harness/place.ts';
import { upgrade } from '../harness/upgrade.ts';
import { waitFor } from '../harness/wait.ts';

const config = `
TSGIDaemonProcess mounts
TSGIProcessGroup mounts
TSGIScriptAlias /app/inner/deep @ROOT@/apps/deep.cjs
TSGIScriptAlias /app/inner @ROOT@/apps/inner.cjs mount=strip
TSGIScriptAlias /app @APPS@/where.cjs
TSGIScriptAlias /side @ROOT@/apps/side.cjs
TSGIScriptAlias /kept @ROOT@/apps/kept.cjs mount=keep
TSGIScriptAliasMatch "^/tenants/([a-z]+)" "@ROOT@/apps/tenants/$1.cjs" mount=keep
TSGIScriptAlias /callable @ROOT@/apps/environ.cjs
TSGIScriptAlias /kept-callable @ROOT@/apps/environ.cjs mount=keep
TSGIScriptAlias /fetch @ROOT@/apps/fetch.mjs
TSGIScriptAlias /kept-fetch @ROOT@/apps/fetch.mjs mount=keep
`;
const environ = `
exports.application = ({ SCRIPT_NAME, PATH_INFO, REQUEST_URI, QUERY_STRING }, startResponse) => {
  startResponse(200, []);
  return JSON.stringify({ SCRIPT_NAME, PATH_INFO, REQUEST_URI, QUERY_STRING });
};
`;
const fetcher = `
export default {
  fetch: (request) => new Response(JSON.stringify({
    url: request.url.replace(/^http:..[^/]+/, ''),
    base: request.runtime.node.req.baseUrl ?? '',
  })),
};
`;

interface Seen {
  url: string;
  originalUrl?: string;
  baseUrl?: string;
  scriptName: string;
  pathInfo: string;
  uri: string;
  /** The file that the alias names. */
  entry?: string;
}

/** What a mounted (req, res) app is to see: as of an app that `app.use('/app', …)` of Express has mounted. */
function stripped(base: string, url: string, uri: string, pathInfo: string): Seen {
  return { url, originalUrl: uri, baseUrl: base, scriptName: decodeURI(base), pathInfo, uri };
}

describe('an app that is mounted', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config });
    for (const name of ['deep', 'inner', 'side', 'kept', 'tenants/ada']) {
      httpd.write(
        `${name}.cjs`,
        `require(${JSON.stringify(join(place(), 'test/apps/where.cjs'))});`,
      );
    }
    httpd.write('environ.cjs', environ);
    httpd.write('fetch.mjs', fetcher);
    await httpd.start();
  });
  after(() => httpd.stop());

  const get = async <T = Seen>(path: string) => JSON.parse((await httpd.ask(path)).body) as T;
  const seen = async (path: string) => {
    const { entry = '', ...rest } = await get(path);
    return { ...rest, app: basename(entry, '.cjs') };
  };

  for (const [path, url, pathInfo] of [
    ['/app', '/', ''],
    ['/app/', '/', '/'],
    ['/app?a=1&b=%2F?', '/?a=1&b=%2F?', ''],
    ['/app/?', '/?', '/'],
    ['/app/x/y?q=/app/z', '/x/y?q=/app/z', '/x/y'],
    ['/app/app', '/app', '/app'],
    ['/app/a%20b/%3F%25%5C%c3%a9', '/a%20b/%3F%25%5C%c3%a9', '/a b/?%\\é'],
    ['/app/a;v=1/b;w', '/a;v=1/b;w', '/a;v=1/b;w'],
  ] as const) {
    it(`sees ${url} of ${path}, and where it is mounted`, async () => {
      expect(await seen(path)).to.deep.equal({
        ...stripped('/app', url, path, pathInfo),
        app: 'where',
      });
    });
  }

  it('sees repeated slashes and escaped letters as the client wrote them', async () => {
    expect(await seen('//app//x')).to.include({
      ...stripped('//app', '//x', '//app//x', '/x'),
      scriptName: '/app',
    });
    expect(await seen('/%61pp/x')).to.include(stripped('/%61pp', '/x', '/%61pp/x', '/x'));
  });

  it('does not take what only begins like its mount point', async () => {
    for (const path of ['/apple', '/app.js', '/app;v=1', '/app%20']) {
      expect((await httpd.ask(path)).status, path).to.equal(404);
    }
  });

  it('never gets a URL above its mount point', async () => {
    expect((await seen('/side/../app/x')).url).to.equal('/x');
    expect((await seen('/app/x/..%2e/y')).url).to.equal('/x/..%2e/y');
    expect((await seen('/app/x/%2e%2E/y')).url).to.equal('/y');
    expect((await httpd.ask('/app/..')).status).to.equal(404);
    expect((await httpd.ask('/app/../x')).status).to.equal(404);
  });

  it('refuses encoded slashes as httpd does, unless AllowEncodedSlashes lets them pass', async () => {
    expect((await httpd.ask('/app/a%2Fb')).status).to.equal(404);
    expect((await httpd.ask('/app/a%2fb')).status).to.equal(404);
  });

  it('stands beside another one, and above others that are mounted below it', async () => {
    for (const [path, app, base, url] of [
      ['/side/x', 'side', '/side', '/x'],
      ['/app/x', 'where', '/app', '/x'],
      ['/app/inner', 'inner', '/app/inner', '/'],
      ['/app/inner/x', 'inner', '/app/inner', '/x'],
      ['/app/inner/deep/x', 'deep', '/app/inner/deep', '/x'],
      ['/app/inner/deeper', 'inner', '/app/inner', '/deeper'],
      ['/app/innermost', 'where', '/app', '/innermost'],
    ] as const) {
      expect(await seen(path), path).to.include({ app, baseUrl: base, url, scriptName: base });
    }
  });

  it('sees the same of an upgrade', async () => {
    const client = await upgrade(httpd.port, { path: '/app/socket%20?a=1' });
    await waitFor(client.hasEnded);
    client.socket.destroy();
    expect(JSON.parse(client.received().toString())).to.include(
      stripped('/app', '/socket%20?a=1', '/app/socket%20?a=1', '/socket '),
    );
  });

  it('with mount=keep sees every URL whole, and no mount point', async () => {
    for (const path of ['/kept', '/kept/', '/kept?a=1', '/kept/a%20b%3F//c;d?e=%2F', '/%6bept/x']) {
      const { pathInfo, ...rest } = await seen(path);
      expect(rest, path).to.deep.equal({ url: path, scriptName: '', uri: path, app: 'kept' });
      expect(pathInfo).to.equal(decodeURIComponent(path.split('?')[0] ?? '').replace('//', '/'));
    }
    const client = await upgrade(httpd.port, { path: '/kept/socket?a=1' });
    await waitFor(client.hasEnded);
    client.socket.destroy();
    expect(JSON.parse(client.received().toString())).to.include({ url: '/kept/socket?a=1' });
  });

  it('with mount=keep may be one of a pattern', async () => {
    expect(await get('/tenants/ada/x?y')).to.include({
      url: '/tenants/ada/x?y',
      scriptName: '',
      pathInfo: '/tenants/ada/x',
    });
  });

  it('finds SCRIPT_NAME and PATH_INFO in a callable, which together are the path', async () => {
    const uri = '/callable/a%20b?c';
    expect(await get(uri)).to.deep.equal({
      SCRIPT_NAME: '/callable',
      PATH_INFO: '/a b',
      REQUEST_URI: uri,
      QUERY_STRING: 'c',
    });
    expect(await get('/callable')).to.include({ SCRIPT_NAME: '/callable', PATH_INFO: '' });
    const kept = '/kept-callable/a%20b?c';
    expect(await get(kept)).to.deep.equal({
      SCRIPT_NAME: '',
      PATH_INFO: '/kept-callable/a b',
      REQUEST_URI: kept,
      QUERY_STRING: 'c',
    });
  });

  it('finds the path below in the request of a fetch handler', async () => {
    expect(await get('/fetch/a%20b?c')).to.deep.equal({ url: '/a%20b?c', base: '/fetch' });
    expect(await get('/fetch')).to.deep.equal({ url: '/', base: '/fetch' });
    expect(await get('/kept-fetch/a%20b?c')).to.deep.equal({
      url: '/kept-fetch/a%20b?c',
      base: '',
    });
  });
});

describe('AllowEncodedSlashes and an app that is mounted', () => {
  let httpd: Httpd;
  before(async () => {
    const app = join(place(), 'test/apps/where.cjs');
    httpd = await Httpd.start({
      config: `
TSGIDaemonProcess mounts
TSGIProcessGroup mounts
TSGIScriptAlias /app ${app}
TSGIScriptAlias /kept ${app} mount=keep
AllowEncodedSlashes NoDecode
<VirtualHost 127.0.0.1:@PORT@>
  ServerName nodecode.test
  AllowEncodedSlashes NoDecode
</VirtualHost>
<VirtualHost 127.0.0.1:@PORT@>
  ServerName on.test
  AllowEncodedSlashes On
</VirtualHost>
`,
    });
  });
  after(() => httpd.stop());

  const get = async (path: string, Host: string) =>
    JSON.parse((await httpd.ask(path, { headers: { Host } })).body) as Seen;

  it('NoDecode: escapes stay, in the URL and in PATH_INFO', async () => {
    for (const escape of ['%2F', '%2f']) {
      expect(await get(`/app/@s${escape}name`, 'nodecode.test')).to.include({
        url: `/@s${escape}name`,
        pathInfo: `/@s${escape}name`,
      });
      expect(await get(`/kept/a${escape}b`, 'nodecode.test')).to.include({
        url: `/kept/a${escape}b`,
        pathInfo: `/kept/a${escape}b`,
      });
    }
    expect((await httpd.ask('/app%2Fx', { headers: { Host: 'nodecode.test' } })).status).to.equal(
      404,
    );
  });

  it('On: the URL keeps them, PATH_INFO has slashes', async () => {
    expect(await get('/app/a%2Fb%2fc', 'on.test')).to.include({
      url: '/a%2Fb%2fc',
      pathInfo: '/a/b/c',
    });
  });

  it('On: one that ends the mount point is that slash', async () => {
    expect(await get('/app%2Fx?y', 'on.test')).to.include({
      url: '/x?y',
      baseUrl: '/app',
      originalUrl: '/app%2Fx?y',
      pathInfo: '/x',
    });
  });
});

describe('frameworks that are mounted', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess frameworks
TSGIProcessGroup frameworks
TSGIScriptAlias /express @ROOT@/apps/express.cjs
TSGIScriptAlias /fastify @ROOT@/apps/fastify.cjs
TSGIScriptAlias /koa @ROOT@/apps/koa.cjs
TSGIScriptAlias /hono @ROOT@/apps/hono.mjs
TSGIScriptAlias /based @ROOT@/apps/based.mjs mount=keep
TSGIScriptAlias /app @ROOT@/apps/login.cjs
<Location /app>
    Header edit Location "^/(?!app(?:[/?]|$))" "/app/"
</Location>
`,
    });
    symlinkSync(join(place(), 'node_modules'), join(httpd.dir, 'apps', 'node_modules'));
    mkdirSync(join(httpd.dir, 'apps/public/docs'), { recursive: true });
    writeFileSync(join(httpd.dir, 'apps/public/docs/index.html'), 'docs');
    httpd.write(
      'express.cjs',
      `const express = require('express');
const app = express();
app.get('/where', (req, res) => res.json([req.url, req.baseUrl, req.originalUrl, req.path]));
app.get('/leave', (req, res) => res.redirect(req.baseUrl + '/where'));
app.use('/inner', express.Router().get('/x', (req, res) => res.json([req.url, req.baseUrl, req.originalUrl])));
app.use(express.static(__dirname + '/public'));
app.listen(3000);`,
    );
    httpd.write(
      'fastify.cjs',
      `const app = require('fastify')();
app.get('/where', (req) => [req.url, req.originalUrl, req.raw.baseUrl]);
app.listen({ port: 3000 });`,
    );
    httpd.write(
      'koa.cjs',
      `const Koa = require('koa');
const app = new (Koa.default ?? Koa)();
app.use((ctx) => { ctx.body = [ctx.url, ctx.req.originalUrl, ctx.req.baseUrl]; });
app.listen(3000);`,
    );
    httpd.write(
      'hono.mjs',
      `import { Hono } from 'hono';
const app = new Hono();
app.get('/where', (c) => c.json([c.req.path, c.req.raw.runtime.node.req.originalUrl]));
export default app;`,
    );
    httpd.write(
      'based.mjs',
      `import { Hono } from 'hono';
const app = new Hono().basePath('/based');
app.get('/where', (c) => c.json([c.req.path]));
export default app;`,
    );
    httpd.write(
      'login.cjs',
      `require('node:http').createServer((req, res) => {
  res.writeHead(302, { Location: decodeURIComponent(req.url.split('?')[1]) }).end();
}).listen(3000);`,
    );
    await httpd.start();
  });
  after(() => httpd.stop());

  const get = async (path: string) => JSON.parse((await httpd.ask(path)).body) as unknown;

  it('Express: req.baseUrl and req.originalUrl are those of a mounted app', async () => {
    expect(await get('/express/where?a=1')).to.deep.equal([
      '/where?a=1',
      '/express',
      '/express/where?a=1',
      '/where',
    ]);
    expect(await get('/express/inner/x')).to.deep.equal([
      '/x',
      '/express/inner',
      '/express/inner/x',
    ]);
  });

  it('Express: redirects by baseUrl, and those of express.static, stay below the mount point', async () => {
    expect((await httpd.ask('/express/leave')).headers.location).to.equal('/express/where');
    const answer = await httpd.ask('/express/docs');
    expect(answer.status).to.equal(301);
    expect(answer.headers.location).to.equal('/express/docs/');
    expect((await httpd.ask('/express/docs/')).body).to.equal('docs');
  });

  it('that redirect to their own root are put right by mod_headers, as the manual says', async () => {
    for (const [from, to] of [
      ['/login?next=/', '/app/login?next=/'],
      ['/', '/app/'],
      ['/apple', '/app/apple'],
      ['/app', '/app'],
      ['/app?x', '/app?x'],
      ['/app/login', '/app/login'],
      ['login', 'login'],
      ['https://login.test/', 'https://login.test/'],
    ] as const) {
      const answer = await httpd.ask(`/app/?${encodeURIComponent(from)}`);
      expect(answer.headers.location).to.equal(to);
    }
  });

  it('Fastify: request.originalUrl is the whole URL', async () => {
    expect(await get('/fastify/where?a')).to.deep.equal([
      '/where?a',
      '/fastify/where?a',
      '/fastify',
    ]);
  });

  it('Koa: the URL below; the whole one is on ctx.req', async () => {
    expect(await get('/koa/where?a')).to.deep.equal(['/where?a', '/koa/where?a', '/koa']);
  });

  it('Hono: the path below, or, with mount=keep, its own basePath', async () => {
    expect(await get('/hono/where')).to.deep.equal(['/where', '/hono/where']);
    expect(await get('/based/where')).to.deep.equal(['/based/where']);
  });
});
