import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { processOf, type Process } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

/** Answers with its pid, or never; blocks its event loop for ever when it is asked to. */
const app = `
require('node:http').createServer((req, res) => {
  if (req.url.endsWith('/block')) res.end('blocked', () => setImmediate(() => { for (;;); }));
  else if (req.url.endsWith('/never')) console.log('in hand');
  else res.end(String(process.pid));
}).listen(3000);
`;

const names = ['calm', 'blocked', 'stopped', 'frozen', 'orphaned'] as const;

const config = names
  .map(
    (name) => `
TSGIDaemonProcess ${name}
TSGIScriptAlias /${name} @ROOT@/apps/${name}.js process-group=${name}
`,
  )
  .join('');

describe('the Apache parent, killed with SIGKILL', function () {
  this.timeout(60_000);
  let httpd: Httpd;

  const isAlive = ({ pid, title }: Process) => processOf(pid)?.title === title;
  const of = (what: string) => httpd.processes(new RegExp(`^tsgi: ${what}`));
  const stop = (what: string) => {
    for (const { pid } of of(what)) process.kill(pid, 'SIGSTOP');
  };

  before(async () => {
    httpd = await Httpd.prepare({ config });
    for (const name of names) httpd.write(`${name}.js`, app);
    httpd.log.allow(/TSGI05/, /TSGI0062/, /TSGI01/, /AH00098/); // a pid file is there
    await httpd.start();
  });
  after(() => httpd.stop());

  it('takes everything of ours along within 5 s, though something is blocked or stopped in each way', async () => {
    for (const name of names)
      await waitFor(async () => (await httpd.ask(`/${name}`)).status === 200);
    await httpd.ask('/blocked/block');
    stop('worker stopped/');
    stop('supervisor frozen');
    // Its supervisor is killed while it has something in hand: it goes on, since Apache lives.
    const never = httpd.ask('/orphaned/never').catch(() => undefined);
    await waitFor(() => httpd.log.matching(/in hand/).length === 1);
    const orphans = of('worker orphaned/');
    process.kill(of('supervisor orphaned')[0]?.pid ?? expect.fail(), 'SIGKILL');
    await waitFor(() => of('worker orphaned/').some(({ pid }) => pid !== orphans[0]?.pid), {
      what: 'the successor',
    });
    expect(orphans.filter(isAlive)).to.have.length(1);
    const ours = [...of(''), ...orphans]; // which are below init now
    const children = httpd.children();
    expect(ours).to.have.length(2 + 2 * names.length);
    process.kill(httpd.pid, 'SIGKILL');
    try {
      await waitFor(() => !ours.some(isAlive), {
        timeoutMs: 5000,
        what: `the end of ${ours.map(({ pid, title }) => `${String(pid)} ${title}`).join(', ')}`,
      });
    } finally {
      for (const left of ours.filter(isAlive)) process.kill(left.pid, 'SIGKILL');
      for (const child of children) process.kill(child, 'SIGKILL');
    }
    await never;
  });

  it('does not stand in the way of the next start', async () => {
    await httpd.start();
    for (const name of names) {
      await waitFor(async () => (await httpd.ask(`/${name}`)).status === 200);
    }
  });

  it('does not, either, when everything was killed with it', async () => {
    const all = [httpd.pid, ...httpd.processes().map(({ pid }) => pid)];
    for (const pid of all) if (processOf(pid)) process.kill(pid, 'SIGKILL');
    await waitFor(() => all.every((pid) => !processOf(pid)));
    await httpd.start();
    for (const name of names) {
      await waitFor(async () => (await httpd.ask(`/${name}`)).status === 200);
    }
  });
});

/** Leaves at SIGTERM without a look at what is in hand, as many apps do. */
const hasty = `
process.on('SIGTERM', () => process.exit(0));
require('node:http').createServer((req, res) => {
  const ms = Number(new URL(req.url, 'http://x').searchParams.get('ms') ?? 0);
  if (ms > 0) console.log('in hand');
  setTimeout(() => res.end('pid ' + process.pid), ms);
}).listen(3000);
`;
/** Says nothing about SIGTERM. */
const plain = hasty.replace(/^process.*$/m, '');

