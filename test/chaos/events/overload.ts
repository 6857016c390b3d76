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

export const hang: ChaosEvent = {
  name: 'hang',
  goal: 'one group hangs completely: static files and other groups keep ≥ 90 % of their throughput',
  full: 10, // seconds
  seconds: 3,
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
    await files.served(100);
    const measure = () => Promise.all([load, files].map((one) => rate(one, times)));
    const before = await measure();
    const crowd = arena.generate({
      path: '/stuck',
      connections: 200,
      mix: 'hang',
      pauseMs: 1000,
      prefix: HELD,
    });
    await waitFor(() => crowd.progress.failed > 0 || site.record.refresh().size > 0);
    const during = await measure();
    const held = site.record.refresh().size;
    await crowd.stop();
    await Promise.all([load.served(100), files.served(100)]);
    const after = await measure();
    const late = (await files.stop()).late.length;
    // The machine has others to serve: what it could have done is what it did before and after.
    const shares = during.map((now, i) => (2 * now) / ((before[i] ?? 0) + (after[i] ?? 0)));
    const [site1 = 0, files1 = 0] = shares;
    arena.note(
      `other group ${(100 * site1).toFixed(0)} %, static file ${(100 * files1).toFixed(0)} % ` +
        `(${late} took over 1 s); ${during.map((n) => n.toFixed(0)).join(' and ')} a second`,
    );
    if (held === 0) arena.fail('nothing hung');
    if (Math.min(...during) === 0) arena.fail('starved');
    if (Math.min(...shares) < 0.9) arena.failTimed('throughput below 90 %');
    return {
      excuses: (failure) =>
        failure.outcome === 'idle' || // of the graceful restart
        (failure.id.startsWith(HELD) && (isRefusal(failure) || failure.status === 0)),
    };
  },
};
