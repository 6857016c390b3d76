/**
 * The inquest socket: where Apache's children ask how a worker died (docs/architecture.md). One packet
 * there, one back. Who asks must be Apache's user, or root, and know the generation's secret.
 */
import { timingSafeEqual } from 'node:crypto';
import { readSync } from 'node:fs';
import { errorLine } from '../errors.ts';
import type { NativeAddon, ReadableWatcher } from '../native.ts';
import type { Question } from './inquest.ts';
import { LEVEL, type Log } from './log.ts';

/** Askers at one time; more wait in the backlog. */
const MAX_ASKERS = 64;
const PATIENCE_MS = 1_000;
/** After an accept that failed, for lack of descriptors for instance. */
const PAUSE_MS = 1_000;
const COMPLAIN_MS = 10_000;
const SECRET_SIZE = 32;
const QUESTION_SIZE = 4 + SECRET_SIZE;

export interface DoorOptions {
  readonly native: Pick<NativeAddon, 'acceptPeer' | 'watchReadable' | 'writePacket'>;
  readonly log: Pick<Log, 'host'>;
  readonly closeFd: (fd: number) => void;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly onQuestion: (question: Question) => void;
  /** Listening; the door owns it. */
  readonly fd: number;
  /** −1: any; the secret decides. */
  readonly peerUid: number;
  /** 64 hex digits. */
  readonly secret: string;
}

interface Asker {
  readonly fd: number;
  readonly watcher: ReadableWatcher;
  readonly timer: NodeJS.Timeout;
}

export class Door {
  readonly #options: DoorOptions;
  readonly #secret: Buffer;
  readonly #askers = new Set<Asker>();
  readonly #watcher: ReadableWatcher;
  #complainedAt = -Infinity;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#secret = Buffer.from(options.secret, 'hex');
    this.#watcher = options.native.watchReadable(options.fd, () => {
      this.#accept();
    });
    this.#watcher.start();
  }

  #accept(): void {
    try {
      while (this.#askers.size < MAX_ASKERS) {
        const peer = this.#options.native.acceptPeer(this.#options.fd);
        if (!peer) return;
        this.#welcome(peer.fd, peer.uid);
      }
      this.#watcher.stop(); // Until one of them has gone.
    } catch (error) {
      this.#watcher.stop();
      setTimeout(() => {
        this.#watcher.start();
      }, PAUSE_MS).unref();
      this.#complain(521, String(error));
    }
  }

  #welcome(fd: number, uid: number): void {
    const { native, peerUid, closeFd } = this.#options;
    if (peerUid >= 0 && uid !== peerUid && uid !== 0) {
      closeFd(fd);
      this.#complain(520, `it came from uid ${String(uid)}, expected ${String(peerUid)}`);
      return;
    }
    const watcher = native.watchReadable(fd, () => {
      this.#receive(asker);
    });
    const timer = setTimeout(() => {
      this.#dismiss(asker);
    }, PATIENCE_MS).unref();
    const asker: Asker = { fd, watcher, timer };
    this.#askers.add(asker);
    watcher.start();
  }

  #receive(asker: Asker): void {
    asker.watcher.stop();
    const packet = Buffer.alloc(QUESTION_SIZE + 1); // One more byte shows what is too long.
    let size = 0;
    try {
      size = readSync(asker.fd, packet);
    } catch {
      // It has gone again, which is no question either.
    }
    if (size !== 0) this.#understand(asker, packet.subarray(0, size));
    else this.#dismiss(asker);
  }

  #understand(asker: Asker, packet: Buffer): void {
    const isRight = packet.length === QUESTION_SIZE;
    if (!isRight || !timingSafeEqual(packet.subarray(4), this.#secret)) {
      this.#dismiss(asker);
      this.#complain(520, isRight ? 'its secret is wrong' : 'it is no question');
      return;
    }
    this.#options.onQuestion({
      pid: packet.readUInt32LE(0),
      answer: (words) => {
        if (!this.#askers.has(asker)) return; // It took too long.
        this.#options.native.writePacket(asker.fd, words); // Who has gone needs no answer.
        this.#dismiss(asker);
      },
    });
  }

  #dismiss(asker: Asker): void {
    clearTimeout(asker.timer);
    asker.watcher.close();
    this.#askers.delete(asker);
    this.#options.closeFd(asker.fd);
    this.#watcher.start();
  }

  #complain(code: 520 | 521, reason: string): void {
    const now = this.#options.now();
    if (now - this.#complainedAt < COMPLAIN_MS) return;
    this.#complainedAt = now;
    this.#options.log.host(LEVEL.warn, errorLine(code, { reason }));
  }
}
