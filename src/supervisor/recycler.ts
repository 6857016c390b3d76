/** Applies the limits of recycling.ts to the workers of an application group. */
import { errorLine } from '../errors.ts';
import type { StatsMessage } from '../ipc/messages.ts';
import type { Context } from './context.ts';
import { LEVEL } from './log.ts';
import { beginLife, HARD_FACTOR, isHopeless, judge, judgeAt, noteStats } from './recycling.ts';
import type { Renewal } from './renewal.ts';
import { seconds, type Reports } from './reports.ts';
import type { Slot } from './slot.ts';
import type { Worker } from './worker.ts';

/** How often the system is asked what workers use, where there is a limit. */
const SAMPLE_MS = 1_000;
/** A slot is not recycled for what its workers use more often than this: each start costs as well. */
const RESPITE_MS = 10_000;
const MIB = 1024 * 1024;

export interface RecyclerOptions {
  readonly context: Context;
  readonly slots: readonly Slot[];
  readonly renewal: Renewal;
  readonly reports: Reports;
  readonly isOnDemand: boolean;
  /** Ends the slot's worker; the next request starts another. */
  readonly sleep: (slot: Slot) => void;
}

export class Recycler {
  readonly #options: RecyclerOptions;
  #sampleAt = 0;

  constructor(options: RecyclerOptions) {
    this.#options = options;
  }

  onReady({ life, slot }: Worker): void {
    const { now, options } = this.#options.context;
    slot.recycleBackoff.reset();
    beginLife(life, options.limits, now());
  }

  onStats({ life }: Worker, { requests, inHand }: StatsMessage): void {
    noteStats(life, requests, inHand, this.#options.context.now());
  }

  /** The fresh worker of a recycle did not get ready, and that has been logged. */
  onFailure(slot: Slot): void {
    const { context, reports } = this.#options;
    const delay = slot.recycleBackoff.fail();
    slot.recycleAfter = context.now() + delay;
    const details = { ...reports.names(slot), seconds: seconds(delay) };
    context.log.host(LEVEL.error, errorLine(517, details));
  }

  /** What is due by time. @returns when it has to be called again. */
  duties(now: number): number {
    const { context, slots } = this.#options;
    const { memory, cpuMs } = context.options.limits;
    const isSampling = memory > 0 || cpuMs > 0;
    if (isSampling && now >= this.#sampleAt) {
      this.#sampleAt = now + SAMPLE_MS;
      for (const slot of slots) for (const worker of slot.workers()) this.#sample(worker);
    }
    let next = isSampling ? this.#sampleAt : Infinity;
    for (const slot of slots) next = Math.min(next, this.#review(slot, now));
    return next;
  }

  #sample(worker: Worker): void {
    const { context, reports } = this.#options;
    const { limits } = context.options;
    const { pid } = worker.process;
    const usage = pid === undefined ? undefined : context.usageOf(pid);
    if (!usage || worker.killedBy !== undefined) return;
    Object.assign(worker.life, usage);
    if (!isHopeless(worker.life, limits)) return;
    worker.killedBy = 516;
    const used = Math.round(usage.memory / MIB);
    const limit = Math.round(limits.memory / MIB);
    reports.worker(LEVEL.error, 516, worker, { used, limit, factor: HARD_FACTOR });
    worker.process.killGroup();
  }

  /** @returns when to look at the slot again. */
  #review(slot: Slot, now: number): number {
    const { context, renewal, isOnDemand, sleep } = this.#options;
    const { limits } = context.options;
    const worker = slot.current;
    if (slot.state !== 'ready' || !worker || slot.successor || renewal.has(slot)) return Infinity;
    const verdict = judge(worker.life, limits, now, isOnDemand);
    if (!verdict) return judgeAt(worker.life, limits, isOnDemand);
    if (now < slot.recycleAfter) return slot.recycleAfter;
    const { cause, isSuspicious, kind } = verdict;
    const level = isSuspicious ? LEVEL.warn : LEVEL.info;
    this.#options.reports.worker(level, 515, worker, { cause });
    if (isSuspicious) slot.recycleAfter = now + RESPITE_MS;
    if (kind === 'sleep') sleep(slot);
    else renewal.add(slot, 'recycle');
    return Infinity;
  }
}
