/** Has the kernel killed a process for lack of memory? It counts such kills, and says no more. */
import { readFileSync } from 'node:fs';

const SAMPLE_MS = 10_000;

/** @returns the text of a file, '' where there is none. */
export type ReadText = (path: string) => string;

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/**
 * @returns kills so far: those in our own cgroup (v2), or, where it does not count, on the whole
 * machine; 0 if the system tells neither.
 */
export function countOomKills(read: ReadText = readText): number {
  const group = /^0::(\/.*)$/m.exec(read('/proc/self/cgroup'))?.[1] ?? '/';
  const own = /^oom_kill (\d+)$/m.exec(read(`/sys/fs/cgroup${group}/memory.events`))?.[1];
  return Number(own ?? /^oom_kill (\d+)$/m.exec(read('/proc/vmstat'))?.[1] ?? 0);
}

/**
 * Tells whether there was such a kill lately. Two samples are kept, so that the older one is 10 to 20 s
 * old at any time: a kill of an hour ago explains no death of today.
 */
export class OomWatch {
  readonly #count: () => number;
  #older: number;
  #newer: number;
  #sampleAt: number;

  constructor(now: number, count: () => number = countOomKills) {
    this.#count = count;
    this.#older = this.#newer = count();
    this.#sampleAt = now + SAMPLE_MS;
  }

  /** @returns when it has to be called again. */
  duties(now: number): number {
    if (now >= this.#sampleAt) {
      this.#older = this.#newer;
      this.#newer = this.#count();
      this.#sampleAt = now + SAMPLE_MS;
    }
    return this.#sampleAt;
  }

  /** The kernel has killed some process of ours, or of the machine, within the last 20 s. */
  get hasGrown(): boolean {
    return this.#count() > this.#older;
  }
}
