/** Durations counted in buckets 5 % wide: quantiles of millions of them in little memory. */

const STEPS = 1 / Math.log(1.05);
/** The first bucket, in ms. */
const LEAST = 0.01;

export class Histogram {
  readonly #buckets: number[] = [];
  #count = 0;

  static from(buckets: readonly number[]): Histogram {
    const histogram = new Histogram();
    buckets.forEach((n, i) => {
      histogram.#buckets[i] = n;
      histogram.#count += n;
    });
    return histogram;
  }

  /** As plain data, for another process. */
  get buckets(): number[] {
    return Array.from(this.#buckets, (n: number | undefined) => n ?? 0);
  }

  get count(): number {
    return this.#count;
  }

  add(ms: number): void {
    const i = Math.max(0, Math.round(Math.log(ms / LEAST) * STEPS));
    this.#buckets[i] = (this.#buckets[i] ?? 0) + 1;
    this.#count++;
  }

  /** The duration that the fraction `q` of all does not exceed, in ms; NaN if there is none. */
  quantile(q: number): number {
    let left = Math.ceil(this.#count * q);
    for (const [i, n] of this.buckets.entries()) {
      left -= n;
      if (left <= 0 && this.#count > 0) return LEAST * Math.exp(i / STEPS);
    }
    return NaN;
  }
}
