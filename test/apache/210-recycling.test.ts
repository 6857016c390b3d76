import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { Load, show } from '../harness/load.ts';
import { app } from '../harness/place.ts';
import { processOf } from '../harness/processes.ts';
import { AppRecord } from '../harness/record.ts';
import { waitFor } from '../harness/wait.ts';

/** Does to its own process what it is asked for. */
const source = `
const kept = [];
require('node:http').createServer((req, res) => {
  const { pathname, searchParams } = new URL(req.url, 'http://x');
  const n = Number(searchParams.get('n'));
  if (pathname === '/grow' || pathname === '/hoard') kept.push(Buffer.alloc(n * 1024 * 1024, 1));
  // Processor time, not the clock's: the machine may have others to serve.
  const used = () => process.cpuUsage().user + process.cpuUsage().system;
  if (pathname === '/burn') for (const before = used(); used() - before < n * 1000;);
  const answer = () => res.end(process.pid + ' ' + process.execArgv.join(' '));
  if (pathname === '/wait') setTimeout(answer, n);
  else if (pathname !== '/hoard') answer();
}).listen(3000);
`;

const group = (name: string, options: string) => `
TSGIDaemonProcess ${name} ${options}
<Location /${name}>
  TSGIProcessGroup ${name}
</Location>
TSGIScriptAlias /${name} @ROOT@/apps/self.js
`;

describe('recycling', function () {
  this.timeout(60_000);
  let httpd: Httpd;

  const workers = (name: string) =>
    httpd.processes(new RegExp(`^tsgi: worker ${name}/`)).map(({ pid }) => pid);
  const pidOf = async (url: string) => Number((await httpd.ask(url)).body.split(' ')[0]);
  const isReplaced = (name: string, old: number) =>
    waitFor(() => workers(name).some((pid) => pid !== old) && !processOf(old), {
      what: `another worker of ${name} than ${String(old)}`,
    });

  before(async () => {
    httpd = await Httpd.prepare({ config: '' });
    httpd.write('self.js', source);
    httpd.write('single.js', source);
    copyFileSync(app('chaos.js'), join(httpd.dir, 'apps/chaos.js'));
    httpd.configure(`
TSGIDaemonProcess many processes=2 maximum-requests=50 env=CHAOS_FILE=@ROOT@/apps/begun
TSGIScriptAlias /many @ROOT@/apps/chaos.js process-group=many
TSGIDaemonProcess single maximum-requests=3 jitter=0
TSGIScriptAlias /single @ROOT@/apps/single.js process-group=single
${group('interval', 'restart-interval=1s')}
${group('inactive', 'inactivity-timeout=1s')}
${group('lazy', 'inactivity-timeout=1s start=on-demand')}
${group('memory', 'memory-limit=150M')}
${group('processor', 'cpu-time-limit=1s graceful-timeout=1m')}
`);
    await httpd.start();
  });
  after(() => httpd.stop());

  it('by maximum-requests costs no request, runs none twice, and never lowers the number of workers', async () => {
    await waitFor(() => workers('many').length === 2);
    await httpd.ask('/many/');
    const seen = new Set<number>();
    let least = Infinity;
    const load = new Load({ port: httpd.port, path: '/many', connections: 4 });
    await waitFor(
      () => {
        const now = workers('many');
        now.forEach((pid) => seen.add(pid));
        least = Math.min(least, now.length);
        return load.requests >= 1000;
      },
      { timeoutMs: 40_000, what: '1000 requests' },
    );
    await load.stop();
    expect(load.failures.map(show)).to.deep.equal([]);
    expect(new AppRecord(join(httpd.dir, 'apps/begun')).refresh().twice).to.deep.equal([]);
    expect(seen.size).to.be.greaterThan(5);
    expect(least).to.be.at.least(2);
  });

  it('lets a worker finish what it has in hand', async () => {
    const slow = httpd.ask('/single/wait?n=700');
    await httpd.ask('/single/');
    const old = await pidOf('/single/');
    await waitFor(async () => (await pidOf('/single/')) !== old);
    const { status, body } = await slow;
    expect([status, Number(body.split(' ')[0])]).to.deep.equal([200, old]);
  });

  it('by restart-interval needs no request', async () => {
    const [old = 0] = await waitFor(() =>
      workers('interval').length === 1 ? workers('interval') : undefined,
    );
    await isReplaced('interval', old);
    expect(httpd.log.matching(/TSGI0515.*restart-interval is over/)).to.have.length.greaterThan(0);
  });

  it('by inactivity-timeout replaces a worker that was used', async () => {
    const old = await pidOf('/inactive/');
    await isReplaced('inactive', old);
  });

  it('by inactivity-timeout ends a worker on demand, and the next request starts another', async () => {
    const old = await pidOf('/lazy/wait?n=1500');
    expect(workers('lazy')).to.deep.equal([old]);
    await waitFor(() => workers('lazy').length === 0);
    expect(await pidOf('/lazy/')).to.not.equal(old);
  });

  it('by memory-limit replaces a worker that grows, and sizes the heap', async () => {
    httpd.log.allow(/TSGI0515.*memory-limit is 150 MiB/);
    const { body } = await httpd.ask('/memory/');
    expect(body).to.contain('--max-old-space-size=188');
    const old = await pidOf('/memory/grow?n=120');
    await isReplaced('memory', old);
  });

  it('kills a worker with more than twice its memory-limit, and says so', async () => {
    httpd.log.allow(/TSGI0516.*more than twice its memory-limit of 150 MiB/, /TSGI01\d\d/);
    const old = await pidOf('/memory/');
    // It is not answered: seen while it still grows, the worker would else just be replaced.
    expect((await httpd.ask('/memory/hoard?n=400')).status).to.equal(502);
    expect(httpd.log.matching(new RegExp(`TSGI0516: .*pid ${old}\\b`))).to.have.length(1);
    await isReplaced('memory', old);
    expect((await httpd.ask('/memory/')).status).to.equal(200);
  });

  it('by cpu-time-limit replaces a worker that computes', async () => {
    httpd.log.allow(/TSGI0515.*s of processor time/);
    const old = await pidOf('/processor/burn?n=1200');
    await isReplaced('processor', old);
  });

  it('leaves the old worker in service when no fresh one gets ready, and tries again', async () => {
    httpd.log.allow(/TSGI0517/, /TSGI0512/, /TSGI0607/, /lost a file|self\.js|\bat /);
    httpd.configure(`
TSGIDaemonProcess stuck maximum-requests=2 jitter=0
TSGIScriptReloading Off
TSGIScriptAlias /stuck @ROOT@/apps/self.js process-group=stuck
`);
    await httpd.graceful();
    const old = await pidOf('/stuck/');
    httpd.write('self.js', 'throw new Error("lost a file");');
    await pidOf('/stuck/');
    await waitFor(() => httpd.log.matching(/TSGI0517/).length >= 2, { what: 'two attempts' });
    expect(await pidOf('/stuck/')).to.equal(old);
    httpd.write('self.js', source);
    await isReplaced('stuck', old);
    expect((await httpd.ask('/stuck/')).status).to.equal(200);
  });
});
