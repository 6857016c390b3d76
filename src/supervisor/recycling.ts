/**
 * When a worker that serves well is replaced all the same: the limits that `TSGIDaemonProcess` sets
 * for its life. Pure: who calls brings the clock and the numbers.
 */

/** 0: no such limit. */
export interface Limits {
  readonly maximumRequests: number;
  readonly restartIntervalMs: number;
  /** Share, 0 to 1, by which the two above come earlier at most. */
  readonly jitter: number;
  readonly inactivityMs: number;
  /** Resident memory in bytes: replaced above it, killed above twice as much. */
  readonly memory: number;
  readonly cpuMs: number;
}

/** What is known of a worker's life. Times on the loop's clock. */
export interface Life {
  /** Its own limits, jitter taken off; Infinity: none. */
  maximumRequests: number;
  restartAt: number;
  /** As the worker last said. */
  requests: number;
  inHand: number;
  /** When it was last known to have something to do. */
  activeAt: number;
  /** As the system last said. */
  memory: number;
  cpuMs: number;
}

/** `recycle`: a fresh worker takes its place. `sleep`: it ends, the next request starts another. */
export interface Verdict {
  readonly kind: 'recycle' | 'sleep';
  /** In words, for the log. */
  readonly cause: string;
  /** The app may have a leak. */
  readonly isSuspicious: boolean;
}

const MIB = 1024 * 1024;
/** Memory above the limit by this factor is no matter of a clean end any more. */
export const HARD_FACTOR = 2;

/** @returns a value up to `jitter` smaller, at least 1; Infinity for 0, which is no limit. */
export function jittered(value: number, jitter: number, random: number): number {
  return value === 0 ? Infinity : Math.max(1, Math.round(value * (1 - jitter * random)));
}

/** @param random gives numbers in [0, 1). @returns a life that has not begun. */
export function newLife(limits: Limits, random: () => number = Math.random): Life {
  return {
    maximumRequests: jittered(limits.maximumRequests, limits.jitter, random()),
    restartAt: Infinity,
    requests: 0,
    inHand: 0,
    activeAt: Infinity,
    memory: 0,
    cpuMs: 0,
  };
}

/** The worker is ready: its time runs from now on. */
export function beginLife(life: Life, limits: Limits, now: number, random = Math.random): void {
  life.restartAt = now + jittered(limits.restartIntervalMs, limits.jitter, random());
  life.activeAt = now;
}

/** The worker says what it took and has in hand. */
export function noteStats(life: Life, requests: number, inHand: number, now: number): void {
  if (requests !== life.requests || inHand > 0 || life.inHand > 0) life.activeAt = now;
  life.requests = requests;
  life.inHand = inHand;
}

/** When it has been inactive for too long; one that nobody used is as fresh as its successor. */
function sleepyAt(life: Life, { inactivityMs }: Limits, isOnDemand: boolean): number {
  if (inactivityMs === 0 || life.inHand > 0) return Infinity;
  return isOnDemand || life.requests > 0 ? life.activeAt + inactivityMs : Infinity;
}

const mib = (bytes: number): string => String(Math.round(bytes / MIB));
const seconds = (ms: number): string => String(Math.round(ms / 1000));

/** @returns what has to be done about a worker that is ready; undefined: nothing now. */
export function judge(
  life: Life,
  limits: Limits,
  now: number,
  isOnDemand: boolean,
): Verdict | undefined {
  const recycle = (cause: string, isSuspicious = false): Verdict => ({
    kind: 'recycle',
    cause,
    isSuspicious,
  });
  if (limits.memory > 0 && life.memory > limits.memory) {
    return recycle(`${mib(life.memory)} MiB, memory-limit is ${mib(limits.memory)} MiB`, true);
  }
  if (limits.cpuMs > 0 && life.cpuMs >= limits.cpuMs) {
    return recycle(`${seconds(life.cpuMs)} s of processor time`, true);
  }
  if (life.requests >= life.maximumRequests) return recycle(`${String(life.requests)} requests`);
  if (now >= life.restartAt) return recycle('restart-interval is over');
  if (now < sleepyAt(life, limits, isOnDemand)) return undefined;
  const kind = isOnDemand ? 'sleep' : 'recycle';
  return { kind, cause: `inactive for ${seconds(limits.inactivityMs)} s`, isSuspicious: false };
}

/** @returns when {@link judge} may say something else, if nothing is heard until then. */
export function judgeAt(life: Life, limits: Limits, isOnDemand: boolean): number {
  return Math.min(life.restartAt, sleepyAt(life, limits, isOnDemand));
}

/** Its memory is beyond what a clean end can mend. */
export function isHopeless(life: Life, { memory }: Limits): boolean {
  return memory > 0 && life.memory > HARD_FACTOR * memory;
}

/** How often a worker tells its supervisor what it has in hand; 0: only when it is full. */
export function statsIntervalMs({ inactivityMs }: Limits): number {
  return inactivityMs === 0 ? 0 : Math.min(1000, inactivityMs / 4);
}

/**
 * V8 collects garbage the later the more room it believes to have, and ends the process at the end
 * of it. It gets a quarter more than memory-limit, so that the clean end comes first.
 * @param given node's options from the configuration and from NODE_OPTIONS.
 */
export function heapArguments({ memory }: Limits, given: readonly string[]): string[] {
  const isSized = given.some((text) => /--max[-_](old[-_]space|heap)[-_]size/.test(text));
  if (memory === 0 || isSized) return [];
  return [`--max-old-space-size=${String(Math.round((memory * 1.25) / MIB))}`];
}
