/** The supervisor's loop: collects what happened, acts in a fixed order, sleeps until the next duty. */

export interface LoopOptions<E extends { readonly kind: string }> {
  /** Kinds of events in the order in which they are acted upon; within a kind, as they came. */
  readonly order: readonly E['kind'][];
  act(event: E): void;
  /** What is due by time, after all events. @returns when to be called again; Infinity: never. */
  duties(): number;
  now(): number;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Loop<E extends { readonly kind: string }> {
  readonly #options: LoopOptions<E>;
  #inbox: E[] = [];
  #scheduled = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LoopOptions<E>) {
    this.#options = options;
  }

  /** Notes an event; it is acted upon in the next turn. May be called from any handler. */
  post(event: E): void {
    this.#inbox.push(event);
    this.wake();
  }

  /** Runs a turn soon, event or not. */
  wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    const events = this.#inbox;
    this.#inbox = [];
    for (const kind of this.#options.order) {
      for (const event of events) {
        if (event.kind === kind) this.#options.act(event);
      }
    }
    const next = this.#options.duties();
    clearTimeout(this.#timer);
    if (next === Infinity) return;
    const delay = Math.min(Math.max(next - this.#options.now(), 0), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => {
      this.wake();
    }, Math.ceil(delay));
  }
}