describe('the supervisor of a group', function () {
  this.timeout(60_000);
  let httpd: Httpd;

  const supervisor = () => {
    const [one] = httpd.processes(/^tsgi: supervisor site$/);
    return one?.pid ?? expect.fail('no supervisor');
  };
  const workers = () => httpd.processes(/^tsgi: worker site\//).map(({ pid }) => pid);
  const isSucceeded = (old: number) =>
    waitFor(
      () => httpd.processes(/^tsgi: supervisor site$/).some(({ pid }) => pid !== old),
      // 1.5 s on a machine that has nothing else to do.
      { what: `a successor of ${String(old)}`, timeoutMs: 5000 },
    );
  const inHand = (count: number) =>
    waitFor(() => httpd.log.matching(/in hand/).length === count, { what: 'a request in hand' });
  /** Asks again and again until it is told to stop; every answer has to be a good one. */
  const askOn = (url: string) => {
    let isRunning = true;
    const bodies = new Set<string>();
    const client = async () => {
      while (isRunning) {
        const { status, body } = await httpd.ask(url);
        expect(status).to.equal(200);
        bodies.add(body);
      }
    };
    const clients = Promise.all([client(), client(), client()]);
    clients.catch(() => undefined); // Seen by stop().
    return {
      bodies,
      stop: async () => {
        isRunning = false;
        await clients;
      },
    };
  };

  beforeEach(async () => {
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess site processes=2
TSGIScriptAlias /site @ROOT@/apps/site.js process-group=site
TSGIDaemonProcess calm
TSGIScriptAlias /calm @ROOT@/apps/calm.js process-group=calm
`,
    });
    httpd.log.allow(/TSGI0062/);
    httpd.write('site.js', hasty);
    httpd.write('calm.js', plain);
    await httpd.start();
    await httpd.ask('/site');
  });
  afterEach(() => httpd.stop());

  it('that is killed is replaced; requests in hand finish, new ones wait, none fails, twice in a row', async () => {
    const load = askOn('/site');
    for (let n = 1; n <= 2; n++) {
      const slow = httpd.ask('/site?ms=800');
      await inHand(n);
      const old = supervisor();
      const before = workers();
      process.kill(old, 'SIGKILL');
      const { status, complete } = await slow;
      expect([status, complete]).to.deep.equal([200, true]);
      await isSucceeded(old);
      await waitFor(() => before.every((pid) => !processOf(pid)), { what: 'the old workers' });
      await waitFor(() => workers().length === 2);
    }
    await load.stop();
    expect(load.bodies.size).to.be.greaterThan(2);
    expect(workers()).to.have.length(2);
  });

  it('that is killed lets its workers finish for graceful-timeout, as long as Apache lives', async () => {
    // Longer than what the death of Apache would leave them.
    const slow = httpd.ask('/site?ms=4000');
    await inHand(1);
    const old = supervisor();
    process.kill(old, 'SIGKILL');
    await isSucceeded(old);
    const { status, complete, body } = await slow;
    expect([status, complete]).to.deep.equal([200, true]);
    await waitFor(() => !processOf(Number(body)), { what: 'the end of the old worker' });
  });

  it('that is killed while it reloads leaves nobody behind, and the new code serves', async () => {
    const load = askOn('/site');
    const old = supervisor();
    const before = workers();
    httpd.write('site.js', `${hasty}// changed`);
    await waitFor(() => workers().some((pid) => !before.includes(pid)));
    const all = workers();
    process.kill(old, 'SIGKILL');
    await isSucceeded(old);
    await waitFor(() => all.every((pid) => !processOf(pid)), {
      what: 'the end of the old workers',
    });
    await waitFor(() => workers().length === 2);
    await load.stop();
  });

  it('may be stopped: requests are served, and a reload comes when it goes on', async () => {
    const [worker] = workers();
    const stopped = supervisor();
    process.kill(stopped, 'SIGSTOP');
    httpd.write('site.js', `${hasty}// changed`);
    for (let i = 0; i < 20; i++) expect((await httpd.ask('/site')).status).to.equal(200);
    await httpd.graceful();
    expect((await httpd.ask('/site')).status).to.equal(200);
    expect(workers()).to.include(worker);
    process.kill(stopped, 'SIGCONT');
    await waitFor(() => !workers().includes(worker ?? 0), { what: 'a reload' });
    expect(supervisor()).to.equal(stopped);
  });

  it('that gets SIGTERM lets its workers finish, then another takes its place, and nothing fails', async () => {
    const load = askOn('/site');
    const slow = httpd.ask('/site?ms=800');
    await inHand(1);
    const old = supervisor();
    process.kill(old, 'SIGTERM');
    expect((await slow).status).to.equal(200);
    await isSucceeded(old);
    await load.stop();
  });

  it('replaces a worker that gets SIGTERM at once, beside it while it finishes', async () => {
    const load = askOn('/calm');
    const old = Number(/\d+/.exec((await httpd.ask('/calm')).body)?.[0]);
    const slow = httpd.ask('/calm?ms=3000');
    await inHand(1);
    process.kill(old, 'SIGTERM');
    const fresh = await waitFor(async () => {
      const { body } = await httpd.ask('/calm');
      return body !== `pid ${String(old)}` && body;
    });
    expect(processOf(old), 'the old worker').to.not.equal(undefined);
    expect(fresh).to.match(/^pid \d+$/);
    expect((await slow).body).to.equal(`pid ${String(old)}`);
    await waitFor(() => !processOf(old));
    await load.stop();
    expect(httpd.log.matching(/TSGI0535/)).to.have.length(1);
  });
});
