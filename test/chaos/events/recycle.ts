import { waitFor } from '../../harness/wait.ts';
import type { AppRecord } from '../../harness/record.ts';
import type { ChaosEvent } from '../event.ts';

/** The fewest workers that were ready at once, from when all were for the first time. */
function fewestReady({ ready, drains }: AppRecord, count: number): number {
  const steps = [
    ...ready.map(({ at }) => ({ at, by: 1 })),
    ...drains.map(({ at }) => ({ at, by: -1 })),
  ].sort((a, b) => a.at - b.at || b.by - a.by);
  let now = 0;
  let fewest = Infinity;
  for (const { by } of steps) {
    now += by;
    if (now >= count || fewest < Infinity) fewest = Math.min(fewest, now);
  }
  return fewest;
}

export const recycling: ChaosEvent = {
  name: 'maximum-requests',
  goal: 'maximum-requests=500: 0 failed, never fewer than n−1 ready',
  full: 60,
  seconds: 0.9,
  site: { group: 'maximum-requests=500' },
  async run(arena) {
    const { site, times } = arena;
    const before = site.record.refresh().drains.length;
    await waitFor(() => site.record.refresh().drains.length >= before + times, {
      what: `${times} recycled workers`,
      timeoutMs: 10_000 + times * 5000,
    });
    return {
      judge({ record }) {
        const fewest = fewestReady(record, site.count);
        arena.note(`${record.drains.length} workers recycled, ${fewest} of ${site.count} ready`);
        if (fewest < site.count - 1) arena.fail(`only ${fewest} workers ready`);
      },
    };
  },
};
