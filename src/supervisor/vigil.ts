/** Kills workers that are blocked, or that give no sign of life: deadlock-timeout. */
import type { ErrorDetails } from '../errors.ts';
import type { BlockedMessage } from '../ipc/messages.ts';
import type { Context } from './context.ts';
import { LEVEL } from './log.ts';
import { seconds, type Reports } from './reports.ts';
import type { Slot } from './slot.ts';
import type { Worker } from './worker.ts';

/** How long between two looks at most; the watch thread of a worker beats as often. */
const LONGEST_PERIOD_MS = 5_000;

export class Vigil {
  readonly #context: Context;
  readonly #reports: Reports;
  readonly #slots: readonly Slot[];
  readonly #limitMs: number;
  readonly #periodMs: number;
  #lookedAt = 0;

  constructor(context: Context, reports: Reports, slots: readonly Slot[]) {
    this.#context = context;
    this.#reports = reports;
    this.#slots = slots;
    this.#limitMs = context.options.deadlockTimeoutMs;
    this.#periodMs = Math.min(this.#limitMs / 4, LONGEST_PERIOD_MS);
  }

  onBeat(worker: Worker): void {
    worker.heardAt = this.#context.now();
  }

  /** Its watch thread says that its event loop does not turn. */
  onBlocked(worker: Worker, { stack, native }: BlockedMessage): void {
    if (worker.killedBy !== undefined) return;
    const where = stack?.slice(0, stack.indexOf('\n') + 1 || undefined).trim();
    const details = { where: where ?? '', native: native ?? 'nothing is known' };
    this.#kill(worker, where ? 525 : 526, details);
    this.#reports.stack(worker, stack);
  }

  /** What is due by time. @returns when it has to be called again. */
  duties(now: number): number {
    const workers = this.#slots.flatMap((slot) => [...slot.workers()]);
    const heard = workers.filter((worker) => worker.heardAt !== undefined && !worker.killedBy);
    // Was it this process that did not run? What workers said meanwhile may not have come yet.
    if (now - this.#lookedAt > 2 * this.#periodMs) for (const worker of heard) worker.heardAt = now;
    this.#lookedAt = now;
    for (const worker of heard) {
      if (now - (worker.heardAt ?? now) < this.#limitMs) continue;
      this.#kill(worker, 527, {});
    }
    return heard.length > 0 ? now + this.#periodMs : Infinity;
  }

  #kill(worker: Worker, code: 525 | 526 | 527, details: ErrorDetails): void {
    const limit = { seconds: seconds(this.#limitMs) };
    this.#reports.worker(LEVEL.error, code, worker, { ...limit, ...details });
    worker.killedBy = code;
    worker.process.killGroup();
  }
}
