/** Tells from one look at files to the next which of them changed, once they have come to rest. */
import type { Stamp } from '../ipc/stamp.ts';

/** One look: every file that is watched, by its path. */
export type Snapshot = ReadonlyMap<string, Stamp>;

/**
 * Files that go on changing for so long are told of all the same: one that is written without end
 * must not hide that another one has changed.
 */
const RESTLESS_MS = 10_000;
/** Files that are remembered though they are gone; beyond that, they are new when they come back. */
const MAX_REMEMBERED = 40_000;

function isSame(a: Snapshot, b: Snapshot): boolean {
  if (a.size !== b.size) return false;
  for (const [path, stamp] of a) if (b.get(path) !== stamp) return false;
  return true;
}

/**
 * A deploy writes many files, and a reload in the middle of it would meet half of them: a change
 * counts when two looks in a row find the same. A file that goes away is no change, since there is
 * nothing new to load; that it comes back otherwise than it was, is one.
 */
export class Changes {
  #known: Map<string, Stamp> | undefined;
  #unsettled: { readonly snapshot: Snapshot; readonly since: number } | undefined;

  /** Something has changed, and the next look may tell that it has come to rest. */
  get isUnsettled(): boolean {
    return this.#unsettled !== undefined;
  }

  /** A file is watched from now on; how it is now is no change. */
  learn(path: string, stamp: Stamp): void {
    this.#known?.set(path, stamp);
  }

  /**
   * The first look is what later ones are compared with.
   * @param at when it was taken; monotonic ms.
   * @returns the paths that changed and have come to rest, or do not come to rest.
   */
  observe(now: Snapshot, at: number): string[] {
    if (!this.#known) {
      this.#known = new Map(now);
      return [];
    }
    const known = this.#known;
    const changed = [...now].filter(([path, stamp]) => stamp !== '' && known.get(path) !== stamp);
    if (changed.length === 0) {
      this.#unsettled = undefined;
      return [];
    }
    const { snapshot, since = at } = this.#unsettled ?? {};
    const isAtRest = snapshot !== undefined && isSame(snapshot, now);
    if (!isAtRest && at - since < RESTLESS_MS) {
      this.#unsettled = { snapshot: now, since };
      return [];
    }
    this.#unsettled = undefined;
    this.#remember(known, now);
    return changed.map(([path]) => path);
  }

  #remember(known: Map<string, Stamp>, now: Snapshot): void {
    if (known.size > MAX_REMEMBERED) known.clear();
    for (const [path, stamp] of now) if (stamp !== '' || !known.has(path)) known.set(path, stamp);
  }
}
