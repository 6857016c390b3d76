/** Which slots get a fresh worker beside the one that serves, and when it is their turn. */
import type { Slot } from './slot.ts';

/** Why a fresh worker takes the place of one that serves well. */
export type RenewalReason = 'reload' | 'recycle';

/** A slot whose turn it is. */
export interface Turn {
  readonly slot: Slot;
  readonly reason: RenewalReason;
}

/**
 * One that boots may have read old files, and hang on what has been mended since: a reload starts
 * another beside it. A recycle can wait.
 */
function mayBegin({ state, successor }: Slot, reason: RenewalReason): boolean {
  if (successor) return false;
  return state === 'ready' || (state === 'booting' && reason === 'reload');
}

export class Renewal {
  readonly #isAtOnce: boolean;
  readonly #queue = new Map<Slot, RenewalReason>();

  /** @param isAtOnce a reload starts all fresh workers at the same time, not one after another. */
  constructor(isAtOnce: boolean) {
    this.#isAtOnce = isAtOnce;
  }

  /** The slot's turn will come. A reload is the stronger reason. */
  add(slot: Slot, reason: RenewalReason): void {
    if (this.#queue.get(slot) !== 'reload') this.#queue.set(slot, reason);
  }

  has(slot: Slot): boolean {
    return this.#queue.has(slot);
  }

  /** Forgets the turns that have this reason; without one, all. */
  clear(reason?: RenewalReason): void {
    for (const [slot, its] of this.#queue) {
      if (reason === undefined || its === reason) this.#queue.delete(slot);
    }
  }

  /**
   * @param slots all of the application group: while one of them has a successor, the others wait.
   * @returns whose turn it is now; they are off the list.
   */
  take(slots: readonly Slot[]): Turn[] {
    // One that failed meanwhile starts afresh anyway.
    for (const slot of this.#queue.keys()) {
      if (slot.state !== 'ready' && slot.state !== 'booting') this.#queue.delete(slot);
    }
    const turns = this.#turns(slots);
    for (const { slot } of turns) this.#queue.delete(slot);
    return turns;
  }

  #turns(slots: readonly Slot[]): Turn[] {
    const ready = [...this.#queue]
      .filter(([slot, reason]) => mayBegin(slot, reason))
      .map(([slot, reason]) => ({ slot, reason }));
    const reloads = ready.filter(({ reason }) => reason === 'reload');
    if (this.#isAtOnce && reloads.length > 0) return reloads;
    if (slots.some((slot) => slot.successor)) return [];
    return (reloads.length > 0 ? reloads : ready).slice(0, 1);
  }
}
