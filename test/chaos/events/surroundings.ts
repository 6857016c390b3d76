/** What the machine does to the processes: logs that fill, descriptors that run out, a clock that jumps. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ordinary } from '../../harness/httpd.ts';
import { isRoot } from '../../harness/place.ts';
import { fdsOf } from '../../harness/processes.ts';
import { waitFor } from '../../harness/wait.ts';
import type { Arena, ChaosEvent } from '../event.ts';
import { isAlive, type Site } from '../site.ts';

/** Lines that were dropped, since nobody took them or since there were too many. */
const DROPS = /TSGI0(509|540)/;

export const output: ChaosEvent = {
  name: 'app-output',
  goal: "an app that floods, truncates its streams, reads nothing: Apache's log unharmed, app not blocked, drops counted",
  full: 5,
  seconds: 6,
  log: [/\[site \d+ (out|err)\]/, /TSGI0(509|54\d|182)/],
  async run(arena) {
    const { site, load, times } = arena;
    const log = join(site.httpd.dir, 'error.log');
    const { ino } = statSync(log);
    for (let i = 0; i < times; i++) {
      const { size } = statSync(log);
      const drops = site.httpd.log.matching(DROPS).length;
      const [reader] = site.httpd.processes(/^tsgi: log/);
      if (!reader) throw new Error('expected a log process');
      process.kill(reader.pid, 'SIGSTOP');
      try {
        await site.httpd.ask('/site/?do=flood&n=4');
        await site.httpd.ask('/site/?do=truncate');
        await load.served(300);
      } finally {
        process.kill(reader.pid, 'SIGCONT');
      }
      await site.logged(DROPS, drops + 1);
      // The client gives up; until then the app neither reads nor answers. By a reset: an orderly end would
      // stand behind bytes for which Apache has no room.
      const upload = await site.httpd.raw(
        'POST /site/?body=unread HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n' +
          'u'.repeat(5_000_000),
      );
      await load.served(300);
      upload.socket.resetAndDestroy();
      const now = statSync(log);
      if (now.ino !== ino || now.size < size) arena.fail("Apache's log was replaced or cut");
    }
    return undefined;
  },
};

