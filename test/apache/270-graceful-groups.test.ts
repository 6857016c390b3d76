import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { Load, show } from '../harness/load.ts';
import { app, isRoot } from '../harness/place.ts';
import { fdsOf, processOf, statusOf } from '../harness/processes.ts';
import { AppRecord } from '../harness/record.ts';
import { waitFor } from '../harness/wait.ts';

/** Answers with its pid; /slow?ms=N when that time has passed. With DEAF set it does not end by itself. */
const simple = `
if (process.env.DEAF) {
  process.on('SIGTERM', () => undefined);
  setInterval(() => undefined, 1000);
}
require('node:http').createServer((req, res) => {
  const url = new URL(req.url, 'http://x');
  if (url.pathname.endsWith('/slow')) {
    console.log('in hand ' + process.pid);
    setTimeout(() => res.end(String(process.pid)), Number(url.searchParams.get('ms')));
  } else res.end(String(process.pid));
}).listen(3000);
`;

const chaos = (name: string, options = '') => `
TSGIDaemonProcess ${name} processes=2 env=CHAOS_FILE=@ROOT@/apps/begun ${options}
TSGIScriptAlias /${name} @APPS@/chaos.js process-group=${name}
`;

/** Old children of httpd go as soon as their requests have ended: no idle client holds them. */
const limits =
  'ServerLimit 16\nThreadsPerChild 16\nThreadLimit 16\nStartServers 2\nMaxRequestWorkers 64\nMinSpareThreads 16\nMaxSpareThreads 64\n';

