import { expect } from 'chai';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

/** Resident memory of a process in KiB. */
const resident = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1]);

describe('a worker that answers with frames of its own', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.start({
      config: `
TSGIDaemonProcess frames socket-timeout=20s
TSGIScriptAlias /bad @APPS@/frames.js process-group=frames
`,
      // One child, so that the connections that were spoilt meanwhile are swept together.
      limits:
        'StartServers 1\nServerLimit 1\nThreadsPerChild 16\nThreadLimit 16\nMaxRequestWorkers 16\n',
    });
    httpd.log.allow('TSGI0', 'frames', 'AH02430', 'flood');
  });
  after(() => httpd.stop());

  // What it wrote on its idle connections costs whoever finds it there a 502 at most.
  const recovered = () => waitFor(async () => (await httpd.ask('/bad')).body === 'well');
  beforeEach(recovered);
  afterEach(recovered);

  const ended = (name: string) =>
    waitFor(
      async () => {
        const { body } = await httpd.ask('/bad/state');
        return body.includes(`"closed":"${name}"`);
      },
      { what: `the end of the exchange ${name}` },
    );

  it('(log lines for ever) is limited in the log, and left when the client leaves', async () => {
    const connection = await httpd.raw('GET /bad/logs HTTP/1.1\r\nHost: x\r\n\r\n');
    await waitFor(() => httpd.log.matching(/flood/).length >= 100);
    connection.socket.destroy();
    await ended('logs');
    await waitFor(() => httpd.log.matching(/TSGI0192/).length > 0);
    expect(httpd.log.matching(/\] flood/).length).to.be.lessThan(2000);
  });

  it('(an emergency on the log pipe) is critical at most: syslog would tell every terminal', async () => {
    expect((await httpd.ask('/bad/emergency')).body).to.equal('told');
    await waitFor(() => httpd.log.matching(/flood of emergency/).length > 0);
    expect(httpd.log.matching(/flood of emergency/)[0]).to.match(/\[tsgi:crit\]/);
  });

  it('(body beyond its Content-Length, for ever) does not keep the client', async () => {
    const answer = await httpd.ask('/bad/longer');
    expect([answer.status, answer.body, answer.complete]).to.deep.equal([200, 'hello', true]);
    await ended('longer');
  });

  it('(a body for 204, for ever) does not keep the client', async () => {
    const answer = await httpd.ask('/bad/bodiless');
    expect([answer.status, answer.body]).to.deep.equal([204, '']);
    await ended('bodiless');
  });

  it('(interim responses of more than 256 KiB) is a 502', async () => {
    const connection = await httpd.raw(
      'GET /bad/informs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    );
    await connection.closed;
    expect(connection.received()).to.match(/\r\n\r\nHTTP\/1\.1 502/);
    expect(connection.received()).to.not.include('too late');
  });

  it('(200 000 pieces of one byte) takes no more memory than one piece', async () => {
    const child = httpd.children()[0];
    if (child === undefined) throw new Error('no Apache child');
    const before = resident(child);
    const answer = await httpd.ask('/bad/bytes');
    expect([answer.status, answer.body.length]).to.deep.equal([200, 200_000]);
    if (process.env['LD_PRELOAD'] === undefined && process.env['TSGI_TEST_DIST'] === undefined) {
      expect(resident(child) - before).to.be.lessThan(6 * 1024);
    }
  });

  it('(a control character in the Content-Type) is a 500', async () => {
    const answer = await httpd.ask('/bad/type');
    expect(answer.status).to.equal(500);
    expect(answer.body).to.not.include('no\n');
  });

  it('(a control character in the reason) is answered with the usual reason', async () => {
    const answer = await httpd.ask('/bad/reason');
    expect([answer.status, answer.reason, answer.body]).to.deep.equal([200, 'OK', 'yes']);
  });

  it('(a control character in an interim response) loses that header only', async () => {
    const connection = await httpd.raw(
      'GET /bad/inform-value HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    );
    await connection.closed;
    expect(connection.received()).to.match(/^HTTP\/1\.1 103 [^]*X-Fine: fine[^]*HTTP\/1\.1 200/);
    expect(connection.received()).to.not.include('\x1b');
  });

  for (const name of ['lengths', 'negative', 'huge']) {
    it(`(Content-Length: ${name}) is a 502`, async () => {
      expect((await httpd.ask(`/bad/${name}`)).status).to.equal(502);
    });
  }

  it('(Location) sends nobody to a file of the server', async () => {
    writeFileSync(join(httpd.dir, 'htdocs', 'secret.txt'), 'secret');
    const answer = await httpd.ask('/bad/location');
    expect([answer.status, answer.headers.location, answer.body]).to.deep.equal([
      200,
      '/secret.txt',
      'own',
    ]);
  });

  it('(X-Sendfile) sends nobody a file of the server', async () => {
    const answer = await httpd.ask('/bad/sendfile');
    expect(answer.status).to.equal(500);
    expect(answer.body).to.not.include('root:').and.not.include('own');
  });

  it('(hop-by-hop headers) has no say in how the response is framed', async () => {
    const answer = await httpd.ask('/bad/smuggle');
    expect([answer.status, answer.body, answer.complete]).to.deep.equal([200, 'own', true]);
    expect(answer.headers).to.not.have.any.keys('upgrade');
  });
});

