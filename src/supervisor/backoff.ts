/** How long to wait before something that failed is tried again. */

const FIRST_MS = 100;
const LONGEST_MS = 30_000;
const JITTER = 0.2;
/** Service that lasted so many times the pause before it makes up for the failures. */
const MADE_UP = 10;

/** 100 ms · 2ⁿ up to 30 s, ±20 % so that the slots of a group do not start all at once. */
export class Backoff {
  readonly #random: () => number;
  #failures = 0;
  #lastMs = 0;

  /** @param random gives numbers in [0, 1). */
  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Failures since the last reset. */
  get failures(): number {
    return this.#failures;
  }

  /** Notes one more failure. @returns ms to wait. */
  fail(): number {
    const plain = Math.min(FIRST_MS * 2 ** Math.min(this.#failures, 16), LONGEST_MS);
    this.#failures++;
    this.#lastMs = plain;
    return Math.round(plain * (1 - JITTER + 2 * JITTER * this.#random()));
  }

  /**
   * Notes that it worked for a while before it failed again. Something that dies now and then is
   * down for a tenth of its time at most; something that dies right away waits longer and longer.
   */
  worked(ms: number): void {
    if (ms >= MADE_UP * Math.max(this.#lastMs, FIRST_MS)) this.reset();
  }

  reset(): void {
    this.#failures = 0;
    this.#lastMs = 0;
  }
}
