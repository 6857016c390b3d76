import { readFileSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { processOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

const says = (text: string) =>
  `exports.application = (e, start) => { start('200 OK', []); return ['${text} ' + process.pid] }`;

describe('scripts that share a worker', () => {
  it('are served when all of them are loaded: while one is broken none is, other application groups are', async () => {
    const httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess shared queue-timeout=3s startup-timeout=10s
TSGIProcessGroup shared
TSGIApplicationGroup together
TSGIScriptAlias /first @ROOT@/apps/first.js
TSGIScriptAlias /broken @ROOT@/apps/broken.js
TSGIScriptAlias /last @ROOT@/apps/last.js
TSGIScriptAlias /own @ROOT@/apps/own.js application-group=%{RESOURCE}
`,
    });
    httpd.write('first.js', says('first'));
    httpd.write('broken.js', 'throw new Error("no database")');
    httpd.write('last.js', says('last'));
    httpd.write('own.js', says('own'));
    try {
      httpd.log.allow('TSGI06', 'no database', 'shared \\d+ host\\]', 'TSGI01', 'TSGI05');
      await httpd.start();
      for (const path of ['/first', '/broken', '/last']) {
        expect((await httpd.ask(path)).status, path).to.equal(503);
      }
      await waitFor(() => httpd.log.matching(/TSGI0607.*broken\.js.*no database/).length > 0);
      expect((await httpd.ask('/own')).body).to.match(/^own/);
      httpd.write('broken.js', says('mended'));
      const pids = new Set<string | undefined>();
      for (const [path, text] of [
        ['/broken', 'mended'],
        ['/first', 'first'],
        ['/last', 'last'],
      ] as const) {
        const body = await waitFor(
          async () => {
            const answer = await httpd.ask(path);
            return answer.status === 200 ? answer.body : undefined;
          },
          { what: `an answer of ${path}`, timeoutMs: 35_000 },
        );
        expect(body).to.match(new RegExp(`^${text} `));
        pids.add(body.split(' ')[1]);
      }
      expect(pids.size).to.equal(1);
    } finally {
      await httpd.stop();
    }
  });
});

describe('a symlinked deployment', () => {
  it('is resolved at the start of each worker: switched, the next one runs the new release', async () => {
    const httpd = await Httpd.prepare({
      config:
        'TSGIDaemonProcess deploy\nTSGIScriptAlias / @ROOT@/apps/current/index.js process-group=deploy',
    });
    for (const release of ['1', '2']) {
      httpd.write(
        `releases/${release}/index.js`,
        "exports.application = (e, start) => { start('200 OK', []); return [__dirname + ' ' + process.cwd()] }",
      );
    }
    const link = join(httpd.dir, 'apps/current');
    const release = (name: string) => join(httpd.dir, 'apps/releases', name);
    symlinkSync(release('1'), link);
    try {
      await httpd.start();
      expect((await httpd.ask('/')).body).to.equal(`${release('1')} ${release('1')}`);
      symlinkSync(release('2'), `${link}.new`);
      renameSync(`${link}.new`, link);
      httpd.log.allow('TSGI05');
      const worker = httpd.processes(/^tsgi: worker deploy\//)[0]?.pid ?? 0;
      process.kill(worker, 'SIGKILL');
      await waitFor(() => !processOf(worker));
      expect((await httpd.ask('/')).body).to.equal(`${release('2')} ${release('2')}`);
    } finally {
      await httpd.stop();
    }
  });
});

describe('when the Apache parent is killed', () => {
  it('blocked workers and the children of workers are gone within 5 s, too', async () => {
    const httpd = await Httpd.prepare({
      config:
        'TSGIDaemonProcess busy processes=2\nTSGIScriptAlias / @ROOT@/apps/busy.js process-group=busy',
    });
    httpd.write(
      'busy.js',
      `const { spawn } = require('node:child_process');
       const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
       exports.application = (e, start) => {
         if (e.PATH_INFO === '/block') for (;;);
         start('200 OK', []);
         return [String(child.pid)];
       };`,
    );
    await httpd.start();
    httpd.log.allow('TSGI');
    const child = Number((await httpd.ask('/')).body);
    expect(processOf(child)?.title).to.equal('sleep 1000');
    await waitFor(() => httpd.processes(/^sleep/).length === 2);
    const blocked = httpd.ask('/block').catch(() => undefined);
    const spinning = (pid: number) =>
      Number(
        readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
          .replace(/^.*\) /, '')
          .split(' ')[11],
      );
    const workers = httpd.processes(/^tsgi: worker busy\//);
    const start = new Map(workers.map((p) => [p.pid, spinning(p.pid)]));
    await waitFor(() => workers.some((p) => spinning(p.pid) > (start.get(p.pid) ?? 0) + 30));
    const ours = httpd.processes(/^tsgi:|^sleep/);
    const children = httpd.children();
    process.kill(httpd.pid, 'SIGKILL');
    await waitFor(() => ours.every((p) => processOf(p.pid)?.title !== p.title), {
      what: `the end of ${ours.map((p) => p.title).join(', ')}`,
      timeoutMs: 5000,
    });
    for (const child of children) process.kill(child, 'SIGKILL');
    await blocked;
    await httpd.stop();
  });
});

describe('the id of a request', () => {
  it('is the same in the header, the access log (also by %L), the error log, the ErrorDocument and the app', async () => {
    const httpd = await Httpd.prepare({
      config: `
LogFormat "%U %>s %L %{TSGI_REQUEST_ID}e" ids
CustomLog @ROOT@/ids.log ids
TSGIDaemonProcess ids
TSGIProcessGroup ids
TSGIScriptAlias /app @ROOT@/apps/app.js
TSGIScriptAlias /server @ROOT@/apps/server.js
TSGIScriptAlias /error @ROOT@/apps/error.js
ErrorDocument 500 /error
ErrorDocument 502 /error
`,
    });
    httpd.write(
      'app.js',
      `exports.application = (e) => { console.error('app has ' + e['tsgi.request_id']); throw new Error('secret inside') }`,
    );
    httpd.write(
      'server.js',
      `require('node:http').createServer((req) => { console.error('app has ' + req.tsgi.requestId); setImmediate(() => { throw new Error('secret inside') }) }).listen(80)`,
    );
    httpd.write(
      'error.js',
      `exports.application = (e, start) => { start(e.REDIRECT_STATUS, []); return [e.REDIRECT_TSGI_REQUEST_ID + ''] }`,
    );
    try {
      await httpd.start();
      httpd.log.allow('TSGI', 'secret inside', 'app has', '\\[ids \\d+');
      for (const [path, status] of [
        ['/app', 500],
        ['/server', 502],
      ] as const) {
        const answer = await httpd.ask(path);
        expect(answer.status).to.equal(status);
        const id = String(answer.headers['tsgi-request-id']);
        expect(id).to.have.length.greaterThan(5);
        expect(answer.body).to.equal(id);
        const access = await waitFor(() =>
          readFileSync(join(httpd.dir, 'ids.log'), 'utf8')
            .split('\n')
            .find((line) => line.startsWith(`${path} ${String(status)}`)),
        );
        expect(access).to.equal(`${path} ${String(status)} ${id} ${id}`);
        await waitFor(() => httpd.log.lines().some((l) => l.includes(`app has ${id}`)));
        await waitFor(() => httpd.log.lines().some((l) => /TSGI\d{4}/.test(l) && l.includes(id)));
      }
    } finally {
      await httpd.stop();
    }
  });
});
