/** What the supervisor knows of one worker process. */
import type { ErrorNumber } from '../errors.ts';
import type { FailedMessage } from '../ipc/messages.ts';
import type { Allowance } from './allowance.ts';
import type { Life } from './recycling.ts';
import type { RenewalReason } from './renewal.ts';
import type { Slot } from './slot.ts';
import type { WorkerProcess } from './spawn.ts';
import type { Stateful, WorkerState } from './states.ts';

/** Characters of stderr that are kept while a worker boots, to name the cause if it dies. */
const MAX_TAIL = 64 * 1024;

/** How a worker ended, in words: `exit status 1`, `signal SIGKILL`. */
export function describeExit(status: number | null, signal: string | null): string {
  return signal === null ? `exit status ${String(status)}` : `signal ${signal}`;
}

/**
 * @returns the line of a worker's stderr that most likely names the cause: the last that begins
 * like an error of Node's, else the last that is not empty.
 */
export function findCause(lines: readonly string[]): string | undefined {
  const isError = (line: string): boolean =>
    /^(Uncaught )?[\w.]*(Error|Exception)\b.*: /.test(line);
  return lines.findLast(isError) ?? lines.findLast((line) => line.trim() !== '');
}

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
  /** The N of the TSGI<N> that said that, and why, it is killed. */
  killedBy: ErrorNumber | undefined;
  readonly life: Life;
  /** Why it boots beside the one that serves; undefined once it has the slot to itself. */
  renews: RenewalReason | undefined;
  failure: FailedMessage | undefined;
  #tail: string[] = [];
  #tailLength = 0;

  constructor(slot: Slot, label: string, life: Life) {
    this.slot = slot;
    this.label = label;
    this.life = life;
  }

  /** Notes a line of stderr. */
  remember(line: string): void {
    this.#tail.push(line);
    this.#tailLength += line.length;
    while (this.#tailLength > MAX_TAIL) this.#tailLength -= this.#tail.shift()?.length ?? 0;
  }

  /** The most telling line of its stderr. */
  get cause(): string | undefined {
    return findCause(this.#tail);
  }
}
