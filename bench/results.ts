/** What was measured, and where: load, contender, number of connections, one sample a round. */
import { median } from './stats.ts';

const METRICS = {
  perSecond: 'requests/s',
  p50Us: 'p50 µs',
  p99Us: 'p99 µs',
  /** CPU time a request, of all processes: of what the client talks to, and of what is behind it. */
  cpuUs: 'CPU µs',
  frontUs: 'front µs',
  backUs: 'back µs',
  /** Context switches and system calls a request. */
  switches: 'switches',
  frontCalls: 'calls front',
  backCalls: 'calls back',
  /** The share of the machine's CPU time that programs took that have nothing to do with it. */
  others: 'others',
  /** From the start of the server to its first answer. */
  startMs: 'start ms',
  /** Proportional set size of all processes: before any load, and after it. */
  idleMiB: 'idle MiB',
  loadedMiB: 'loaded MiB',
} as const;
export type Metric = keyof typeof METRICS;
export type Sample = Readonly<Partial<Record<Metric, number>>>;

/** What a figure is called in a table. */
export const titleOf = (metric: Metric): string => METRICS[metric];
export const isMetric = (name: string): name is Metric => Object.hasOwn(METRICS, name);

export interface Cell {
  readonly load: string;
  readonly contender: string;
  /** 0 where there is no such thing. */
  readonly connections: number;
  readonly samples: readonly Sample[];
}

const keyOf = (load: string, contender: string, connections: number): string =>
  `${load}/${contender}/${connections}`;

export class Results {
  readonly #cells = new Map<string, { cell: Omit<Cell, 'samples'>; samples: Sample[] }>();

  static from(cells: readonly Cell[]): Results {
    const results = new Results();
    for (const { load, contender, connections, samples } of cells) {
      for (const sample of samples) results.add(load, contender, connections, sample);
    }
    return results;
  }

  add(load: string, contender: string, connections: number, sample: Sample): void {
    const key = keyOf(load, contender, connections);
    const known = this.#cells.get(key) ?? { cell: { load, contender, connections }, samples: [] };
    known.samples.push(sample);
    this.#cells.set(key, known);
  }

  /** All, in the order in which they were measured first. */
  get cells(): Cell[] {
    return [...this.#cells.values()].map(({ cell, samples }) => ({ ...cell, samples }));
  }

  find(load: string, contender: string, connections: number): Cell | undefined {
    const known = this.#cells.get(keyOf(load, contender, connections));
    return known && { ...known.cell, samples: known.samples };
  }
}

/** The median of one figure over the rounds; NaN if it was not measured. */
export function medianOf(cell: Cell | undefined, metric: Metric): number {
  return median(cell?.samples.map((sample) => sample[metric] ?? NaN) ?? []);
}

/**
 * One contender's figure in relation to another's. The two are compared within each round, where they were measured
 * a moment apart, so what disturbs a whole round disturbs both.
 */
export function relate(
  of: Cell | undefined,
  over: Cell | undefined,
  metric: Metric,
  how: (a: number, b: number) => number = (a, b) => a / b,
): number {
  const pairs = (of?.samples ?? []).map((sample, round) => {
    return how(sample[metric] ?? NaN, over?.samples[round]?.[metric] ?? NaN);
  });
  return median(pairs);
}
