import { spawn } from 'node:child_process';
import { expect } from 'chai';
import { ask } from '../harness/client.ts';
import { freePort, Httpd } from '../harness/httpd.ts';
import { isRoot, place } from '../harness/place.ts';
import { statusOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

const config = `
TSGIDaemonProcess examples
TSGIDaemonProcess site ${isRoot ? 'user=www-data' : ''}
TSGIDaemonProcess side ${isRoot ? 'user=nobody group=nogroup' : ''}
<VirtualHost 127.0.0.1:@PORT@>
  ServerName localhost
  DocumentRoot @PLACE@/examples/site/htdocs
  DirectoryIndex index.html
  TSGIProcessGroup examples
  TSGIScriptAlias /hello @PLACE@/examples/hello/index.js
  TSGIScriptAlias /mode @PLACE@/examples/mode/index.mjs
  TSGIScriptAlias /greet @PLACE@/examples/greet/index.js
  TSGIScriptAlias /express @PLACE@/examples/express/app.js
  TSGIScriptAlias /hono @PLACE@/examples/hono/index.mjs
  TSGIScriptAlias /typescript @PLACE@/examples/typescript/index.ts
  TSGIScriptAlias /sideapp @PLACE@/examples/site/sideapp/index.js process-group=side
</VirtualHost>
<VirtualHost 127.0.0.1:@PORT@>
  ServerName site.test
  TSGIProcessGroup site
  Alias /robots.txt @PLACE@/examples/site/static/robots.txt
  Alias /favicon.ico @PLACE@/examples/site/static/favicon.ico
  Alias /media/ @PLACE@/examples/site/static/media/
  TSGIScriptAlias / @PLACE@/examples/site/app.js
</VirtualHost>
`;

describe('the examples', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.start({ config, asRoot: isRoot });
  });
  after(() => httpd.stop());

  const text = async (path: string) => (await httpd.ask(path)).body;
  const site = (path: string) => httpd.ask(path, { headers: { Host: 'site.test' } });

  it('(a) hello', async () => {
    expect(await text('/hello')).to.match(/^Hello/);
  });

  it('(b) the mode detector answers DAEMON MODE', async () => {
    const answer = await httpd.ask('/mode');
    expect(answer.body).to.equal('DAEMON MODE');
    expect(answer.headers['content-length']).to.equal('11');
  });

  it('(b) answers EMBEDDED MODE where the process group is empty', async () => {
    const { application } = (await import(`${place()}/examples/mode/index.mjs`)) as {
      application: (environ: object, startResponse: () => void) => string[];
    };
    const answer = application({ 'tsgi.process_group': '' }, () => undefined);
    expect(answer.join('')).to.equal('EMBEDDED MODE');
  });

  it('(c) the file that also runs alone greets by name, here and by itself', async () => {
    expect(await text('/greet/hello/Anna%20Lena')).to.equal('Hello, Anna Lena!\n');
    const alone = spawn(process.execPath, [`${place()}/examples/greet/index.js`], {
      env: { PATH: process.env['PATH'], PORT: String(await freePort()) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      let output = '';
      alone.stdout.on('data', (data: Buffer) => (output += data.toString()));
      const port = await waitFor(() => /127\.0\.0\.1:(\d+)/.exec(output)?.[1]);
      expect((await ask(Number(port), '/hello/world')).body).to.equal('Hello, world!\n');
    } finally {
      alone.kill();
    }
  });

  it('(d) an unmodified Express app, with the true client address', async () => {
    expect(await text('/express/')).to.match(/Express/);
    expect(JSON.parse(await text('/express/users/7'))).to.deep.equal({
      id: '7',
      ip: '127.0.0.1',
      protocol: 'http',
    });
    const echoed = await httpd.ask('/express/echo', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"a":[1,2]}',
    });
    expect(echoed.body).to.equal('{"a":[1,2]}');
  });

  it('(e) a fetch handler with Hono', async () => {
    expect(await text('/hono/hello/Bert')).to.equal('{"hello":"Bert"}');
    const answer = await httpd.ask('/hono/length', { method: 'POST', body: 'x'.repeat(100_000) });
    expect(answer.body).to.equal('{"bytes":100000}');
  });

  it('(f) a TypeScript entry', async () => {
    expect(JSON.parse(await text('/typescript/x'))).to.include({
      language: 'TypeScript',
      path: '/x',
    });
  });

  it('(g) a virtual host with static files and an app at /', async () => {
    expect((await site('/robots.txt')).body).to.match(/User-agent/i);
    expect((await site('/favicon.ico')).status).to.equal(200);
    const style = await site('/media/style.css');
    expect(style.status).to.equal(200);
    expect(style.body).to.contain('{').and.not.contain('The application');
    expect((await site('/anything/else')).body).to.match(
      /The application at \/ got \/anything\/else/,
    );
  });

  it('(g) an app beside static content at /sideapp', async () => {
    expect((await httpd.ask('/')).headers['content-type']).to.match(/html/);
    expect((await httpd.ask('/sideapp')).status).to.equal(200);
  });

  it('(g) two groups, under different users where Apache is root', async () => {
    await site('/');
    await httpd.ask('/sideapp');
    const uid = (title: RegExp) =>
      statusOf(httpd.processes(title)[0]?.pid ?? 0)['Uid']?.split('\t')[0];
    const users = [uid(/^tsgi: worker site\//), uid(/^tsgi: worker side\//)];
    expect(users[0] !== users[1]).to.equal(isRoot);
  });
});