describe('what the owner of a directory may not do', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.start({
      config: `
TSGIDaemonProcess site
TSGIScriptAliasMatch ^/scripts/(.*)$ @ROOT@/apps/$1 process-group=site
<Directory "@ROOT@/htdocs">
  AllowOverride All
</Directory>
<Directory "@ROOT@/apps/directory-with-a-long-name">
  DirectoryIndex /scripts/i.js
</Directory>
`,
    });
    httpd.log.allow('TSGI0150', 'not allowed here');
    httpd.write(
      'i.js',
      `exports.application = (environ, startResponse) => {
        startResponse('200 OK', []);
        return ['ran ' + environ.SCRIPT_NAME + '|' + environ.PATH_INFO];
      };\n`,
    );
  });
  after(() => httpd.stop());

  const page = (directory: string, files: Record<string, string>): void => {
    const path = join(httpd.dir, 'htdocs', directory);
    mkdirSync(path);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  };
  const ran = "require('node:http').createServer((req, res) => res.end('ran')).listen(1);\n";

  it('SetHandler in .htaccess does not run a file that no alias names', async () => {
    page('handler', { '.htaccess': 'SetHandler tsgi-script\n', 'app.js': ran });
    const answer = await httpd.ask('/handler/app.js');
    expect(answer.status).to.equal(404);
    expect(answer.body).to.not.include('ran');
  });

  for (const line of [
    'TSGIProcessGroup site',
    'TSGIApplicationGroup x',
    'TSGIScriptAlias /x /x.js',
    'TSGIPassAuthorization On',
    'TSGIRestrictProcess site',
    'TSGINode /bin/true',
  ]) {
    it(`${line} in .htaccess is a 500`, async () => {
      const name = line.split(' ')[0] ?? '';
      page(name, { '.htaccess': `${line}\n`, 'page.txt': 'page' });
      expect((await httpd.ask(`/${name}/page.txt`)).status).to.equal(500);
    });
  }

  it('a DirectoryIndex with a shorter URL than the directory runs the script of its own URL', async () => {
    // Both URLs belong to the alias: mod_dir copies the index's URL and file over the directory's request.
    mkdirSync(join(httpd.dir, 'apps', 'directory-with-a-long-name'));
    const answer = await httpd.ask('/scripts/directory-with-a-long-name/');
    expect([answer.status, answer.body]).to.deep.equal([200, 'ran /scripts/i.js|']);
  });
});
