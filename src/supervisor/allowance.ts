/** How much one worker may write to the log: for each source, a bucket of lines and one of bytes. */
import type { Source } from './log.ts';

/** A second's worth, and what may come at once after a quiet time. */
const LINES = { perSecond: 1000, burst: 5000 } as const;
const BYTES = { perSecond: 1024 * 1024, burst: 4 * 1024 * 1024 } as const;
/** What was dropped is told so often. */
const REPORT_MS = 1000;

export interface AllowanceOptions {
  /** Monotonic ms. */
  now(): number;
  /** So many lines were dropped since the last report. */
  report(dropped: number): void;
}

/** Tokens that come back with time. */
class Bucket {
  readonly #perMs: number;
  readonly #burst: number;
  #tokens: number;

  constructor({ perSecond, burst }: { readonly perSecond: number; readonly burst: number }) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
  }

  refill(ms: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + ms * this.#perMs);
  }

  get isEmpty(): boolean {
    return this.#tokens < 1;
  }

  /** May take more than there is: the last line comes whole, and the next ones wait longer. */
  take(count: number): void {
    this.#tokens -= count;
  }
}

class Share {
  readonly #lines = new Bucket(LINES);
  readonly #bytes = new Bucket(BYTES);
  #refilledAt: number;

  constructor(now: number) {
    this.#refilledAt = now;
  }

  take(bytes: number, now: number): boolean {
    this.#lines.refill(now - this.#refilledAt);
    this.#bytes.refill(now - this.#refilledAt);
    this.#refilledAt = now;
    if (this.#lines.isEmpty || this.#bytes.isEmpty) return false;
    this.#lines.take(1);
    this.#bytes.take(bytes);
    return true;
  }
}

/**
 * What an app prints is read as fast as it comes, so that it never waits; what is over the
 * allowance goes no further, and its lines are counted and told once a second. Each source has a
 * share of its own, so that chatter on stdout hides no error.
 */
export class Allowance {
  readonly #options: AllowanceOptions;
  readonly #shares: Readonly<Record<Source, Share>>;
  #dropped = 0;

  constructor(options: AllowanceOptions) {
    this.#options = options;
    const now = options.now();
    this.#shares = { out: new Share(now), err: new Share(now), host: new Share(now) };
  }

  /** @returns whether a line of so many bytes may go to the log; if not it is counted. */
  take(source: Source, bytes: number): boolean {
    if (this.#shares[source].take(bytes, this.#options.now())) return true;
    this.#drop();
    return false;
  }

  #drop(): void {
    if (this.#dropped++ > 0) return;
    setTimeout(() => {
      const dropped = this.#dropped;
      this.#dropped = 0;
      this.#options.report(dropped);
    }, REPORT_MS).unref();
  }
}