describe('apachectl graceful under load', function () {
  this.timeout(90_000);
  let httpd: Httpd;
  let loads: Map<string, Load>;
  let nloads = 0;

  const workers = (name: string) =>
    httpd.processes(new RegExp(`^tsgi: worker ${name}/`)).map(({ pid }) => pid);
  const supervisors = () => httpd.processes(/^tsgi: supervisor/);
  const record = () => new AppRecord(join(httpd.dir, 'apps/begun')).refresh();

  const startLoad = async (...names: string[]) => {
    for (const name of names) {
      const prefix = `${String(++nloads)}-${name}-`;
      const load = new Load({ port: httpd.port, path: `/${name}`, connections: 3, prefix });
      loads.set(name, load);
      await waitFor(() => load.good >= 30, { what: `load on ${name}` });
    }
  };
  const more = async (name: string, count = 60) => {
    const load = loads.get(name);
    const wanted = (load?.good ?? 0) + count;
    await waitFor(() => (load?.good ?? 0) >= wanted, {
      what: `${String(count)} more good answers of ${name}`,
    });
  };
  /** Requests that failed. One on a kept connection that httpd closed, and nobody saw, is httpd's. */
  const failed = (name: string): string[] => {
    const reached = record();
    return (loads.get(name)?.failures ?? [])
      .filter((r) => !(r.outcome === 'idle' && reached.begunBy(r.id) === undefined))
      .map(show);
  };
  const stopLoad = async () => {
    await Promise.all([...loads.values()].map((load) => load.stop()));
  };

  before(async () => {
    httpd = await Httpd.prepare({ config: '', limits });
    // httpd's own: more children than fit while old ones go, and none spare
    httpd.log.allow(/AH00484|AH00485|AH10159|AH03490|AH00286/);
  });
  beforeEach(() => {
    loads = new Map();
  });
  afterEach(stopLoad);
  after(() => httpd.stop());

  it('loses no request of a kept, a changed, an added and a renamed group', async () => {
    httpd.configure(chaos('kept') + chaos('changed') + chaos('before') + chaos('removed'));
    await httpd.start();
    await startLoad('kept', 'changed', 'before', 'removed');
    const kept = workers('kept');
    const gone = [...workers('changed'), ...workers('before'), ...workers('removed')];
    // The group of the URL /before has another name now.
    const renamed = chaos('after').replace('/after', '/before');
    httpd.configure(chaos('kept') + chaos('changed', 'concurrency=50') + renamed + chaos('added'));
    await httpd.graceful();
    await startLoad('added');
    for (const name of ['kept', 'changed', 'before', 'added']) await more(name);
    await waitFor(() => gone.every((pid) => !processOf(pid)), {
      what: 'the end of the old generations',
      timeoutMs: 20_000,
    });
    await stopLoad();
    expect(workers('kept')).to.have.members(kept);
    for (const name of ['kept', 'changed', 'before', 'added']) {
      expect(failed(name), name).to.deep.equal([]);
    }
    expect(failed('removed').filter((text) => !text.includes('status 404'))).to.deep.equal([]);
  });

  it('twenty times as fast as httpd takes it leaves no process, descriptor or generation behind', async () => {
    await startLoad('kept', 'changed');
    const variants = [
      chaos('kept') + chaos('changed'),
      chaos('kept') + chaos('changed', 'concurrency=60'),
    ];
    const config = (n: number) => variants[Math.floor(n / 2) % 2] ?? '';
    // One round before, so that what is made once is there.
    for (let n = 0; n < 4; n++) {
      httpd.configure(config(n));
      await httpd.graceful();
    }
    const settled = () =>
      waitFor(() => supervisors().length === 2 && httpd.processes(/^tsgi: worker/).length === 4, {
        what: `two groups; there are ${supervisors()
          .map(({ title }) => title)
          .join(', ')}`,
        timeoutMs: 40_000,
      });
    await settled();
    const kept = workers('kept');
    const descriptors = () => Object.keys(fdsOf(httpd.pid)).length;
    const before = descriptors();
    for (let n = 0; n < 20; n++) {
      httpd.configure(config(n));
      await httpd.graceful();
    }
    await more('kept');
    await more('changed');
    await settled();
    await waitFor(() => httpd.processes(/^tsgi: log/).length === 1);
    await waitFor(() => descriptors() <= before, {
      what: `${String(before)} descriptors; there are ${String(descriptors())}`,
    });
    await stopLoad();
    expect(workers('kept')).to.have.members(kept);
    expect(failed('kept')).to.deep.equal([]);
    expect(failed('changed')).to.deep.equal([]);
    expect(record().twice).to.deep.equal([]);
  });

  it('adds a script to an application group that is shared, and takes one away, without a failure', async () => {
    for (const name of ['one', 'two', 'three']) {
      copyFileSync(app('chaos.js'), join(httpd.dir, `apps/${name}.js`));
    }
    const shared = (...names: string[]) =>
      `TSGIDaemonProcess shared processes=2 env=CHAOS_FILE=@ROOT@/apps/begun\n${names
        .map(
          (name) =>
            `TSGIScriptAlias /${name} @ROOT@/apps/${name}.js process-group=shared application-group=%{GLOBAL}\n`,
        )
        .join('')}`;
    httpd.configure(shared('one', 'two'));
    await httpd.graceful();
    await startLoad('one');
    httpd.configure(shared('one', 'two', 'three'));
    await httpd.graceful();
    await startLoad('three');
    await more('one');
    httpd.configure(shared('one', 'three'));
    await httpd.graceful();
    await more('one');
    await more('three');
    await stopLoad();
    expect(failed('one')).to.deep.equal([]);
    expect(failed('three')).to.deep.equal([]);
  });
});

