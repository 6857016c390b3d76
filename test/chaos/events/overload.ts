/** More than a group can do, and a group that does nothing. */
import { Histogram } from '../../harness/histogram.ts';
import type { Result } from '../../harness/load.ts';
import { waitFor } from '../../harness/wait.ts';
import type { ChaosEvent } from '../event.ts';
import type { Generator } from '../generator.ts';
import { STATIC_SIZE } from '../site.ts';

const REFUSAL_MS = 50;
const isRefusal = ({ status, detail }: Result): boolean =>
  status === 503 && /^Retry-After: \d+ /.test(detail);

/** Good answers per second over so many seconds. */
async function rate(load: Generator, seconds: number): Promise<number> {
  const [since, before] = [performance.now(), load.progress.good];
  await waitFor(() => performance.now() - since >= seconds * 1000, {
    timeoutMs: (seconds + 10) * 1000,
  });
  return ((load.progress.good - before) * 1000) / (performance.now() - since);
}

/** Each request takes so long; with 2 × 4 at once the group does 160 a second. */
const TASK_MS = 50;
const CAPACITY = 8;

export const overload: ChaosEvent = {
  name: 'overload',
  goal: '10 × overload: accepted ones succeed, the rest 503 in < 50 ms, full speed 2 s after',
  short: 2,
  full: 60, // seconds
  seconds: 1,
  site: { group: 'concurrency=4 queue-size=8' },
  load: { mix: 'slow', slowMs: TASK_MS, connections: CAPACITY, leaving: 0 },
  log: [/TSGI019\d/],
  async run(arena) {
    const { load, site, times } = arena;
    const seconds = arena.isTimed ? 3 : 1;
    const before = await rate(load, seconds);
    // With a pause of 75 ms after each refusal these ask ten times what the group can do.
    const crowd = arena.generate({
      path: '/site',
      connections: 120,
      mix: 'slow',
      slowMs: TASK_MS,
      pauseMs: 75,
      prefix: 'crowd',
      record: site.recordPath,
    });
    await rate(crowd, times);
    const { requests, good, refusals } = await crowd.stop();
    await rate(load, 2);
    const after = await rate(load, seconds);
    const times503 = Histogram.from(refusals);
    arena.note(
      `${(requests / times).toFixed(0)} requests/s, ${(good / times).toFixed(0)}/s accepted; 503 after ` +
        `${times503.quantile(0.5).toFixed(1)} ms (median), ${times503.quantile(0.99).toFixed(0)} ms (p99); ` +
        `${before.toFixed(0)} answers/s before, ${after.toFixed(0)} after`,
    );
    if (times503.count === 0) arena.fail('nothing was refused: no overload');
    if (times503.quantile(0.5) >= REFUSAL_MS) arena.failTimed('refusals are slow');
    if (after < 0.9 * before) arena.failTimed('not back at full speed after 2 s');
    return { excuses: isRefusal };
  },
};

const HELD = 'held';
const WINDOW_S = 1;

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;

/** What each load reaches while the others pause: side by side one would gain what another loses. */
async function inTurn(loads: readonly Generator[], seconds: number): Promise<number[]> {
  const rates: number[] = [];
  for (const load of loads) {
    load.resume();
    await load.served(20); // its connections may have been closed meanwhile
    rates.push(await rate(load, seconds));
    load.pause();
  }
  return rates;
}

export const hang: ChaosEvent = {
  name: 'hang',
  goal: 'one group hangs completely: static files and other groups keep ≥ 90 % of their throughput',
  full: 20,
  seconds: 8 * WINDOW_S,
  load: { mix: 'plain', connections: 16, leaving: 0 },
  log: [/TSGI0(19\d|182)/],
  async run(arena) {
    const { site, load, times } = arena;
    site.httpd.configure(site.config(site.groupOf('stuck', 'stuck')));
    await site.httpd.graceful();
    await waitFor(() => site.ready('stuck').length === 1);
    const files = arena.generate({
      path: '/static.txt',
      connections: 16,
      mix: 'plain',
      staticSize: STATIC_SIZE,
    });
    const loads = [load, files];
    await files.served(100);
    for (const one of loads) one.pause();
    const crowd = arena.generate({
      path: '/stuck',
      connections: 200,
      mix: 'hang',
      pauseMs: 1000,
      prefix: HELD,
    });
    /** As many as may hold a thread do, since others are refused. */
    const fill = async () => {
      const { failed } = crowd.progress;
      crowd.resume();
      await waitFor(() => crowd.progress.failed > failed);
    };
    await fill();
    crowd.pause();
    const shares: number[][] = [[], []];
    for (let i = 0; i < times; i++) {
      const before = await inTurn(loads, WINDOW_S);
      await fill();
      const during = await inTurn(loads, WINDOW_S);
      crowd.pause();
      // The machine has others to serve: what it could have done is what it did before and after.
      const after = await inTurn(loads, WINDOW_S);
      during.forEach((now, of) => {
        if (now === 0) arena.fail('starved');
        shares[of]?.push((2 * now) / ((before[of] ?? 0) + (after[of] ?? 0)));
      });
    }
    const { failures } = await crowd.stop();
    if (!failures.some(({ status }) => status === 0)) arena.fail('nothing hung');
    for (const one of loads) one.resume();
    const late = (await files.stop()).late.length;
    const percent = (values: readonly number[]) =>
      `${(100 * median(values)).toFixed(0)} % (${values.map((n) => (100 * n).toFixed(0)).join(' ')})`;
    const [group = [], file = []] = shares;
    arena.note(
      `other group ${percent(group)}, static file ${percent(file)}: medians of ${String(times)}, each alone; ` +
        `${String(late)} files took over 1 s`,
    );
    if (median(group) < 0.9 || median(file) < 0.9) arena.failTimed('throughput below 90 %');
    return {
      excuses: (failure) =>
        failure.outcome === 'idle' || // of the graceful restart, and of pauses
        (failure.id.startsWith(HELD) && (isRefusal(failure) || failure.status === 0)),
    };
  },
};
