import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { Ask } from '../harness/client.ts';
import { download } from '../harness/bulk.ts';
import { Httpd } from '../harness/httpd.ts';

const config = `
Protocols h2c http/1.1
TSGIDaemonProcess site
TSGIProcessGroup site
TSGIScriptAlias /app @APPS@/where.cjs application-group=site
TSGIScriptAlias /kept @APPS@/where.cjs application-group=site mount=keep
TSGIScriptAlias /plain @APPS@/where.cjs application-group=site
TSGIScriptAliasMatch "^/tenants/[a-z]+" @APPS@/where.cjs application-group=site
TSGIScriptAlias / @APPS@/where.cjs application-group=site
TSGIStatic @ROOT@/public
<Location /plain>
  TSGIStatic Off
</Location>
<Location /app/assets>
  TSGIStatic @ROOT@/build/
</Location>
<Directory @ROOT@/public/private>
  Require all denied
</Directory>
<Directory @ROOT@/public>
  AddOutputFilterByType DEFLATE text/html
  ExpiresActive On
  ExpiresByType text/plain "access plus 1 hour"
</Directory>
<Directory @ROOT@/public/unlinked>
  Options None
</Directory>
<Location /app/closed>
  Require all denied
</Location>
ErrorDocument 403 /denied.html
<VirtualHost 127.0.0.1:@PORT@>
  ServerName localhost
</VirtualHost>
<VirtualHost 127.0.0.1:@PORT@>
  ServerName bare.test
  TSGIStatic Off
</VirtualHost>
`;

