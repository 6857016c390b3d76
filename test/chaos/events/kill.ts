import { median } from '../../../bench/stats.ts';
import type { Result } from '../../harness/load.ts';
import { processOf } from '../../harness/processes.ts';
import type { AppRecord } from '../../harness/record.ts';
import { waitFor } from '../../harness/wait.ts';
import type { Arena, ChaosEvent, Results } from '../event.ts';
import { clientPorts, isAlive, limits, type Site } from '../site.ts';

export interface Kill {
  readonly pid: number;
  /** Date.now(). */
  readonly at: number;
}

const pause = async (until: number): Promise<void> => {
  await waitFor(() => performance.now() >= until, { timeoutMs: 60_000 });
};

export function pick<T>(list: readonly T[]): T {
  const one = list[Math.floor(Math.random() * list.length)];
  if (one === undefined) throw new Error('nobody there to be picked');
  return one;
}

/** From each kill to the next worker that got ready, less what that one's own start took. */
function delays(kills: readonly Kill[], record: AppRecord): number[] {
  return kills.flatMap(({ at }) => {
    const next = record.ready.find((ready) => ready.at - ready.bootMs >= at);
    return next ? [next.at - next.bootMs - at] : [];
  });
}

const INTERVAL_MS = 2000;
const START_LIMIT_MS = 250;
/** What a victim may wait for its 502. */
const HANG_MS = 1000;

/**
 * The kill that a request fell victim to: its worker's app had begun it; or it is one without a body, which
 * is not announced by STARTED, and the worker had read it; or its worker had sent STARTED, and died before
 * the app could note it. (A POST that was not begun goes to another worker.)
 */
export function killOf(
  kills: readonly Kill[],
  { id, at, status }: Result,
  record: AppRecord,
): Kill | undefined {
  const begunBy = record.begunBy(id);
  if (begunBy !== undefined) return kills.find(({ pid }) => pid === begunBy);
  if (status !== 502) return undefined;
  return kills.findLast((kill) => at >= kill.at && at <= kill.at + 2 * HANG_MS);
}

export const killWorker: ChaosEvent = {
  name: 'kill-worker',
  goal: 'only requests it had begun fail, as 502 within 1 s; replaced within boot + 250 ms',
  short: 2,
  full: 100,
  seconds: 2,
  log: [/TSGI0(174|184|186|5\d\d|20\d)/],
  async run(arena) {
    const { site, load, times, isTimed } = arena;
    const kills: Kill[] = [];
    for (let i = 0; i < times; i++) {
      const next = performance.now() + (isTimed ? INTERVAL_MS : 0);
      const pid = pick(site.ready());
      kills.push({ pid, at: Date.now() });
      process.kill(pid, 'SIGKILL');
      await waitFor(() => processOf(pid) === undefined);
      await pause(next);
      if (!isTimed) await site.settled();
    }
    await site.settled();
    await load.served(100);
    return {
      excuses: (failure, { record }) =>
        (failure.outcome === 'truncated' || failure.status === 502) &&
        killOf(kills, failure, record) !== undefined,
      judge: (results) => {
        judgeKills(arena, kills, results);
      },
    };
  },
};

/** How long the victims waited, and how soon the next worker was there. */
function judgeKills(arena: Arena, kills: readonly Kill[], { failures, record }: Results): void {
  const waits = failures.flatMap((failure) => {
    const kill = killOf(kills, failure, record);
    return kill ? [failure.at - kill.at] : [];
  });
  // A worker is between STARTED and the app with one request at a time.
  const unnoted = failures
    .filter(({ id, kind }) => kind === 'post' && record.begunBy(id) === undefined)
    .map((failure) => killOf(kills, failure, record));
  if (new Set(unnoted).size < unnoted.length) {
    arena.fail(`${unnoted.length} POST got 502 that the app had not begun`);
  }
  const slow = waits.filter((ms) => ms > HANG_MS).length;
  if (slow > 0) arena.failTimed(`${slow} victims waited longer than 1 s`);
  const starts = delays(kills, record);
  const start = median(starts);
  const boot = median(record.ready.map(({ bootMs }) => bootMs));
  arena.note(
    `${waits.length} victims, answered after ${Math.max(0, ...waits)} ms at most; ` +
      `the next worker started ${start.toFixed(0)} ms after and took ${boot.toFixed(0)} ms (medians)`,
  );
  if (starts.length < kills.length) arena.fail('a killed worker was not replaced');
  if (start > START_LIMIT_MS)
    arena.failTimed(`the next worker starts only after ${start.toFixed(0)} ms`);
}

/** Supervisors that die faster are started more and more slowly. */
export const SOUND_MS = 10_500;
const SUCCESSOR_MS = 1500;

