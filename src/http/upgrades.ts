/**
 * The connections that apps have taken over: how many there may be, and which are idle. Nothing is done
 * for each byte: what has moved is compared now and then.
 */
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { errorLine } from '../errors.ts';
import type { HostOptions } from './app.ts';

/**
 * The most where max-upgrades= is not given: each takes some 20 KiB of memory, and a descriptor if it
 * was passed; a quarter of these is left for files and for Apache's connections.
 */
const DEFAULT_MOST = 16_384;
const SHARE_OF_DESCRIPTORS = 0.75;
/** The addon has no more places for tunnels (native/src/exchanges.h). */
const MOST_RELAYED = 8_192;
/** syslog(3)'s LOG_INFO. */
const LEVEL_INFO = 6;
/** A refusal is logged so seldom at most. */
const COMPLAINT_MS = 1_000;

/** `Max open files` of this process. */
function descriptorLimit(): number {
  try {
    const match = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
    return match ? Number(match[1]) : Infinity;
  } catch {
    return 1024;
  }
}

function defaultMost(): number {
  return Math.min(DEFAULT_MOST, Math.floor(descriptorLimit() * SHARE_OF_DESCRIPTORS));
}

export type UpgradeKind = 'passed' | 'relayed';

interface Activity {
  bytes: number;
  since: number;
}

export class Upgrades {
  /** The most connections at once. */
  readonly most: number;
  readonly #idleMs: number;
  readonly #log: HostOptions['log'];
  readonly #onPassedGone: () => void;
  readonly #counts: Record<UpgradeKind, number> = { passed: 0, relayed: 0 };
  readonly #activity = new Map<Socket, Activity>();
  #sweep: NodeJS.Timeout | undefined;
  #complainedAt = -Infinity;

  /** @param onPassedGone one that had been passed has closed. */
  constructor(
    options: Pick<HostOptions, 'maxUpgrades' | 'upgradeIdleTimeoutMs' | 'log'>,
    onPassedGone: () => void,
  ) {
    this.most = options.maxUpgrades || defaultMost();
    this.#idleMs = options.upgradeIdleTimeoutMs;
    this.#log = options.log;
    this.#onPassedGone = onPassedGone;
  }

  /** Clients whose own descriptors this process has, or has asked for. */
  get passed(): number {
    return this.#counts.passed;
  }

  /** Takes a place. @returns false if there is none; else leave() gives it back. */
  enter(kind: UpgradeKind): boolean {
    const { passed, relayed } = this.#counts;
    if (passed + relayed >= this.most) return false;
    if (kind === 'relayed' && relayed >= MOST_RELAYED) return false;
    this.#counts[kind]++;
    return true;
  }

  leave(kind: UpgradeKind): void {
    this.#counts[kind]--;
    if (kind === 'passed') this.#onPassedGone();
  }

  /** @returns whether a refusal is to be logged: not each one of a flood. */
  mayComplain(): boolean {
    const now = performance.now();
    if (now - this.#complainedAt < COMPLAINT_MS) return false;
    this.#complainedAt = now;
    return true;
  }

  /** Gives the place back, and closes the socket when it is idle too long, as from now on. */
  watch(socket: Socket, kind: UpgradeKind): void {
    socket.once('close', () => {
      this.#activity.delete(socket);
      this.leave(kind);
    });
    if (this.#idleMs === 0) return;
    this.#activity.set(socket, { bytes: -1, since: performance.now() });
    this.#sweep ??= setInterval(
      () => {
        this.#closeIdle();
      },
      Math.max(50, Math.min(this.#idleMs / 4, 30_000)),
    ).unref();
  }

  #closeIdle(): void {
    const now = performance.now();
    for (const [socket, activity] of this.#activity) {
      const bytes = socket.bytesRead + socket.bytesWritten;
      if (bytes !== activity.bytes) {
        activity.bytes = bytes;
        activity.since = now;
      } else if (now - activity.since >= this.#idleMs) {
        this.#log(LEVEL_INFO, errorLine(751, { seconds: this.#idleMs / 1000 }));
        this.#activity.delete(socket);
        socket.destroy();
      }
    }
    if (this.#activity.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}
