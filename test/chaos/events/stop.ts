/** Workers that live but do nothing: stopped, or with a blocked event loop. */
import { waitFor } from '../../harness/wait.ts';
import type { Arena, ChaosEvent, Verdict } from '../event.ts';

/** From when a worker does nothing until new requests must not be given to it any more. */
const NOTICE_MS = 1000;

/** A time in which one of the workers did nothing. */
interface Gap {
  readonly from: number;
  readonly to: number;
}

export const wait = async (ms: number): Promise<void> => {
  const until = performance.now() + ms;
  await waitFor(() => performance.now() >= until, { timeoutMs: ms + 10_000 });
};

/** Judges that requests which came later than `NOTICE_MS` into a gap did not wait for its end. */
function elsewhere(arena: Arena, gaps: readonly Gap[]): Verdict {
  return {
    judge({ reports }) {
      const late = reports.flatMap((report) => report.late);
      const sentIn = ({ at, ms }: { at: number; ms: number }, from: number) =>
        gaps.some((gap) => at - ms >= gap.from + from && at - ms < gap.to);
      const newcomers = late.filter((result) => sentIn(result, NOTICE_MS)).length;
      arena.note(`${late.length} GET took over 1 s, ${newcomers} of them came 1 s after or later`);
      if (newcomers > 0) arena.failTimed(`${newcomers} new requests were given to it and waited`);
    },
  };
}

/** @param isEnough resolves when the worker may go on */
async function stopOne({ site }: Arena, isEnough: () => Promise<unknown>): Promise<Gap> {
  const [pid = 0] = site.ready();
  const from = Date.now();
  process.kill(pid, 'SIGSTOP');
  try {
    await isEnough();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  return { from, to: Date.now() };
}

export const stopWorker: ChaosEvent = {
  name: 'stop-worker',
  goal: 'SIGSTOP: new requests go elsewhere, only those it already had wait',
  full: 2,
  seconds: 12,
  log: [/TSGI0(186|176|182|7\d\d)/],
  async run(arena) {
    const gaps: Gap[] = [];
    for (let i = 0; i < arena.times; i++) {
      gaps.push(await stopOne(arena, () => wait(10_000)));
      await arena.load.served(300);
    }
    return elsewhere(arena, gaps);
  },
};

export const blockLoop: ChaosEvent = {
  name: 'block-loop',
  goal: 'event loop blocked for 10 s: new requests go elsewhere, only those it already had wait',
  full: 2,
  seconds: 12,
  log: [/TSGI0(186|176|182|7\d\d)/],
  async run(arena) {
    const gaps: Gap[] = [];
    for (let i = 0; i < arena.times; i++) {
      const from = Date.now();
      const { status } = await arena.site.httpd.ask('/site/?do=block&n=10000');
      if (status !== 200) arena.fail(`the request that blocks was answered ${status}`);
      gaps.push({ from, to: Date.now() });
      await arena.load.served(300);
    }
    return elsewhere(arena, gaps);
  },
};

export const takeBack: ChaosEvent = {
  name: 'take-back',
  goal: 'SIGSTOP, its POSTs are taken back and sent elsewhere, SIGCONT: 0 failed, 0 POST run twice',
  short: 1,
  full: 15,
  seconds: 4,
  load: { mix: 'posts', leaving: 0 },
  log: [/TSGI0(186|182|7\d\d)/],
  async run(arena) {
    const taken = () => arena.site.httpd.log.matching(/TSGI0186/).length;
    for (let i = 0; i < arena.times; i++) {
      const before = taken();
      const isOne = () => waitFor(() => taken() > before, { what: 'a request that is taken back' });
      await stopOne(arena, arena.isTimed ? () => wait(3000) : isOne);
      await arena.load.served(200);
    }
    arena.note(`${taken()} requests went to another worker`);
    if (taken() === 0) arena.fail('no request was taken back: the event shows nothing');
    return undefined;
  },
};
