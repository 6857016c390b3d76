/**
 * Watches the scripts of an application group, and what `watch=` names, by looking at them twice a
 * second. Polling sees what inotify does not: files on a network, a symbolic link that is switched
 * anywhere in the path, a directory that is replaced. One stat costs a few microseconds.
 */
import { stampOf, type Stamp } from '../ipc/stamp.ts';
import { Changes, type Snapshot } from './changes.ts';
import { filesOf, isPattern, MAX_ENTRIES } from './glob.ts';

/** From one look to the next. */
const POLL_MS = 500;
/** After a change, until the look that tells whether it has come to rest. */
const SETTLE_MS = 250;
/** Looking takes at most this share of the time, however many files there are. */
const SHARE = 10;

export interface WatchOptions {
  /** The scripts as they are configured; asked at each look. */
  scripts(): readonly string[];
  /** Patterns, relative to `home` or absolute. */
  readonly patterns: readonly string[];
  readonly home: string;
  /** These files are otherwise than they were when a worker last began to load them. */
  onChange(paths: readonly string[]): void;
  /** Called once: the patterns lead past more than can be looked at. */
  onTooMany(most: number): void;
}

export class Watch {
  readonly #options: WatchOptions;
  readonly #changes = new Changes();
  readonly #scripts = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #isCut = false;

  /** Takes the first look at once: what it finds is what the workers that start now load. */
  constructor(options: WatchOptions) {
    this.#options = options;
    void this.#poll();
  }

  /** A worker began to load a script when it was like this. */
  learn(path: string, stamp: Stamp): void {
    if (this.#scripts.has(path)) return;
    this.#scripts.add(path);
    this.#changes.learn(path, stamp);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #poll(): Promise<void> {
    const start = performance.now();
    const snapshot = await this.#look();
    if (this.#isStopped) return;
    const changed = this.#changes.observe(snapshot);
    if (changed.length > 0) this.#options.onChange(changed);
    const pause = this.#changes.isUnsettled ? SETTLE_MS : POLL_MS;
    const spent = performance.now() - start;
    this.#timer = setTimeout(() => void this.#poll(), Math.max(pause, spent * SHARE)).unref();
  }

  async #look(): Promise<Snapshot> {
    const snapshot = new Map<string, Stamp>();
    for (const path of this.#options.scripts()) {
      const stamp = await stampOf(path);
      snapshot.set(path, stamp);
      this.learn(path, stamp);
    }
    const budget = { left: MAX_ENTRIES };
    for (const pattern of this.#options.patterns) {
      for (const path of await filesOf(pattern, this.#options.home, budget)) {
        const stamp = await stampOf(path);
        if (stamp !== '' || !isPattern(pattern)) snapshot.set(path, stamp);
      }
    }
    if (budget.left < 0 && !this.#isCut) {
      this.#isCut = true;
      this.#options.onTooMany(MAX_ENTRIES);
    }
    return snapshot;
  }
}
