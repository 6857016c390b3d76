import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { processOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

/** Answers with its pid, after ms=; says `in hand` if that takes longer. */
const slow = `
require('node:http').createServer((req, res) => {
  const ms = Number(new URL(req.url, 'http://x').searchParams.get('ms') ?? 0);
  if (ms > 0) console.log('in hand');
  setTimeout(() => res.end(String(process.pid)), ms);
}).listen(3000);
`;
/** Waits, as many apps do, for the signal that other process managers send. */
const interrupted = `${slow}
process.on('SIGINT', (signal) => {
  console.log('said: ' + signal);
  setTimeout(() => { console.log('said: saved'); process.exit(0); }, 100);
});
`;
/** Starts a process that outlives it, and says which. */
const parent = `
const { pid } = require('node:child_process').spawn('sleep', ['600'], { stdio: 'inherit' });
require('node:http').createServer((req, res) => res.end(process.pid + ' ' + pid)).listen(3000);
`;
const config = `
TSGIDaemonProcess interrupted
TSGIDaemonProcess patient graceful-timeout=8s eviction-timeout=100ms maximum-requests=1
TSGIDaemonProcess parent
TSGIScriptAlias /interrupted @ROOT@/apps/interrupted.js process-group=interrupted
TSGIScriptAlias /patient @ROOT@/apps/slow.js process-group=patient
TSGIScriptAlias /parent @ROOT@/apps/parent.js process-group=parent
`;

describe('the end of a worker', function () {
  this.timeout(60_000);
  let httpd: Httpd;

  const said = (what: RegExp) => httpd.log.matching(what).length;

  before(async () => {
    httpd = await Httpd.prepare({ config });
    httpd.write('interrupted.js', interrupted);
    httpd.write('slow.js', slow);
    httpd.write('parent.js', parent);
    await httpd.start();
  });
  after(() => httpd.stop());

  it('is told by SIGINT to an app that listens to nothing else, when nothing is in hand', async () => {
    const busy = httpd.ask('/interrupted?ms=1000');
    await waitFor(() => said(/in hand/) === 1);
    httpd.write('interrupted.js', `${interrupted}// changed`);
    const { status, body } = await busy;
    expect(status).to.equal(200);
    await waitFor(() => !processOf(Number(body)), { what: 'the end of the old worker' });
    await waitFor(() => said(/said: saved/) === 1);
    expect(said(/said: SIGINT/)).to.equal(1);
  });

  it('comes to the same app by a SIGTERM from outside, and another worker is there', async () => {
    const { body: pid } = await httpd.ask('/interrupted');
    process.kill(Number(pid), 'SIGTERM');
    await waitFor(() => said(/said: saved/) === 2);
    await waitFor(() => !processOf(Number(pid)));
    expect((await httpd.ask('/interrupted')).body).to.not.equal(pid);
  });

  it('by a limit of its life has all of graceful-timeout, whatever eviction-timeout says', async () => {
    // At half of graceful-timeout the app is told, and goes on.
    const { status, body } = await httpd.ask('/patient?ms=4700');
    expect(status).to.equal(200);
    await waitFor(() => !processOf(Number(body)));
  });

  it('takes along what it has started, though the supervisor was killed', async () => {
    httpd.log.allow(/TSGI0062/);
    const pids = (await httpd.ask('/parent')).body.split(' ').map(Number);
    const [supervisor] = httpd.processes(/^tsgi: supervisor parent$/);
    process.kill(supervisor?.pid ?? expect.fail('no supervisor'), 'SIGKILL');
    await waitFor(() => pids.every((pid) => !processOf(pid)), {
      what: `the end of ${pids.join(' and ')}`,
    });
    expect((await httpd.ask('/parent')).status).to.equal(200);
  });
});
