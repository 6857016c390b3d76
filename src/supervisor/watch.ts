/**
 * Watches the scripts of an application group, and what `watch=` names, by looking at them twice a
 * second. Polling sees what inotify does not: files on a network, a symbolic link that is switched
 * anywhere in the path, a directory that is replaced. One stat costs a few microseconds.
 */
import { errorLine } from '../errors.ts';
import { stampOf, type Stamp } from '../ipc/stamp.ts';
import type { Application } from './application.ts';
import { Changes, type Snapshot } from './changes.ts';
import type { Context } from './context.ts';
import { filesOf, isPattern, MAX_ENTRIES } from './glob.ts';
import { LEVEL } from './log.ts';
import { workingDirectory } from './spawn.ts';

/** From one look to the next. */
const POLL_MS = 500;
/** After a change, until the look that tells whether it has come to rest. */
const SETTLE_MS = 250;
/** Looking takes at most this share of the time, however many files there are. */
const SHARE = 10;
/** Scripts of patterns that are watched; what is loaded beyond is not. */
const MAX_LEARNED = 1_000;

export interface WatchOptions {
  /** The scripts that the configuration names; asked at each look. */
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
  /** Scripts that a pattern led to. */
  readonly #learned = new Set<string>();
  /** Scripts that earlier looks have seen. */
  readonly #scripts = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #isCut = false;

  /** Takes the first look at once: what it finds is what the workers that start now load. */
  constructor(options: WatchOptions) {
    this.#options = options;
    void this.#poll();
  }

  /** A worker began to load a script of a pattern when it was like this. */
  learn(path: string, stamp: Stamp): void {
    if (this.#learned.has(path) || this.#learned.size >= MAX_LEARNED) return;
    this.#learned.add(path);
    this.#begin(path, stamp);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #begin(path: string, stamp: Stamp): void {
    if (this.#scripts.has(path)) return;
    this.#scripts.add(path);
    this.#changes.learn(path, stamp);
  }

  async #poll(): Promise<void> {
    const start = performance.now();
    const snapshot = await this.#look();
    if (this.#isStopped) return;
    const changed = this.#changes.observe(snapshot, performance.now());
    if (changed.length > 0) this.#options.onChange(changed);
    const pause = this.#changes.isUnsettled ? SETTLE_MS : POLL_MS;
    const spent = performance.now() - start;
    this.#timer = setTimeout(() => void this.#poll(), Math.max(pause, spent * SHARE)).unref();
  }

  async #look(): Promise<Snapshot> {
    const snapshot = new Map<string, Stamp>();
    for (const path of new Set([...this.#options.scripts(), ...this.#learned])) {
      const stamp = await stampOf(path);
      snapshot.set(path, stamp);
      this.#begin(path, stamp);
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

/** Watches what an application group runs, and tells the loop. */
export function watchScripts(context: Context, application: Application): Watch {
  const { options, log, post } = context;
  return new Watch({
    scripts: () => (application.scripts.mode === 'exact' ? application.scripts.paths : []),
    patterns: options.watch,
    home: options.home ?? workingDirectory(options, application.scripts),
    onChange: (paths) => {
      post({ kind: 'touched', application, paths });
    },
    onTooMany: (most) => {
      log.host(LEVEL.warn, errorLine(514, { application: application.title, most }));
    },
  });
}
