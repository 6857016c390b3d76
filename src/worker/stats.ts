/** Tells the supervisor what this worker took and has in hand, as seldom as it can do with. */
import type { StatsMessage } from '../ipc/messages.ts';

/** The part of the Host that is needed here. */
export interface Counted {
  /** Requests that came, ever. */
  readonly taken: number;
  readonly inHand: number;
}

export class Stats {
  readonly #host: Counted;
  readonly #send: (message: StatsMessage) => void;
  #taken = 0;
  #inHand = 0;

  /** @param intervalMs how often to look whether there is news; 0: only when asked. */
  constructor(host: Counted, intervalMs: number, send: (message: StatsMessage) => void) {
    this.#host = host;
    this.#send = send;
    if (intervalMs > 0) {
      setInterval(() => {
        this.#tellNews();
      }, intervalMs).unref();
    }
  }

  /** Says how it is now. */
  tell(): void {
    const { taken, inHand } = this.#host;
    this.#taken = taken;
    this.#inHand = inHand;
    this.#send({ type: 'stats', requests: taken, inHand });
  }

  #tellNews(): void {
    const { taken, inHand } = this.#host;
    if (taken !== this.#taken || inHand !== this.#inHand) this.tell();
  }
}
