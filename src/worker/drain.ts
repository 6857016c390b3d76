/** How a worker comes to its end: takes nothing new, finishes what it has in hand, exits. */
import type { Server } from 'node:http';
import type { EventEmitter } from 'node:events';
import { errorLine } from '../errors.ts';
import type { Watch } from '../native.ts';
import type { DrainInfo, TsgiEvents } from '../tsgi.ts';

/** What the watch thread waits beyond the time limit before it kills. */
export const KILL_MARGIN_MS = 1_000;
/** syslog(3)'s LOG_WARNING. */
const LEVEL_WARNING = 4;

/** The part of the Host that is needed here. */
export interface Drainable {
  /** Takes nothing new; resolves when nothing is in hand, and keeps the event loop alive no more. */
  drain(): Promise<void>;
  /** Requests that are not over. */
  readonly inHand: number;
}

export interface DrainOptions {
  readonly watch: Pick<Watch, 'hardKill'>;
  /** undefined while the app is still being loaded. */
  host(): Drainable | undefined;
  adopted(): ReadonlySet<Server>;
  /** Where the app listens through the package. */
  readonly events: EventEmitter<TsgiEvents>;
  /** A line for the group's error log. */
  log(level: number, text: string): void;
}

export class Drain {
  readonly #options: DrainOptions;
  #finished: Promise<void> | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #endsAt = Infinity;
  #isSignalled = false;
  /** The signal that comes now is our own word to the app. */
  #isTelling = false;
  #isShutDown = false;

  constructor(options: DrainOptions) {
    this.#options = options;
  }

  get isDraining(): boolean {
    return this.#finished !== undefined;
  }

  /** Told to end, by the supervisor or by a signal. A later call may only shorten the time. */
  begin(timeoutMs: number, reason: DrainInfo['reason'] = 'shutdown'): void {
    const endsAt = performance.now() + timeoutMs;
    if (endsAt < this.#endsAt) this.#limit(endsAt, timeoutMs);
    if (this.isDraining) return;
    const host = this.#options.host();
    if (!host) process.exit(0);
    // Outside of here: what a listener throws must not keep the worker from its end.
    process.nextTick(() => this.#options.events.emit('drain', { reason, timeoutMs }));
    // What an app does at SIGTERM is often process.exit(), so it is told when nothing is in hand;
    // at half of the time at the latest, for it may hold long polls and event streams.
    setTimeout(() => {
      this.#tellShutdown();
      this.#signalApp();
    }, timeoutMs / 2).unref();
    void this.#finish(host).then(() => {
      this.#tellShutdown();
      // With a handler of its own, the app closes its server and ends as it likes, within the time.
      if (appSignal() !== undefined) this.#signalApp();
      else this.#end();
    });
  }

  /** A real SIGTERM: Node has told those who listen to it, or is about to. */
  onSignal(timeoutMs: number): void {
    if (this.#isTelling) return;
    this.#isSignalled = countAppListeners('SIGTERM') > 0;
    this.begin(timeoutMs);
  }

  /** The app closes its server by itself: as `node app.js`, the worker then runs to its end. */
  onAppClose(timeoutMs: number, finish: () => void): void {
    const host = this.#options.host();
    if (!host) {
      finish();
      return;
    }
    if (!this.isDraining) this.#limit(performance.now() + timeoutMs, timeoutMs);
    void this.#finish(host).then(finish);
  }

  #finish(host: Drainable): Promise<void> {
    return (this.#finished ??= host.drain());
  }

  /** Lets 'close' of the servers come, as far as listeners act at once. */
  #end(): void {
    for (const server of this.#options.adopted()) if (server.listening) server.close();
    setImmediate(() => process.exit(0));
  }

  #limit(endsAt: number, timeoutMs: number): void {
    this.#endsAt = endsAt;
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      this.#giveUp(timeoutMs);
    }, timeoutMs).unref();
    this.#options.watch.hardKill(timeoutMs + KILL_MARGIN_MS);
  }

  /** The time is over. Who is cut off learns it from Apache; the operator, why, from here. */
  #giveUp(timeoutMs: number): never {
    const count = this.#options.host()?.inHand ?? 0;
    const seconds = timeoutMs / 1000;
    if (count > 0) this.#options.log(LEVEL_WARNING, errorLine(731, { count, seconds }));
    process.exit(0);
  }

  #tellShutdown(): void {
    if (this.#isShutDown) return;
    this.#isShutDown = true;
    process.nextTick(() => this.#options.events.emit('shutdown'));
  }

  #signalApp(): void {
    const signal = appSignal();
    if (this.#isSignalled || signal === undefined) return;
    this.#isSignalled = true;
    this.#isTelling = true;
    try {
      process.emit(signal, signal);
    } finally {
      this.#isTelling = false;
    }
  }
}

/** Listeners for a signal besides the worker's own. */
function countAppListeners(signal: 'SIGTERM' | 'SIGINT'): number {
  return process.listenerCount(signal) - (signal === 'SIGTERM' ? 1 : 0);
}

/** What the app takes for its end: process managers send the one or the other. */
function appSignal(): 'SIGTERM' | 'SIGINT' | undefined {
  return (['SIGTERM', 'SIGINT'] as const).find((signal) => countAppListeners(signal) > 0);
}
