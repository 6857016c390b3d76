/** What the log says about the workers of an application group. */
import { errorLine, TsgiError, type ErrorDetails, type ErrorNumber } from '../errors.ts';
import type { FailedMessage } from '../ipc/messages.ts';
import type { Application } from './application.ts';
import type { Context, ExitEvent } from './context.ts';
import { describeDeath, isOrderly, type Death } from './deaths.ts';
import { LEVEL } from './log.ts';
import type { Slot } from './slot.ts';
import type { Worker } from './worker.ts';

/** `0.4` for 412 ms, `12` for 12000. */
export function seconds(ms: number): string {
  return String(Math.round(ms / 100) / 10);
}

/** @param delayMs until the next attempt; Infinity: there is none, another worker serves. */
function nextTry(delayMs: number): string {
  return delayMs === Infinity ? 'The old worker goes on' : `Next try in ${seconds(delayMs)} s`;
}

/** The N of the TSGI<N> that says why a worker is dead; clients get it while its slot waits. */
export function deathCode(worker: Worker, error: Error | undefined): number {
  if (error) return 504;
  if (worker.failure) return worker.failure.code;
  if (worker.killedBy !== undefined) return worker.killedBy;
  return worker.readyAt === undefined ? 506 : 507;
}

export class Reports {
  readonly #context: Context;
  readonly #application: Application;

  constructor(context: Context, application: Application) {
    this.#context = context;
    this.#application = application;
  }

  /** Details that every row about a slot may name. */
  names(slot: Slot): ErrorDetails {
    const { scripts, title } = this.#application;
    const paths = scripts.mode === 'exact' ? scripts.paths : scripts.roots;
    return { application: title, slot: slot.index, scripts: paths.join(', ') };
  }

  /** A row about a worker. */
  worker(level: number, code: ErrorNumber, worker: Worker, details: ErrorDetails): void {
    const { pid } = worker.process;
    const text = errorLine(code, { ...this.names(worker.slot), pid: pid ?? 'none', ...details });
    this.#context.log.host(level, text, pid);
  }

  /**
   * A worker could not even be tried. @param delayMs see {@link nextTry}.
   * @returns the N of the TSGI<N> that was logged.
   */
  notStarted(slot: Slot, error: unknown, delayMs: number): ErrorNumber {
    const next = nextTry(delayMs);
    if (error instanceof TsgiError) {
      this.#context.log.host(LEVEL.error, error.message.replace('{next}', next));
      return error.number;
    }
    const reason = error instanceof Error ? error.message : String(error);
    const text = errorLine(504, { ...this.names(slot), reason, next });
    this.#context.log.host(LEVEL.error, text);
    return 504;
  }

  /** Gathers what is known of a worker's end, and notes it for those who will ask. */
  inquire({ worker, status, signal }: ExitEvent): Death {
    const { now, inquest, isMemoryShort } = this.#context;
    const death: Death = {
      status,
      signal,
      killedBy: worker.killedBy,
      wasDraining: worker.state === 'draining',
      isMemoryShort: signal === 'SIGKILL' && isMemoryShort(),
      lines: worker.lastWords(now()),
    };
    const { pid } = worker.process;
    if (pid !== undefined) inquest.died(pid, describeDeath(death));
    return death;
  }

  /**
   * A worker is dead that nobody told to end.
   * @param death how it ended; @param error why it could not be started;
   * @param delayMs see {@link nextTry}.
   */
  death(worker: Worker, death: Death, error: Error | undefined, delayMs: number): void {
    if (worker.killedBy !== undefined) return; // Logged when it was killed.
    const how = describeDeath(death);
    const details = { next: nextTry(delayMs), how, reason: error?.message ?? '' };
    if (worker.failure) this.#failure(worker, worker.failure);
    else if (error) this.worker(LEVEL.error, 504, worker, details);
    else if (worker.readyAt === undefined) this.worker(LEVEL.error, 506, worker, details);
    else this.worker(isOrderly(death) ? LEVEL.notice : LEVEL.error, 507, worker, details);
  }

  /** One record with everything in it, then the stack. */
  #failure(worker: Worker, { message, stack }: FailedMessage): void {
    const { log, options } = this.#context;
    const { pid } = worker.process;
    const where =
      `process group ${options.name}, application group ${this.#application.title}, ` +
      `worker ${String(worker.slot.index)}, pid ${String(pid)}`;
    log.host(LEVEL.error, `${message} (${where})`, pid);
    this.stack(worker, stack);
  }

  /** The lines of a stack, each a record of its own. */
  stack(worker: Worker, stack: string | undefined): void {
    for (const line of stack?.split('\n') ?? []) {
      if (line.trim() !== '') this.#context.log.host(LEVEL.error, line, worker.process.pid);
    }
  }
}
