/**
 * What an app can know of mod_tsgi, and hear from it, while it is hosted. Everything here is also
 * there under `node app.js`, where nothing is ever heard. The worker's bundle and the package are
 * two files, so they meet at a symbol that both know.
 */
import { EventEmitter } from 'node:events';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

/** Told with `drain`. */
export interface DrainInfo {
  /** New code, a limit of the worker's life, the end of Apache, or of the group in its configuration. */
  readonly reason: 'reload' | 'recycle' | 'shutdown' | 'removed';
  /** What the worker may use at most to finish. */
  readonly timeoutMs: number;
}

export interface TsgiEvents {
  /** The worker takes nothing new from now on; what it has in hand goes on. */
  drain: [info: DrainInfo];
  /** Nothing is in hand any more, or half of the time is over: close what else is open. */
  shutdown: [];
}

/** Which worker this is. */
export interface WorkerFacts {
  readonly processGroup: string;
  /** Empty for %{GLOBAL}. */
  readonly applicationGroup: string;
  /** From 0; the same after the worker was replaced. */
  readonly workerIndex: number;
  /** How many workers share the application group. */
  readonly workers: number;
}

type Events = EventEmitter<TsgiEvents>;

interface Hosted extends WorkerFacts {
  readonly events: Events;
}

const KEY = Symbol.for('mod_tsgi.worker');
const place = globalThis as { [KEY]?: Hosted };

/** For the worker: makes itself known to the app. @returns where to tell the events. */
export function announceWorker(facts: WorkerFacts): Events {
  const events: Events = new EventEmitter();
  place[KEY] = { ...facts, events };
  setEnvironmentData(String(KEY), { ...facts });
  return events;
}

const silent: Events = new EventEmitter();
const eventsOf = (): Events => place[KEY]?.events ?? silent;

/** In a thread of the app's own: the facts of its process. Undefined under `node app.js`. */
const factsOf = (): WorkerFacts | undefined =>
  place[KEY] ?? (getEnvironmentData(String(KEY)) as WorkerFacts | undefined);

/** The worker that the app runs in. */
export const tsgi = {
  /** Apache serves this process; false under `node app.js`. */
  get isHosted(): boolean {
    return factsOf() !== undefined;
  },
  get processGroup(): string | undefined {
    return factsOf()?.processGroup;
  },
  get applicationGroup(): string | undefined {
    return factsOf()?.applicationGroup;
  },
  get workerIndex(): number {
    return factsOf()?.workerIndex ?? 0;
  },
  get workers(): number {
    return factsOf()?.workers ?? 1;
  },
  /** Calls `listener` at each such event, in the main thread. What it throws is an uncaught error of the app. */
  on<E extends keyof TsgiEvents>(event: E, listener: (...args: TsgiEvents[E]) => void): void {
    eventsOf().on(event, listener as never);
  },
  off<E extends keyof TsgiEvents>(event: E, listener: (...args: TsgiEvents[E]) => void): void {
    eventsOf().off(event, listener as never);
  },
};
