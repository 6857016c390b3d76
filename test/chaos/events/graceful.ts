import { processOf } from '../../harness/processes.ts';
import { waitFor } from '../../harness/wait.ts';
import type { Arena, ChaosEvent } from '../event.ts';
import type { Site } from '../site.ts';

const pidsOf = (site: Site, group: string) =>
  [...site.supervisors(group), ...site.workers(group)].map(({ pid }) => pid).sort();

/** httpd starts its children within a second after a graceful restart; a load shall go on in between. */
const INTERVAL_MS = 1000;

async function restarts({ site, load, times, isTimed }: Arena): Promise<void> {
  for (let i = 0; i < times; i++) {
    const next = performance.now() + (isTimed ? INTERVAL_MS : 0);
    await site.httpd.graceful();
    await load.served(50);
    await waitFor(() => performance.now() >= next);
  }
}

export const gracefuls: ChaosEvent = {
  name: 'graceful',
  goal: 'configuration unchanged: 0 failed, pids unchanged',
  short: 3,
  full: 100,
  seconds: 1.2,
  async run(arena) {
    const before = pidsOf(arena.site, 'site');
    await restarts(arena);
    const after = pidsOf(arena.site, 'site');
    if (after.join() !== before.join())
      arena.fail(`pids were ${before.join()}, are ${after.join()}`);
    else arena.note(`${String(before.length)} pids unchanged`);
    return undefined;
  },
  control: restarts,
};

/**
 * The groups of one round: `kept` is always the same, `changed` has another environment each time, and
 * /moved goes from a group that is removed to one that is added.
 */
const groups = (site: Site, round: number) =>
  site.groupOf('kept', 'kept') +
  site.groupOf('changed', 'changed', `env=ROUND=${String(round)}`) +
  site.groupOf(`moved-${String(round)}`, 'moved');

async function changes(arena: Arena, first: number): Promise<void> {
  const { site, load } = arena;
  for (let round = first; round < first + arena.times; round++) {
    site.httpd.configure(site.config(groups(site, round)));
    await site.httpd.graceful();
    await load.served(50);
  }
}

export const changedGroups: ChaosEvent = {
  name: 'graceful-changed',
  goal: 'a changed, an added, a removed group: 0 failed in every group',
  full: 20,
  seconds: 2.5,
  load: { connections: 16 },
  log: [/TSGI0508/],
  async run(arena) {
    const { site } = arena;
    await changes({ ...arena, times: 1 }, 0); // so that there is something to be removed
    const kept = await waitFor(() => {
      const pids = pidsOf(site, 'kept');
      return pids.length === 2 ? pids : undefined;
    });
    const loads = ['kept', 'changed', 'moved'].map((path) =>
      arena.generate({
        path: `/${path}`,
        prefix: path,
        connections: 16,
        mix: 'site',
        slowMs: arena.isTimed ? 2000 : 300,
        record: site.recordPath,
      }),
    );
    await Promise.all(loads.map((load) => load.served(50)));
    await changes(arena, 1);
    await Promise.all(loads.map((load) => load.served(50)));
    if (pidsOf(site, 'kept').join() !== kept.join()) arena.fail('an unchanged group was replaced');
    // Nobody asks any more, so that the old children of httpd can go, and the old groups after them.
    await Promise.all([arena.load, ...loads].map((load) => load.stop()));
    const since = performance.now();
    const expected = 4 * 2 + site.count - 1;
    await waitFor(() => groupProcesses(site).length === expected, {
      what: `the end of old groups: ${groupProcesses(site)
        .map((pid) => processOf(pid)?.title ?? '')
        .join(', ')}`,
      timeoutMs: 60_000,
    });
    arena.note(`old groups gone ${((performance.now() - since) / 1000).toFixed(1)} s after`);
    return undefined;
  },
  control: (arena) => changes(arena, 1000),
};

const groupProcesses = (site: Site): number[] =>
  site.httpd.processes(/^tsgi: (worker|supervisor)/).map(({ pid }) => pid);
