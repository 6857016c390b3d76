/** Faults of all kinds, at random and over each other: what no event by itself shows. */
import { processOf } from '../../harness/processes.ts';
import { waitFor } from '../../harness/wait.ts';
import type { ChaosEvent } from '../event.ts';
import { isAlive, limits, type Site } from '../site.ts';
import { killOf, killOneChild, pick, SOUND_MS, type Kill } from './kill.ts';
import { wait } from './stop.ts';

/** What the faults have done, and do. */
class Harm {
  readonly kills: Kill[] = [];
  /** Ports of clients whose child of httpd was killed. */
  readonly lost = new Set<number>();
  isBroken = false;
  /** When the last supervisor was killed. */
  supervisorAt = -Infinity;
}

interface Fault {
  readonly name: string;
  /** Whether nobody may notice it now: of two workers one may be away, and somebody must have code that runs. */
  readonly isFair?: (site: Site, harm: Harm) => boolean;
  /** Resolves when it is over. */
  readonly inject: (site: Site, harm: Harm) => Promise<void> | void;
}

const between = (low: number, high: number): number => low + Math.random() * (high - low);

const isWhole = (site: Site): boolean =>
  site.ready().length >= site.count && site.supervisors().length === 1;
const isSpare = (site: Site, { isBroken }: Harm): boolean => !isBroken && isWhole(site);

const faults: readonly Fault[] = [
  {
    name: 'touch',
    inject(site) {
      site.touch();
    },
  },
  {
    name: 'broken code',
    isFair: isSpare,
    async inject(site, harm) {
      harm.isBroken = true;
      site.write('throw new Error("broken on purpose");');
      await wait(between(500, 2000));
      site.write();
      harm.isBroken = false;
    },
  },
  {
    name: 'graceful',
    // Nobody waits for its end: httpd takes several signals during one restart for one.
    inject(site) {
      site.httpd.signal('SIGUSR1');
    },
  },
  {
    name: 'kill a worker',
    isFair: isSpare,
    async inject(site, { kills }) {
      const pid = pick(site.ready());
      kills.push({ pid, at: Date.now() });
      process.kill(pid, 'SIGKILL');
      await waitFor(() => processOf(pid) === undefined);
    },
  },
  {
    name: 'stop a worker',
    isFair: isSpare,
    async inject(site) {
      const pid = pick(site.ready());
      const stopped = site.workers().find((one) => one.pid === pid);
      process.kill(pid, 'SIGSTOP');
      await wait(between(500, 5000));
      if (stopped && isAlive(stopped)) process.kill(pid, 'SIGCONT');
    },
  },
  {
    name: 'block an event loop',
    async inject(site) {
      const ms = between(500, 3000).toFixed(0);
      await site.httpd.ask(`/site/?do=block&n=${ms}`).catch(() => undefined);
    },
  },
  {
    name: 'kill the supervisor',
    isFair: (site, harm) => isSpare(site, harm) && performance.now() - harm.supervisorAt > SOUND_MS,
    async inject(site, harm) {
      const supervisor = pick(site.supervisors());
      harm.supervisorAt = performance.now();
      process.kill(supervisor.pid, 'SIGKILL');
      await waitFor(() => !isAlive(supervisor));
    },
  },
  {
    name: 'kill a child of httpd',
    inject: (site, { lost }) => killOneChild(site, lost),
  },
  {
    name: 'flood the log',
    async inject(site) {
      await site.httpd.ask('/site/?do=flood&n=1').catch(() => undefined);
    },
  },
];

/** Longer than any time limit that a request may meet on its way. */
const PATIENCE_MS = 20_000;

export const random: ChaosEvent = {
  name: 'random',
  goal: 'faults at random, over each other: only victims of kills fail, none waits over 20 s, 0 POST run twice, nothing left',
  full: 300,
  seconds: 1.2,
  site: { limits: limits(4) },
  log: [/TSGI/, /\[site \d+ (out|err|host)\]/],
  async run(arena) {
    const { site, load, times } = arena;
    const harm = new Harm();
    const schedule: string[] = [];
    const since = performance.now();
    const underWay = new Set<Promise<void>>();
    for (let i = 0; i < times && !arena.failed; i++) {
      const fault = pick(faults.filter(({ isFair }) => isFair?.(site, harm) ?? true));
      schedule.push(`${((performance.now() - since) / 1000).toFixed(1)} ${fault.name}`);
      const one = Promise.resolve(fault.inject(site, harm))
        .catch((error: unknown) => {
          arena.fail(`${fault.name}: ${error instanceof Error ? error.message : String(error)}`);
        })
        .finally(() => underWay.delete(one));
      underWay.add(one);
      await Promise.race([wait(between(100, 2000)), one.then(() => wait(between(0, 1000)))]);
      while (underWay.size > 2) await Promise.race(underWay);
    }
    await Promise.all(underWay);
    await site.settled();
    await load.served(300);
    // All that was replaced has gone, and no more than it should has come.
    await waitFor(() => site.workers().length === site.count && site.supervisors().length === 1, {
      what: `${String(site.count)} workers and a supervisor`,
      timeoutMs: 30_000,
    });
    const count = (name: string) => schedule.filter((line) => line.endsWith(name)).length;
    arena.note(faults.map(({ name }) => `${name} ${String(count(name))}`).join(', '));
    const { kills, lost } = harm;
    return {
      excuses: (failure, { record }) =>
        failure.outcome === 'idle' || // httpd closes them at its restarts
        (lost.has(failure.localPort) && ['broken', 'truncated'].includes(failure.outcome)) ||
        ((failure.outcome === 'truncated' || failure.status === 502) &&
          killOf(kills, failure, record) !== undefined),
      judge({ reports }) {
        const late = reports.flatMap((report) => report.late).filter(({ ms }) => ms > PATIENCE_MS);
        if (late.length > 0) arena.fail(`${late.length} requests took over 20 s`);
        if (arena.failed) arena.note(`schedule, in seconds: ${schedule.join(', ')}`);
      },
    };
  },
};
