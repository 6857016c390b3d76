import { request } from 'node:http';
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { freePort, Httpd } from '../harness/httpd.ts';
import { app } from '../harness/place.ts';
import { sanitizedNode } from '../harness/sanitizer.ts';
import { waitFor } from '../harness/wait.ts';

describe('options of a group', () => {
  let httpd: Httpd;
  let inspectPort: number;
  before(async () => {
    inspectPort = await freePort();
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess named display-name=shop-%{GROUP} processes=2 locale=C.UTF-8 limit-processes=4000 limit-files=200 cpu-priority=19
TSGIScriptAlias /named @APPS@/entry.cjs process-group=named
TSGIDaemonProcess wrapped node=@ROOT@/apps/node-wrapper node-args=--no-warnings node-args=--stack-size=900 \\
  script-args="serve './a b'" script-args=--verbose
TSGIScriptAlias /wrapped @APPS@/entry.cjs process-group=wrapped
TSGIScriptAliasMatch ^/argued/(.+)$ @APPS@/$1 process-group=wrapped
TSGIDaemonProcess inspected inspect=127.0.0.1:${String(inspectPort)}
TSGIScriptAlias /inspected @APPS@/entry.cjs process-group=inspected
TSGIDaemonProcess one concurrency=1 listen-backlog=10
TSGIScriptAlias /one @ROOT@/apps/slow.js process-group=one
TSGIDaemonProcess rooted script-root=@ROOT@/apps/allowed
TSGIScriptAliasMatch ^/rooted/(.+)$ @ROOT@/apps/allowed/$1 process-group=rooted
TSGIDaemonProcess apps
TSGIProcessGroup apps
TSGIApplicationGroup shared
TSGIScriptAlias /first @APPS@/entry.cjs
TSGIScriptAlias /second @APPS@/callable.js
TSGIScriptAlias /own @APPS@/callable.js application-group=%{RESOURCE}
<VirtualHost 127.0.0.1:@PORT@>
  ServerName localhost
</VirtualHost>
<VirtualHost 127.0.0.1:@PORT@>
  ServerName other.test
  TSGINode @ROOT@/apps/node-wrapper
  TSGIDaemonProcess vhost
  TSGIProcessGroup vhost
  TSGIScriptAlias / @APPS@/entry.cjs
</VirtualHost>
`,
    });
    const wrapper = httpd.write(
      'node-wrapper',
      `#!/bin/sh\nWRAPPED=1 exec ${sanitizedNode(httpd.dir, process.execPath)} "$@"\n`,
    );
    chmodSync(wrapper, 0o755);
    httpd.write(
      'slow.js',
      `let now = 0, most = 0;
       exports.application = async (environ, startResponse) => {
         most = Math.max(most, ++now);
         await new Promise((resolve) => setTimeout(resolve, 30));
         now--;
         startResponse('200 OK', []);
         return String(most);
       };`,
    );
    mkdirSync(join(httpd.dir, 'apps', 'allowed'));
    httpd.write(
      'allowed/fine.js',
      "exports.application = (e, start) => { start('200 OK', []); return 'fine' }",
    );
    httpd.write(
      'outside.js',
      "exports.application = (e, start) => { start('200 OK', []); return 'outside' }",
    );
    symlinkSync('../outside.js', join(httpd.dir, 'apps', 'allowed', 'link.js'));
    await httpd.start();
    httpd.log.allow('Debugger|inspector|For help, see: '); // node's own words on stderr, in all versions
  });
  after(() => httpd.stop());

  const main = (path: string) => httpd.ask(path, { headers: { Host: 'localhost' } });
  const entry = async (path: string, host = 'localhost') =>
    JSON.parse((await httpd.ask(path, { headers: { Host: host } })).body) as Record<
      string,
      unknown
    >;

  it('display-name, with %{GROUP}, is what ps shows', async () => {
    await entry('/named');
    await waitFor(() => httpd.processes(/^shop-\(tsgi:named\)/).length === 3);
    expect(
      httpd
        .processes(/^shop-\(tsgi:named\)/)
        .map((p) => p.title)
        .sort(),
    ).to.deep.equal(['shop-(tsgi:named)', 'shop-(tsgi:named)/0', 'shop-(tsgi:named)/1']);
  });

  it('locale, limits and priority reach the worker', async () => {
    const worker = await waitFor(() => httpd.processes(/^shop-\(tsgi:named\)\/0/)[0]);
    const read = (name: string) => readFileSync(`/proc/${String(worker.pid)}/${name}`, 'utf8');
    expect(read('limits')).to.match(/Max open files\s+200\s+200/);
    expect(read('limits')).to.match(/Max processes\s+4000\s+4000/);
    expect(read('environ')).to.contain('LC_ALL=C.UTF-8');
    expect(
      read('stat')
        .slice(read('stat').lastIndexOf(')') + 2)
        .split(' ')[16],
    ).to.equal('19');
  });

  it('node and node-args choose the binary and its arguments, TSGINode that of a virtual host', async () => {
    const wrapped = await entry('/wrapped');
    expect(wrapped['execArgv']).to.deep.equal(['--no-warnings', '--stack-size=900']);
    const worker = httpd.processes(/^tsgi: worker wrapped/)[0]?.pid ?? 0;
    expect(readFileSync(`/proc/${String(worker)}/environ`, 'utf8')).to.contain('WRAPPED=1');
    await entry('/', 'other.test');
    const other = httpd.processes(/^tsgi: worker vhost/)[0]?.pid ?? 0;
    expect(readFileSync(`/proc/${String(other)}/environ`, 'utf8')).to.contain('WRAPPED=1');
  });

  it('script-args are the arguments of a script, also of one that a pattern names', async () => {
    const { argv } = await entry('/wrapped');
    const [, ...own] = argv as string[];
    expect(own).to.deep.equal([app('entry.cjs'), 'serve', './a b', '--verbose']);
    const { argv: ofPattern } = await entry('/argued/entry.cjs');
    expect(ofPattern).to.deep.equal(argv);
  });

  it('inspect opens the debugger of each worker', async () => {
    const found = await waitFor(
      () =>
        new Promise<string>((resolve, reject) => {
          request({ port: inspectPort, path: '/json/version', agent: false }, (res) => {
            let text = '';
            res
              .on('data', (c: Buffer) => (text += c.toString()))
              .on('end', () => {
                resolve(text);
              });
          })
            .on('error', reject)
            .end();
        }),
    );
    expect(found).to.contain('node.js');
  });

  it('concurrency bounds what a worker has in hand; the rest waits and is served', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => main('/one')));
    expect(answers.map((a) => a.status)).to.deep.equal(Array.from({ length: 8 }, () => 200));
    expect(
      answers
        .map((a) => a.body)
        .sort()
        .at(-1),
    ).to.equal('1');
  });

  it('script-root bounds what a pattern may run, symbolic links included', async () => {
    httpd.log.allow('TSGI01', 'TSGI06');
    expect((await main('/rooted/fine.js')).body).to.equal('fine');
    expect((await main('/rooted/link.js')).status).to.equal(403);
    expect((await main('/rooted/../outside.js')).status).to.not.equal(200);
    expect((await main('/rooted/%2e%2e/outside.js')).status).to.not.equal(200);
  });

  it('TSGIApplicationGroup makes scripts share a worker', async () => {
    const first = JSON.parse((await main('/first')).body) as { title: string };
    expect((await main('/second')).body).to.match(/^callable/);
    expect((await main('/own')).body).to.match(/^callable/);
    expect(first.title).to.match(/^tsgi: worker apps/);
    expect(httpd.processes(/^tsgi: worker apps/)).to.have.length(2);
  });

  it('leave nothing in the runtime directory that another user could use', () => {
    expect(
      readdirSync(join(httpd.dir, 'run')).filter((name) => name.endsWith('.sock')),
    ).to.deep.equal([]);
  });
});
