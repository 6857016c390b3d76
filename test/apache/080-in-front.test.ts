import { gunzipSync } from 'node:zlib';
import { request } from 'node:http';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';

const config = `
TSGIDaemonProcess front
TSGIProcessGroup front
Alias /robots.txt @ROOT@/htdocs/robots.txt
Alias /media @ROOT@/htdocs/media
TSGIScriptAlias /app @APPS@/echo.js
TSGIScriptAlias /page @ROOT@/apps/page.js
TSGIScriptAlias /a @APPS@/callable.js
TSGIScriptAlias /a/b @ROOT@/apps/page.js
RewriteEngine On
RewriteRule ^/pretty/(.*)$ /app/show?id=$1 [PT]
RewriteRule ^/denied - [F]
Header set X-Front "yes"
<Location /app>
  RequestHeader set X-Added "by Apache"
</Location>
ErrorDocument 404 /page/error
<Location /page/zip>
  SetOutputFilter DEFLATE
</Location>
<Location /app/closed>
  Require all denied
</Location>
<Directory @ROOT@/htdocs/ssi>
  Options +Includes
  SetOutputFilter INCLUDES
</Directory>
Alias /ssi @ROOT@/htdocs/ssi
Alias /index @ROOT@/htdocs/index
<Location /index>
  DirectoryIndex /page/as-index
</Location>
Alias /fallback @ROOT@/htdocs/index
<Location /fallback>
  FallbackResource /page/as-fallback
</Location>
`;
const page = `
exports.application = (environ, startResponse) => {
  startResponse(environ.PATH_INFO === '/error' ? '404 Not Found' : '200 OK', [['Content-Type', 'text/html']]);
  return ['<p>' + environ.PATH_INFO + ' ' + (environ.REDIRECT_STATUS ?? '') + ' ' + (environ.REDIRECT_URL ?? '') + ' ' + 'x'.repeat(environ.PATH_INFO === '/zip' ? 5000 : 0) + '</p>'];
};
`;

describe("Apache's modules in front of an app", () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config });
    httpd.write('page.js', page);
    const { mkdirSync, writeFileSync } = await import('node:fs');
    const docs = `${httpd.dir}/htdocs`;
    writeFileSync(`${docs}/robots.txt`, 'User-agent: *\n');
    mkdirSync(`${docs}/media`);
    writeFileSync(`${docs}/media/file.txt`, 'media');
    mkdirSync(`${docs}/ssi`);
    mkdirSync(`${docs}/index`);
    writeFileSync(
      `${docs}/ssi/index.html`,
      'before <!--#include virtual="/page/included" --> after',
    );
    await httpd.start();
    httpd.log.allow('AH01630', 'TSGI0023'); // client denied by server configuration
  });
  after(() => httpd.stop());

  it('serve static files beside it', async () => {
    expect((await httpd.ask('/robots.txt')).body).to.equal('User-agent: *\n');
    expect((await httpd.ask('/media/file.txt')).body).to.equal('media');
  });

  it('rewrite to it (mod_rewrite, PT): the app sees the rewritten URL', async () => {
    const shown = JSON.parse((await httpd.ask('/pretty/7')).body) as { url: string };
    expect(shown.url).to.equal('/show?id=7');
  });

  it('change headers on both ways (mod_headers)', async () => {
    const answer = await httpd.ask('/app/show');
    expect(answer.headers['x-front']).to.equal('yes');
    expect((JSON.parse(answer.body) as { headers: object }).headers).to.include({
      'x-added': 'by Apache',
    });
  });

  it('deny before it is called (Require, mod_rewrite F)', async () => {
    expect((await httpd.ask('/app/closed')).status).to.equal(403);
    expect((await httpd.ask('/denied')).status).to.equal(403);
  });

  it('use it as an ErrorDocument', async () => {
    const answer = await httpd.ask('/no/such/file');
    expect(answer.status).to.equal(404);
    expect(answer.body).to.contain('<p>/error 404 /no/such/file');
  });

  it('redirect to it internally (mod_dir)', async () => {
    for (const [path, seen] of [
      ['/index/', '/as-index'],
      ['/fallback/x', '/as-fallback'],
    ] as const) {
      const answer = await httpd.ask(path);
      expect(answer.status).to.equal(200);
      expect(answer.body).to.contain(`<p>${seen} `);
    }
  });

  it('include it (mod_include)', async () => {
    expect((await httpd.ask('/ssi/index.html')).body).to.match(
      /^before <p>\/included.*<\/p> after$/,
    );
  });

  it('compress its answers (mod_deflate)', async () => {
    const body = await new Promise<Buffer>((resolve, reject) => {
      request(
        {
          port: httpd.port,
          path: '/page/zip',
          headers: { 'Accept-Encoding': 'gzip' },
          agent: false,
        },
        (res) => {
          expect(res.headers['content-encoding']).to.equal('gzip');
          const chunks: Buffer[] = [];
          res
            .on('data', (c: Buffer) => chunks.push(c))
            .on('end', () => {
              resolve(Buffer.concat(chunks));
            });
        },
      )
        .on('error', reject)
        .end();
    });
    expect(gunzipSync(body).toString()).to.contain('/zip');
  });

  it('leave the first alias that matches in charge, and warn of one that never will', async () => {
    expect((await httpd.ask('/a/b/c')).body).to.equal('callable GET /a|/b/c');
    expect((await httpd.ask('/a')).body).to.equal('callable GET /a|');
  });

  it('do not give a longer name to a shorter mount', async () => {
    expect((await httpd.ask('/application')).status).to.equal(404);
  });
});
