/** Clients that go away. */
import { fdsOf, statusOf } from '../../harness/processes.ts';
import { waitFor } from '../../harness/wait.ts';
import type { ChaosEvent } from '../event.ts';
import type { Site } from '../site.ts';

interface Usage {
  readonly fds: number;
  readonly rssMiB: number;
}

const usageOf = (pid: number): Usage => ({
  fds: Object.keys(fdsOf(pid)).length,
  rssMiB: Number(statusOf(pid)['VmRSS']?.split(' ')[0]) / 1024,
});
const serving = (site: Site) => [...site.children(), ...site.workers()];

/** Descriptors that may come and go with pooled connections: in a child, one for each thread and worker. */
const FEW_FDS = 128;
/** What a heap may have grown to after a thousand more requests, and is no leak. */
const FEW_MIB = 48;

export const aborts: ChaosEvent = {
  name: 'aborts',
  goal: '10 000 aborted uploads and downloads: no leak of slots, fds, memory',
  full: 10_000,
  seconds: 0.006,
  load: { mix: 'aborting', leaving: 0 },
  log: [/TSGI0(18[1234]|7\d\d)/],
  async run(arena) {
    const { site, load, times } = arena;
    // Of an aborting client's requests every second one is not aborted, and is awaited.
    await load.served(Math.ceil(times / 10));
    await load.stop();
    const before = new Map(serving(site).map(({ pid }) => [pid, usageOf(pid)]));
    const crowd = arena.generate({
      path: '/site',
      connections: 64,
      mix: 'aborting',
      prefix: 'abort',
      record: site.recordPath,
    });
    await crowd.served(times, 120_000);
    const { aborted } = await crowd.stop();
    const grown = (of: keyof Usage) =>
      Math.max(
        ...[...before].map(([pid, usage]) => usageOf(pid)[of] - usage[of]), // a pid that has gone throws
      );
    await waitFor(() => grown('fds') <= FEW_FDS, { what: 'descriptors back at what they were' });
    const mib = grown('rssMiB');
    arena.note(`${aborted} aborted; fds ${grown('fds')} more, memory ${mib.toFixed(0)} MiB more`);
    if (mib > FEW_MIB) arena.fail(`a process grew by ${mib.toFixed(0)} MiB`);
    // Nothing is still held: they all get through. (With more of them httpd closes kept connections.)
    const after = arena.generate({
      path: '/site',
      connections: 60,
      mix: 'slow',
      slowMs: 100,
      prefix: 'after',
      record: site.recordPath,
    });
    await after.served(500);
    return undefined;
  },
};
