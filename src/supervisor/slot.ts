/** One worker's place: a listening socket, and who serves it. */
import type { ReadableWatcher } from '../native.ts';
import { Backoff } from './backoff.ts';
import type { SlotState, Stateful } from './states.ts';
import type { Worker } from './worker.ts';

export class Slot implements Stateful<SlotState> {
  state: SlotState = 'idle';
  readonly index: number;
  /** Number of the slot in the whole process group; tells the ports of inspect= apart. */
  readonly ordinal: number;
  readonly label: string;
  readonly fd: number;
  readonly backoff = new Backoff();
  /** Of recycles whose fresh worker did not get ready. */
  readonly recycleBackoff = new Backoff();
  /** It is not recycled before. */
  recycleAfter = 0;
  /** The worker that serves, or will. */
  current: Worker | undefined;
  /** A fresh one that boots beside `current` during a reload. */
  successor: Worker | undefined;
  /** Workers that finish what they have in hand. */
  readonly leaving = new Set<Worker>();
  /** While waiting: when the next worker starts. */
  retryAt = Infinity;
  /** While waiting: the N of the TSGI<N> that clients get; undefined: they wait in the backlog. */
  refusal: number | undefined;
  /** Out of descriptors: its socket is not looked at before. */
  restUntil = 0;
  /** That it is out of descriptors is not logged again before. */
  complainAt = 0;
  #watcher: ReadableWatcher | undefined;

  constructor(index: number, ordinal: number, label: string, fd: number) {
    this.index = index;
    this.ordinal = ordinal;
    this.label = label;
    this.fd = fd;
  }

  /** Every worker of this slot that is alive. */
  *workers(): Generator<Worker> {
    if (this.current) yield this.current;
    if (this.successor) yield this.successor;
    yield* this.leaving;
  }

  /** Whether somebody has to answer, or be started, when a connection comes. */
  get isWatching(): boolean {
    return this.state === 'idle' || (this.state === 'waiting' && this.refusal !== undefined);
  }

  /** Starts or stops to watch the socket, as the state wants it. */
  syncWatcher(now: number, create: () => ReadableWatcher): void {
    if (this.isWatching && this.restUntil <= now) {
      this.#watcher ??= create();
      this.#watcher.start();
    } else {
      this.#watcher?.stop();
    }
  }

  closeWatcher(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}
