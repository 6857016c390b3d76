import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { Httpd, type Mpm } from '../harness/httpd.ts';
import { Load, type Result } from '../harness/load.ts';
import { processOf, type Process } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

// TSGI_CHAOS_ROUNDS and TSGI_CHAOS_MPM make it a longer search by hand.
const rounds = Number(process.env['TSGI_CHAOS_ROUNDS'] ?? 1);
const mpm = (process.env['TSGI_CHAOS_MPM'] ?? 'event') as Mpm;
const connections = mpm === 'prefork' ? 12 : 32;

const config = `
TSGIDaemonProcess site processes=2 apache-threads=64 env=CHAOS_FILE=@ROOT@/apps/begun
TSGIScriptAlias /chaos @APPS@/chaos.js process-group=site
`;

/** Room for children of earlier generations of httpd, which end only with their connections. */
const threads =
  'ServerLimit 16\nThreadsPerChild 16\nThreadLimit 16\nStartServers 2\nMaxRequestWorkers 64\n';
const limits = {
  event: threads,
  worker: threads,
  prefork: 'StartServers 8\nServerLimit 64\nMaxRequestWorkers 32\n',
};

/** A failed request, for the message of an assertion. */
const show = ({ id, outcome, status, detail }: Result) =>
  `${id} ${outcome} ${String(status)} ${detail}`;

describe('a group under load while its processes are killed, stopped and restarted', function () {
  this.timeout(25_000 * (rounds + 1));
  let httpd: Httpd;
  let load: Load;
  /** Connections of Apache children that were killed: so many requests may have lost theirs. */
  let cut = 0;

  const workers = () => httpd.processes(/^tsgi: worker site\//);
  const supervisors = () => httpd.processes(/^tsgi: supervisor site$/);
  const children = () => httpd.processes(/apache2|httpd/);
  const first = (processes: Process[]) => processes[0]?.pid ?? expect.fail('nobody there');
  const begun = () => readFileSync(`${httpd.dir}/apps/begun`, 'utf8').split('\n').filter(Boolean);

  /** Waits until so many more requests have been answered well: the load is served again. */
  const served = (count = 150) => {
    const wanted = load.of('good').length + count;
    return waitFor(() => load.of('good').length >= wanted, {
      what: `${String(count)} good answers`,
    });
  };
  const replaced = (of: () => Process[], pid: number, count: number) =>
    waitFor(() => !processOf(pid) && of().filter((p) => p.pid !== pid).length >= count, {
      what: `a successor of ${String(pid)}`,
      timeoutMs: 40_000, // repeated deaths are answered more and more slowly
    });

  async function round(): Promise<void> {
    const worker = first(workers());
    process.kill(worker, 'SIGKILL');
    await replaced(workers, worker, 2);
    await served();

    for (let i = 0; i < 3; i++) {
      await httpd.graceful();
      await served(50);
    }

    const supervisor = first(supervisors());
    process.kill(supervisor, 'SIGKILL');
    await replaced(supervisors, supervisor, 1);
    await served();

    const stopped = first(workers());
    process.kill(stopped, 'SIGSTOP');
    const since = performance.now();
    await waitFor(() => performance.now() - since >= 1000);
    process.kill(stopped, 'SIGCONT');
    await served();

    const child = first(children());
    process.kill(child, 'SIGKILL');
    cut += connections;
    await waitFor(() => !processOf(child));
    await served();
  }

  before(async () => {
    httpd = await Httpd.start({ config, mpm, limits: limits[mpm] });
    httpd.log.allow('TSGI', /AH00052|AH00051|AH00286|AH00287|AH00288|AH00161|AH00484|AH00485/);
    await httpd.ask('/chaos/');
    await waitFor(() => workers().length === 2);
    load = new Load({ port: httpd.port, path: '/chaos', connections });
    try {
      await served();
      for (let i = 0; i < rounds; i++) await round();
    } finally {
      await load.stop();
    }
  });
  after(() => httpd.stop());

  it('serves most of it', () => {
    expect(load.of('good').length).to.be.greaterThan(load.results.length * 0.7);
  });

  it('brings no request to the app twice', () => {
    const seen = new Set<string>();
    const twice = begun().filter((id) => seen.size === seen.add(id).size);
    expect(twice).to.deep.equal([]);
  });

  it('gives no client the answer to another', () => {
    expect(load.of('foreign').map(show)).to.deep.equal([]);
  });

  it('answers 502, and nothing else, where a worker was killed with the request in hand', () => {
    const failed = load.of('status');
    expect(failed.filter(({ status }) => status !== 502).map(show)).to.deep.equal([]);
    expect(failed.length).to.be.at.most(2 * connections * rounds);
  });

  it('breaks connections only of the Apache child that was killed', () => {
    // A client that writes on a kept connection while the server closes it has lost the race: but then
    // nobody has seen its request.
    const reached = new Set(begun());
    const broken = load.of('broken', 'truncated').filter((r) => !r.isReused || reached.has(r.id));
    expect(broken.length, broken.map(show).join('\n')).to.be.at.most(cut);
  });

  it('has nothing in hand afterwards: requests flow, by both workers', async () => {
    for (let i = 0; i < 100; i++) {
      expect((await httpd.ask(`/chaos/?id=after-${String(i)}`)).status).to.equal(200);
    }
    expect(workers()).to.have.length(2);
    expect(supervisors()).to.have.length(1);
  });
});