describe('an old generation', function () {
  this.timeout(90_000);
  let httpd: Httpd;
  const group = (options = '') => `
TSGIDaemonProcess slow graceful-timeout=2s ${options}
TSGIScriptAlias /slow @ROOT@/apps/simple.js process-group=slow
`;
  const pidOf = async () => Number((await httpd.ask('/slow')).body);

  beforeEach(async () => {
    httpd = await Httpd.prepare({ config: group() });
    httpd.write('simple.js', simple);
    await httpd.start();
  });
  afterEach(() => httpd.stop());

  it('finishes what its Apache children have in hand, and is gone soon after the last of them', async () => {
    const old = await pidOf();
    const answer = httpd.ask('/slow/slow?ms=4000');
    await waitFor(() => httpd.log.matching(/in hand/).length === 1);
    httpd.configure(group('env=X=1'));
    await httpd.graceful();
    await waitFor(async () => (await pidOf()) !== old);
    expect(processOf(old)).to.not.equal(undefined);
    const { status, body } = await answer;
    const since = performance.now();
    expect([status, Number(body)]).to.deep.equal([200, old]);
    await waitFor(() => !processOf(old), { what: 'the end of the old worker', timeoutMs: 6000 });
    expect(performance.now() - since).to.be.below(5000);
  });

  it('is killed in time though it does not end by itself', async () => {
    httpd.log.allow(/TSGI0508/, /TSGI0066/);
    const first = await pidOf();
    httpd.configure(group('env=DEAF=1'));
    await httpd.graceful();
    // A child of the old configuration may answer right after it.
    const old = await waitFor(async () => {
      const now = await pidOf();
      return now !== first && now;
    });
    await waitFor(() => !processOf(first));
    const [supervisor] = await waitFor(() => {
      const all = httpd.processes(/^tsgi: supervisor/);
      return all.length === 1 && all;
    });
    httpd.configure(group('env=X=1'));
    await httpd.graceful();
    // Told to finish, it does nothing at all: only the parent can end this, after 2 s and its margin of 5 s.
    await waitFor(() => httpd.log.matching(/TSGI0067/).length === 2);
    const pid = supervisor?.pid ?? expect.fail('no supervisor');
    process.kill(pid, 'SIGSTOP');
    await waitFor(() => !processOf(pid), { what: 'the end of the supervisor', timeoutMs: 9500 });
    await waitFor(() => !processOf(old), { what: 'the end of the worker', timeoutMs: 4500 });
    expect(httpd.log.matching(/TSGI0066/)).to.have.length(1);
  });

  it('serves on when its successor cannot run', async () => {
    httpd.log.allow(/TSGI0016|TSGI0017|TSGI0073/);
    const old = await pidOf();
    const broken = [
      'node=@ROOT@/apps/nothing',
      'env-file=@ROOT@/apps/nothing',
      'home=@ROOT@/apps/nothing',
    ];
    for (const [n, options] of broken.entries()) {
      httpd.configure(group(options));
      await httpd.graceful(n === 1 ? 'SIGHUP' : 'SIGUSR1');
      expect(await pidOf()).to.equal(old);
      expect(httpd.log.matching(/TSGI0073.*slow/)).to.have.length(n + 1);
    }
    httpd.configure(group('env=X=1'));
    await httpd.graceful();
    await waitFor(async () => (await pidOf()) !== old);
    await waitFor(() => !processOf(old), { timeoutMs: 20_000 });
  });
});

if (isRoot) {
  describe('a group that gets another user at a graceful restart', function () {
    this.timeout(60_000);
    let httpd: Httpd;
    const group = (user: string) => `
TSGIDaemonProcess mine user=${user}
TSGIScriptAlias /mine @ROOT@/apps/simple.js process-group=mine
`;
    before(async () => {
      httpd = await Httpd.prepare({ config: group('nobody'), asRoot: true });
      httpd.write('simple.js', simple);
      await httpd.start();
    });
    after(() => httpd.stop());

    it('loses no request', async () => {
      const pidOf = async () => {
        const { status, body } = await httpd.ask('/mine');
        expect(status).to.equal(200);
        return Number(body);
      };
      const old = await pidOf();
      const uids = statusOf(old)['Uid'];
      httpd.configure(group('daemon'));
      await httpd.graceful();
      const pid = await waitFor(async () => {
        const now = await pidOf();
        return now !== old && now;
      });
      expect(statusOf(pid)['Uid']).to.not.equal(uids);
      await waitFor(() => !processOf(old), { timeoutMs: 20_000 });
    });
  });
}
