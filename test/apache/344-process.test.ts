/** The process of an app: what it can know of it, start from it, and how it ends, as under node alone. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { app, isRoot, nodeInUse } from '../harness/place.ts';
import { waitFor } from '../harness/wait.ts';

const config = `
TSGIDaemonProcess facts
TSGIScriptAlias /facts @APPS@/node/facts.cjs process-group=facts
TSGIDaemonProcess endings
TSGIScriptAlias /endings @APPS@/node/endings.cjs process-group=endings
TSGIDaemonProcess warns node-args=--unhandled-rejections=warn
TSGIScriptAlias /warns @APPS@/node/endings.cjs process-group=warns
TSGIDaemonProcess none node-args=--unhandled-rejections=none
TSGIScriptAlias /none @APPS@/node/endings.cjs process-group=none
TSGIDaemonProcess snapshots home=@ROOT@/apps node-args="--heapsnapshot-signal=SIGUSR2 --report-on-signal --report-signal=SIGHUP --report-compact"
TSGIScriptAlias /snapshots @APPS@/node/endings.cjs process-group=snapshots
TSGIDaemonProcess thread
TSGIScriptAlias /thread @ROOT@/apps/thread.mjs process-group=thread
`;

type Facts = Record<string, unknown>;

/** Accepted: see docs/node.md. */
const DIFFERENT = new Set<string>();

describe('the process of an app', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config });
    const index = JSON.stringify(join(dirname(app('..')), 'dist/index.js'));
    httpd.write(
      'thread.mjs',
      `import { isMainThread, parentPort, Worker } from 'node:worker_threads';
       import { tsgi } from ${index};
       const told = () => ({ isHosted: tsgi.isHosted, group: tsgi.processGroup, index: tsgi.workerIndex });
       if (!isMainThread) {
         tsgi.on('shutdown', () => undefined);
         parentPort.postMessage(told());
       }
       export default async function app(req, res) {
         const thread = new Worker(new URL(import.meta.url));
         const inside = await new Promise((resolve) => thread.once('message', resolve));
         await thread.terminate();
         res.end(JSON.stringify([told(), inside]));
       }`,
    );
    await httpd.start();
    httpd.log.allow(/err\] /);
  });
  after(() => httpd.stop());

  const pidOf = (name: string): Promise<string> =>
    waitFor(async () => {
      const { status, body } = await httpd.ask(`/${name}/pid`);
      return status === 200 && body;
    });
  const logged = (pid: string, source: 'out' | 'err'): string[] =>
    httpd.log
      .matching(new RegExp(`\\[\\S+ ${pid} ${source}\\]`))
      .map((line) => line.replace(new RegExp(`^.*\\[\\S+ ${pid} ${source}\\] `), ''));

  it('looks, and so do the processes and threads that it starts, as under node alone', async () => {
    const file = app('node/facts.cjs');
    const user = isRoot ? { uid: 65534, gid: 65534 } : {};
    const options = { encoding: 'utf8', cwd: dirname(file), ...user } as const;
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    const alone = execFileSync(nodeInUse, [file], { ...options, stdio: [...stdio] });
    const expected = JSON.parse(alone) as Facts;
    const hosted = JSON.parse((await httpd.ask('/facts')).body) as Facts;
    expect(Object.keys(hosted).length).to.be.greaterThan(20);
    for (const [name, value] of Object.entries(expected)) {
      if (!DIFFERENT.has(name)) expect(hosted[name], name).to.deep.equal(value);
    }
    expect(Object.keys(hosted)).to.deep.equal(Object.keys(expected));
  });

  it('loses nothing of what a pipe holds when it calls process.exit()', async () => {
    const pid = await pidOf('endings');
    expect((await httpd.ask('/endings/floods')).status).to.equal(502);
    httpd.log.allow(/TSGI0507.*exit status 3/, /TSGI0174.*exit status 3/);
    await waitFor(() => logged(pid, 'out').includes('exit 3'));
    const lines = logged(pid, 'out').filter((line) => line.startsWith('flood'));
    expect(lines).to.have.length(100);
    expect(lines.at(-1)).to.match(/^flood 0099 x{290}$/);
  });

  it('comes to its own end when it closes its server: beforeExit, exit, and its exitCode', async () => {
    const pid = await pidOf('endings');
    httpd.log.allow(/TSGI0507.*exit status 7/);
    expect((await httpd.ask('/endings/closes')).body).to.equal('closing');
    await waitFor(() => logged(pid, 'out').includes('exit 7'));
    expect(logged(pid, 'out')).to.deep.equal(['beforeExit 7', 'exit 7']);
    expect(await pidOf('endings')).to.not.equal(pid);
  });

  it('ends by a rejection that nobody handles, unless node is told otherwise', async () => {
    const pid = await pidOf('endings');
    httpd.log.allow(/TSGI0507.*exit status 1/, /TSGI0174.*exit status 1/);
    expect((await httpd.ask('/endings/rejects')).status).to.equal(502);
    await waitFor(() => logged(pid, 'out').includes('exit 1'));
    expect(logged(pid, 'err').join('\n')).to.match(
      /Error: nobody handles this\n *at \S+.*endings\.cjs/,
    );
    for (const name of ['warns', 'none']) {
      const same = await pidOf(name);
      expect((await httpd.ask(`/${name}/rejects`)).body).to.equal(same);
      expect(await pidOf(name)).to.equal(same);
    }
    await waitFor(
      () => httpd.log.matching(/\[warns \d+ err\].*UnhandledPromiseRejectionWarning/).length > 0,
    );
    expect(httpd.log.matching(/\[none \d+ err\]/)).to.deep.equal([]);
  });

  it('has a console whose lines are in the error log, each at its place', async () => {
    const pid = await pidOf('endings');
    const { body } = await httpd.ask('/endings/consoles');
    expect(body).to.equal('ok');
    await waitFor(() => logged(pid, 'err').some((line) => line.includes('Trace: from here')));
    const out = await waitFor(() => {
      const lines = logged(pid, 'out');
      return lines.some((line) => line.includes('deepest')) && lines;
    });
    expect(out[0]).to.equal('log has 1');
    expect(out.slice(1, 6).join('\n')).to.include('index');
    expect(out).to.include('  indented');
    expect(logged(pid, 'err').join('\n')).to.match(
      /^Error: as an object\n[^]*Assertion failed: not so\n/,
    );
  });

  it('writes heap snapshots and reports at the signals that node-args name', async () => {
    const pid = Number(await pidOf('snapshots'));
    const found = (pattern: RegExp): string | undefined =>
      readdirSync(join(httpd.dir, 'apps')).find((name) => pattern.test(name));
    process.kill(pid, 'SIGUSR2');
    process.kill(pid, 'SIGHUP');
    const report = await waitFor(() => found(/^report\..*\.json$/));
    await waitFor(() => {
      const text = readFileSync(join(httpd.dir, 'apps', report), 'utf8');
      return (JSON.parse(text) as { header: { processId: number } }).header.processId === pid;
    });
    await waitFor(() => found(/\.heapsnapshot$/));
    expect(Number(await pidOf('snapshots'))).to.equal(pid);
  });

  it('is known by the package in its threads, too', async () => {
    const facts = { isHosted: true, group: 'thread', index: 0 };
    expect(JSON.parse((await httpd.ask('/thread')).body)).to.deep.equal([facts, facts]);
  });
});
