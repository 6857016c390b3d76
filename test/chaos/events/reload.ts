import { waitFor } from '../../harness/wait.ts';
import type { Arena, ChaosEvent } from '../event.ts';
import { isAlive } from '../site.ts';

/** Requests that go through per reload: the goal speaks of 200 reloads and 200 000 requests. */
const PER_RELOAD = 1000;

/** Touches the script and waits for fresh workers. @returns how long until all were ready. */
async function reload({ site }: Arena): Promise<number> {
  const before = site.record.refresh().ready.length;
  const since = Date.now();
  site.touch();
  await waitFor(() => site.record.refresh().ready.length >= before + site.count, {
    what: 'fresh workers',
    timeoutMs: 30_000,
  });
  return Date.now() - since;
}

export const reloads: ChaosEvent = {
  name: 'reload',
  goal: '0 failed, 0 POST run twice, p99 during ≤ 3 × before',
  short: 3,
  full: 200,
  seconds: 1.6,
  slower: 3,
  async run(arena) {
    const wanted = arena.load.progress.good;
    let total = 0;
    for (let i = 1; i <= arena.times; i++) {
      total += await reload(arena);
      if (!arena.isTimed) continue;
      await waitFor(() => arena.load.progress.good >= wanted + i * PER_RELOAD, {
        what: `${String(PER_RELOAD)} requests per reload`,
        timeoutMs: 60_000,
      });
    }
    arena.note(`all workers fresh after ${(total / arena.times).toFixed(0)} ms`);
    return undefined;
  },
};

/** Code that does not come to serve, and the line that says so. */
const broken = {
  throws: 'throw new Error("half deployed");',
  exits: 'process.exit(3);',
  hangs: 'for (;;);',
  'never listens': 'setInterval(() => undefined, 1000);',
} as const;

export const brokenReloads: ChaosEvent = {
  name: 'reload-broken',
  goal: 'new code that throws, exits, hangs, never listens: 0 failed, the old code serves',
  short: 1,
  full: 5,
  seconds: 9,
  site: { group: 'startup-timeout=2s' },
  log: [/TSGI0(512|505|507|60\d|61\d)/, /half deployed|site\.js|\bat |\^/],
  async run({ site, load, times, isTimed, fail }) {
    // The short form takes two that need not wait for startup-timeout.
    const kinds = Object.entries(broken).slice(0, isTimed ? 4 : 2);
    for (let i = 0; i < times; i++) {
      for (const [what, code] of kinds) {
        const before = site.workers();
        const stops = site.httpd.log.matching(/TSGI0512/).length;
        site.write(code);
        await site.logged(/TSGI0512/, stops + 1);
        await load.served(100);
        if (!before.every(isAlive)) fail(`code that ${what} took the old workers away`);
      }
      const old = site.workers();
      site.write();
      await waitFor(() => old.every((worker) => !isAlive(worker)), {
        what: 'the mended code in place of the old',
        timeoutMs: 30_000,
      });
    }
    return undefined;
  },
};
