/** One worker's place: a listening socket, and who serves it. */
import type { ReadableWatcher } from '../native.ts';
import { Backoff } from './backoff.ts';
import type { SlotState, Stateful } from './states.ts';
import type { Worker } from './worker.ts';

/** A worker that served this long was sound: the next one starts at once. */
const SOUND_MS = 10_000;
/** Clients of a worker that was ready wait in the backlog through back-offs up to this long. */
const PATIENCE_MS = 2_000;

/** When the next worker of a slot starts, and whether clients wait for it. */
export interface Succession {
  /** 0: at once. */
  readonly delay: number;
  readonly isPatient: boolean;
}

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
  /**
   * The N of the TSGI<N> that clients get while no worker is ready; undefined: they wait in the
   * backlog. It stays until a worker is ready or somebody has mended something, so that the attempts
   * of a crash loop cost clients no time either.
   */
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

  /** Its worker has gone. @param readyAt since when that was ready; undefined: it never was. */
  lose(readyAt: number | undefined, now: number): Succession {
    const upMs = readyAt === undefined ? -1 : now - readyAt;
    if (upMs >= SOUND_MS) {
      this.backoff.reset();
      return { delay: 0, isPatient: true };
    }
    this.backoff.worked(upMs);
    const delay = this.backoff.fail();
    return { delay, isPatient: upMs >= 0 && delay <= PATIENCE_MS };
  }

  /** Whether somebody has to answer, or be started, when a connection comes. */
  get isWatching(): boolean {
    if (this.state === 'idle') return true;
    return (this.state === 'waiting' || this.state === 'booting') && this.refusal !== undefined;
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