const setLimit = (pid: number, files: string): void => {
  // As the child's own user: in a container not even root may do it to others.
  const identity = isRoot ? { uid: ordinary.uid, gid: ordinary.gid } : {};
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${files}:`], identity);
};

/** The worker that answers this one. */
const victimOf = async (site: Site, id: string): Promise<number> => {
  await site.httpd.ask(`/site/?id=${id}&do=exhaust`);
  const pid = site.record.refresh().begunBy(id);
  if (pid === undefined) throw new Error('the request left no trace');
  return pid;
};

const RECOVERY_MS = 1000;
/** httpd ends a child that cannot accept, and takes up to a second each to see and to replace it. */
const CHILD_RECOVERY_MS = 3000;

export const descriptors: ChaosEvent = {
  name: 'descriptors',
  goal: 'none left in an Apache child or a worker: 503 or 502, good again within 1 s (a child: 3 s)',
  full: 3,
  seconds: 8,
  site: { group: 'limit-files=256', config: 'MaxKeepAliveRequests 0' },
  load: { leaving: 0 },
  log: [/TSGI0\d\d\d/, /Too many open files/],
  needs: () => (existsSync('/usr/bin/prlimit') ? undefined : 'prlimit (package util-linux)'),
  async run(arena) {
    const { site, load, times } = arena;
    const recovers = async (what: string, limitMs: number, mend: () => unknown): Promise<void> => {
      await mend();
      const since = performance.now();
      await load.served(100);
      const took = performance.now() - since;
      arena.note(`${what}: 100 good answers within ${took.toFixed(0)} ms after`);
      if (took > limitMs) arena.failTimed(`${what} recovers too slowly`);
      const failed = load.progress.failed;
      await load.served(500);
      if (load.progress.failed > failed) arena.fail(`still fails after a lack in ${what}`);
    };
    const spells: { from: number; to: number }[] = [];
    for (let i = 0; i < times; i++) {
      const from = Date.now();
      const children = site.children();
      for (const { pid } of children) setLimit(pid, '8');
      const [pid = 0] = site.ready();
      process.kill(pid, 'SIGKILL'); // the connections to its successor need descriptors
      await waitFor(() => !site.ready().includes(pid));
      await site.settled();
      await load.served(100);
      await recovers('a child', CHILD_RECOVERY_MS, () => {
        for (const child of children.filter(isAlive)) setLimit(child.pid, '1024');
      });
      const victim = await victimOf(site, `exhaust-${i}`);
      const open = () => Object.keys(fdsOf(victim)).length;
      if (open() < 200) arena.fail(`expected a lack of descriptors, ${open()} are open`);
      await load.served(300);
      // Several at once reach both workers; the other one has nothing to release.
      const release = async () => {
        const asks = Array.from({ length: 8 }, () => site.httpd.ask('/site/?do=release'));
        await Promise.all(asks);
        return open() < 200;
      };
      await recovers('a worker', RECOVERY_MS, () =>
        waitFor(release, { what: 'descriptors of the worker' }),
      );
      spells.push({ from, to: Date.now() });
    }
    return {
      excuses: ({ status, at, outcome }) =>
        (status === 503 || status === 502 || outcome === 'broken' || outcome === 'idle') &&
        spells.some(({ from, to }) => at >= from && at <= to),
    };
  },
};

const FAKETIME = [
  '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1',
  '/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1',
  '/usr/lib64/faketime/libfaketimeMT.so.1',
].find((path) => existsSync(path));

const HOURS = ['+1h', '-1h', '+0'];

/** Processes take what the file says for the time; the monotonic clock is left alone. */
function fakeTime(): Readonly<NodeJS.ProcessEnv> & { readonly FAKETIME_TIMESTAMP_FILE: string } {
  const dir = mkdtempSync(join(tmpdir(), 'tsgi-clock-'));
  chmodSync(dir, 0o755);
  process.on('exit', () => {
    rmSync(dir, { recursive: true, force: true });
  });
  return {
    LD_PRELOAD: FAKETIME ?? '',
    FAKETIME_TIMESTAMP_FILE: join(dir, 'time'),
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  };
}

/** Sets the clock to each of the hours in turn. */
async function jump({ site, load, times }: Arena, look?: () => Promise<void>): Promise<void> {
  const path = site.options.environment?.['FAKETIME_TIMESTAMP_FILE'] ?? '';
  for (let i = 0; i < times; i++) {
    for (const hour of HOURS) {
      writeFileSync(path, `${hour}\n`);
      await load.served(500);
      await look?.();
    }
  }
}

export const clock: ChaosEvent = {
  name: 'clock',
  goal: 'the clock jumps by an hour forth and back: no timeout fires, no reload, 0 failed',
  full: 3,
  seconds: 10,
  needs: () => (FAKETIME === undefined ? 'libfaketime (package libfaketime)' : undefined),
  site() {
    const environment = fakeTime();
    const path = environment.FAKETIME_TIMESTAMP_FILE;
    writeFileSync(path, '+0\n');
    // Supervisors begin with a clean environment, so node brings its own.
    const node = join(path, '../node');
    const words = Object.entries(environment).map(([name, value]) => `${name}='${value ?? ''}'`);
    writeFileSync(node, `#!/bin/sh\nexec env ${words.join(' ')} '${process.execPath}' "$@"\n`);
    chmodSync(node, 0o755);
    return { environment, node };
  },
  async run(arena) {
    const { site } = arena;
    const before = site.ours().map(({ pid }) => pid);
    const dates = new Set<string>();
    await jump(arena, async () => {
      const { headers } = await site.httpd.ask('/site/');
      dates.add(String(headers.date).replace(/:.*/, ''));
    });
    if (dates.size < 2)
      arena.fail('the clock of the processes did not jump: the event shows nothing');
    const after = site.ours().map(({ pid }) => pid);
    if (after.join() !== before.join()) arena.fail('a process was replaced');
    return undefined;
  },
  // httpd times kept connections by the clock.
  control: (arena) => jump(arena),
};