describe('TSGIStatic', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config, modules: ['expires', 'http2'] });
    const root = `${httpd.dir}/public`;
    for (const dir of [
      'css',
      'private',
      '.git',
      '.well-known/acme',
      'css/.well-known',
      'closed',
      'unlinked',
    ]) {
      mkdirSync(`${root}/${dir}`, { recursive: true });
    }
    mkdirSync(`${httpd.dir}/build/assets`, { recursive: true });
    writeFileSync(`${httpd.dir}/build/assets/main.txt`, 'built');
    writeFileSync(`${root}/css/site.txt`, 'a static file');
    writeFileSync(`${root}/css/a b%ü.txt`, 'odd name');
    writeFileSync(`${root}/page.html`, '<p>page</p>'.repeat(500));
    writeFileSync(`${root}/denied.html`, 'denied by Apache');
    writeFileSync(`${root}/index.html`, 'an index');
    for (const path of ['private/x.txt', '.env', '.git/config', 'css/.hidden', 'closed/x.txt']) {
      writeFileSync(`${root}/${path}`, 'the secret');
    }
    writeFileSync(`${root}/.well-known/acme/token`, 'token');
    writeFileSync(`${root}/css/.well-known/x`, 'the secret');
    writeFileSync(`${httpd.dir}/secret.txt`, 'the secret');
    symlinkSync('css/site.txt', `${root}/link.txt`);
    symlinkSync('no-such-file', `${root}/dangling.txt`);
    execFileSync('mkfifo', [`${root}/fifo`]);
    symlinkSync('../css/site.txt', `${root}/unlinked/link.txt`);
    httpd.log.allow('AH01630', 'AH00037', 'AH10244'); // denied; a link; above the root
    await httpd.start();
  });
  after(() => httpd.stop());

  /** 'file: …' or 'app: <url>'. */
  const who = async (path: string, options?: Ask): Promise<string> => {
    const { status, body } = await httpd.ask(path, options);
    if (body.startsWith('{')) return `app: ${(JSON.parse(body) as { url: string }).url}`;
    return status === 200 ? `file: ${body}` : `${String(status)}: ${body}`;
  };

  for (const [what, path, seen] of [
    ['at the root', '/css/site.txt', 'file: a static file'],
    ['below a mount point', '/app/css/site.txt', 'file: a static file'],
    ['below one that is kept', '/kept/css/site.txt', 'file: a static file'],
    ['below one of a pattern', '/tenants/ada/css/site.txt', 'file: a static file'],
    ['whatever the query', '/css/site.txt?v=1', 'file: a static file'],
    ['with escapes in its name', '/css/a%20b%25%C3%BC.txt', 'file: odd name'],
    ['of the directory of its <Location>', '/app/assets/main.txt', 'file: built'],
    ['that is well known', '/.well-known/acme/token', 'file: token'],
    ['by way of repeated slashes', '//css///site.txt', 'file: a static file'],
  ] as const) {
    it(`serves a file ${what}`, async () => {
      expect(await who(path)).to.equal(seen);
    });
  }

  for (const [what, path, url] of [
    ['a file that is not there', '/css/none.txt', '/css/none.txt'],
    ['the root', '/', '/'],
    ['a mount point', '/app', '/'],
    ['a mount point with a slash', '/app/', '/'],
    ['a directory', '/css', '/css'],
    ['a directory with a slash', '/css/', '/css/'],
    ['what stands behind a file', '/css/site.txt/more', '/css/site.txt/more'],
    ['a file with a slash behind it', '/css/site.txt/', '/css/site.txt/'],
    ['a hidden file', '/.env', '/.env'],
    ['a hidden directory', '/.git/config', '/.git/config'],
    ['a hidden file in a directory', '/css/.hidden', '/css/.hidden'],
    ['.well-known that is not at the root', '/css/.well-known/x', '/css/.well-known/x'],
    ['a link to nothing', '/dangling.txt', '/dangling.txt'],
    ['a FIFO', '/fifo', '/fifo'],
    ['a way up in disguise', '/app/css/..%5c..%5csecret.txt', '/css/..%5c..%5csecret.txt'],
    ['where it is off', '/plain/css/site.txt', '/css/site.txt'],
    ['another directory than that of the <Location>', '/app/assets/site.txt', '/assets/site.txt'],
  ] as const) {
    it(`asks the app for ${what}`, async () => {
      expect(await who(path)).to.equal(`app: ${url}`);
    });
  }

  it('never serves what lies above, nor what <Directory> and <Location> deny', async () => {
    for (const path of ['/css/%2e%2e/%2e%2e/secret.txt', '/app/../../secret.txt']) {
      expect(await who(path), path).to.not.contain('the secret');
    }
    expect(await who('/css/..%2f..%2fsecret.txt')).to.match(/^404/);
    expect(await who('/private/x.txt')).to.equal('403: denied by Apache');
    expect(await who('/app/closed/x.txt')).to.equal('403: denied by Apache');
    expect(await who('/closed/x.txt')).to.equal('file: the secret'); // the other URL is open
  });

  it("follows links by Apache's Options, and denies the others", async () => {
    expect(await who('/link.txt')).to.equal('file: a static file');
    expect(await who('/unlinked/link.txt')).to.match(/^403/);
    unlinkSync(`${httpd.dir}/public/unlinked/link.txt`);
    expect(await who('/unlinked/link.txt')).to.equal('app: /unlinked/link.txt');
  });

  it('is off for a virtual host that says so, and else inherited', async () => {
    const headers = { Host: 'bare.test' };
    expect(await who('/css/site.txt', { headers })).to.equal('app: /css/site.txt');
    expect(await who('/css/site.txt', { headers: { Host: 'localhost' } })).to.match(/^file/);
  });

  it('answers GET and HEAD alone: other methods go to the app', async () => {
    const head = await httpd.ask('/css/site.txt', { method: 'HEAD' });
    expect([head.status, head.headers['content-length']]).to.deep.equal([200, '13']);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND']) {
      expect(await who('/css/site.txt', { method }), method).to.equal('app: /css/site.txt');
    }
  });

  it('has types, validators and ranges of httpd', async () => {
    const { headers } = await httpd.ask('/css/site.txt');
    expect(headers).to.include({ 'content-type': 'text/plain', 'accept-ranges': 'bytes' });
    const { etag = '', 'last-modified': modified = '' } = headers;
    const conditional = (name: string, value: string) =>
      httpd.ask('/css/site.txt', { headers: { [name]: value } });
    expect((await conditional('If-None-Match', etag)).status).to.equal(304);
    expect((await conditional('If-Modified-Since', modified)).status).to.equal(304);
    expect((await conditional('Range', 'bytes=2-7')).body).to.equal('static');
  });

  it('lets mod_deflate and mod_expires do their work', async () => {
    const page = await httpd.ask('/page.html', { headers: { 'Accept-Encoding': 'gzip' } });
    expect(page.headers).to.include({ 'content-encoding': 'gzip', 'content-type': 'text/html' });
    expect((await httpd.ask('/css/site.txt')).headers['cache-control']).to.equal('max-age=3600');
  });

  it('serves HTTP/2 as well', async () => {
    const route = { transport: 'h2c', port: httpd.port, path: '/app/css/site.txt' } as const;
    expect(await download(route)).to.match(/^13 /);
  });

  it('sees files that come and go', async () => {
    const path = `${httpd.dir}/public/later.txt`;
    expect(await who('/later.txt')).to.equal('app: /later.txt');
    writeFileSync(path, 'now');
    expect(await who('/later.txt')).to.equal('file: now');
    unlinkSync(path);
    expect(await who('/later.txt')).to.equal('app: /later.txt');
  });
});