export const killSupervisor: ChaosEvent = {
  name: 'kill-supervisor',
  goal: '0 failed; a new one within 1.5 s, ready one boot later; no orphan',
  short: 1,
  full: 5,
  seconds: 11,
  log: [/TSGI0(0\d\d|1[0-4]\d|186|5\d\d)/],
  async run(arena) {
    const { site, load, times, isTimed } = arena;
    const started: number[] = [];
    const ready: number[] = [];
    for (let i = 0; i < times; i++) {
      const next = performance.now() + (isTimed && i + 1 < times ? SOUND_MS : 0);
      const old = pick(site.supervisors());
      const orphans = site.workers();
      const since = performance.now();
      process.kill(old.pid, 'SIGKILL');
      await waitFor(() => site.supervisors().some(({ pid }) => pid !== old.pid), {
        what: 'a new supervisor',
      });
      started.push(performance.now() - since);
      const dying = new Set(orphans.map(({ pid }) => pid));
      await waitFor(() => site.ready().filter((pid) => !dying.has(pid)).length >= site.count, {
        what: 'its workers',
        timeoutMs: 30_000,
      });
      ready.push(performance.now() - since);
      await waitFor(() => !orphans.some(isAlive), { what: 'the end of the old workers' });
      await load.served(100);
      await pause(next);
    }
    arena.note(
      `new one after ${median(started).toFixed(0)} ms, its workers ready after ${median(ready).toFixed(0)} ms; no orphan`,
    );
    if (median(started) > SUCCESSOR_MS) arena.failTimed('the new supervisor took too long');
    return undefined;
  },
};

/** Kills a child of httpd. @param lost takes the ports of the clients whose connections it had */
export async function killOneChild(site: Site, lost: Set<number>): Promise<void> {
  const child = pick(site.children());
  // Stopped first: nothing of its connections changes between the look at them and the kill.
  process.kill(child.pid, 'SIGSTOP');
  await waitFor(() => processOf(child.pid)?.state === 'T');
  for (const port of clientPorts(child.pid, site.httpd.port)) lost.add(port);
  process.kill(child.pid, 'SIGKILL');
  await waitFor(() => !isAlive(child));
}

const CHILDREN = 4;

export const killChild: ChaosEvent = {
  name: 'kill-child',
  goal: 'an Apache child: only its own clients notice',
  short: 1,
  full: 10,
  seconds: 2,
  // The children that are left have threads for everybody: httpd closes kept connections when it has not.
  site: { limits: limits(CHILDREN, (CHILDREN - 1) * 64) },
  log: [/TSGI0(182|7\d\d)/],
  async run(arena) {
    const { site, load, times } = arena;
    /** Ports of the clients whose child was killed. */
    const lost = new Set<number>();
    for (let i = 0; i < times; i++) {
      await killOneChild(site, lost);
      await load.served(300);
      await waitFor(() => site.children().length >= CHILDREN, { what: 'a child in its place' });
    }
    if (lost.size === 0) arena.fail('the killed children had no clients');
    arena.note(`${String(lost.size)} connections of clients were theirs`);
    return {
      excuses: ({ localPort, outcome }) =>
        lost.has(localPort) && ['idle', 'broken', 'truncated'].includes(outcome),
    };
  },
};

const GONE_MS = 5000;

export const killParent: ChaosEvent = {
  name: 'kill-parent',
  goal: 'no process of tsgi after 5 s, even with a blocked event loop; the next start works',
  full: 3,
  seconds: 7,
  load: { connections: 0, leaving: 0 },
  log: [/TSGI/, /AH00098/],
  async run({ site, times, fail, note }) {
    let longest = 0;
    for (let i = 0; i < times; i++) {
      const [ours, children] = [site.ours(), site.children()];
      const id = `block-${String(i)}`;
      const blocked = site.httpd.ask(`/site/?id=${id}&do=block&n=20000`).catch(() => undefined);
      await waitFor(() => site.record.refresh().begunBy(id) !== undefined);
      const stopped = pick(site.workers());
      process.kill(stopped.pid, 'SIGSTOP');
      const since = performance.now();
      process.kill(site.httpd.pid, 'SIGKILL');
      await site.httpd.exited;
      await waitFor(() => !ours.some(isAlive), { what: 'the end of ours', timeoutMs: 20_000 });
      const took = performance.now() - since;
      longest = Math.max(longest, took);
      if (took > GONE_MS) fail(`ours were there for ${took.toFixed(0)} ms`);
      for (const child of children) if (isAlive(child)) process.kill(child.pid, 'SIGKILL');
      await blocked;
      await waitFor(() => !children.some(isAlive));
      await site.httpd.start();
      if ((await site.httpd.ask('/site/')).status !== 200) fail('does not serve again');
      await site.settled();
    }
    note(`all gone after ${longest.toFixed(0)} ms at most`);
    return undefined;
  },
};
