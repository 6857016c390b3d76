/** What the supervisor knows of one worker process. */
import type { ErrorNumber } from '../errors.ts';
import type { BootMessage, FailedMessage } from '../ipc/messages.ts';
import type { Allowance } from './allowance.ts';
import type { Life } from './recycling.ts';
import type { RenewalReason } from './renewal.ts';
import type { Slot } from './slot.ts';
import type { WorkerProcess } from './spawn.ts';
import type { Stateful, WorkerState } from './states.ts';

/** Characters of stderr that are kept, to name the cause if it dies. */
const MAX_TAIL = 64 * 1024;
/** What one that serves has written longer ago than this says nothing about its death. */
const LAST_WORDS_MS = 5_000;

/** How it was started, of what the failure of another may have taught. */
export type Launch = Pick<BootMessage, 'forceTsx' | 'clusterFork'>;

export class Worker implements Stateful<WorkerState> {
  state: WorkerState = 'booting';
  readonly slot: Slot;
  readonly label: string;
  /** Assigned right after the process was started. */
  process!: WorkerProcess;
  /** What it may write to the log, by whatever way. Assigned right after it was made. */
  allowance!: Allowance;
  /** When it said that it is ready; undefined before. On the loop's clock, as all times here. */
  readyAt: number | undefined;
  /** When it is killed if it is still booting or draining then. */
  deadline = Infinity;
  /** The time it was given until the deadline, as its owner wrote it; for the log. */
  limitMs = 0;
  /** When its watch thread last said that it runs; undefined before the first time. */
  heardAt: number | undefined;
  /** The N of the TSGI<N> that said that, and why, it is killed. */
  killedBy: ErrorNumber | undefined;
  readonly life: Life;
  readonly launch: Launch;
  /** Why it boots beside the one that serves; undefined once it has the slot to itself. */
  renews: RenewalReason | undefined;
  failure: FailedMessage | undefined;
  #tail: { readonly at: number; readonly line: string }[] = [];
  #tailLength = 0;

  constructor(slot: Slot, label: string, life: Life, launch: Launch = { forceTsx: false }) {
    this.slot = slot;
    this.label = label;
    this.life = life;
    this.launch = launch;
  }

  /** Notes a line of stderr. */
  remember(line: string, now: number): void {
    this.#tail.push({ at: now, line });
    this.#tailLength += line.length;
    while (this.#tailLength > MAX_TAIL) this.#tailLength -= this.#tail.shift()?.line.length ?? 0;
  }

  /** The lines of stderr that may tell why it dies now. */
  lastWords(now: number): string[] {
    const since = this.readyAt === undefined ? -Infinity : now - LAST_WORDS_MS;
    return this.#tail.filter(({ at }) => at >= since).map(({ line }) => line);
  }
}
