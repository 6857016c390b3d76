/**
 * `ready=message`: the app itself says when it is ready, by `process.send('ready')` as under other
 * process managers, for instance when its caches are warm. That it listens is then not enough.
 */
import { TsgiError } from '../errors.ts';

/** process.send(), whose handle and options may be left out. */
type Send = (...args: readonly unknown[]) => boolean;

/**
 * Gives the app a process.send(): what it sends goes nowhere, but for 'ready'.
 * @param send the one that is there already, for a worker of node:cluster.
 */
export function readySend(onReady: () => void, send: Send | undefined): Send {
  return (...args) => {
    if (args[0] === 'ready') onReady();
    if (send) return send(...args);
    const callback = args.findLast((arg) => typeof arg === 'function');
    if (callback !== undefined) process.nextTick(callback, null);
    return true;
  };
}

/** Begins to listen for the app's word. To be called before the app is loaded. */
export class Readiness {
  readonly #isSaid: Promise<void>;

  constructor() {
    this.#isSaid = new Promise((resolve) => {
      const given = process.send?.bind(process) as Send | undefined;
      process.send = readySend(resolve, given);
    });
  }

  /**
   * Waits until the app has said it. Keeps the event loop alive, since an app that only listens
   * does not by itself: Apache holds the sockets.
   * @throws TsgiError 0621 when startup-timeout is over.
   */
  async wait(script: string, startupTimeoutMs: number): Promise<void> {
    const left = Math.max(startupTimeoutMs - performance.now(), 1);
    let timer: NodeJS.Timeout | undefined;
    const isLate = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new TsgiError(621, { script, seconds: startupTimeoutMs / 1000 }));
      }, left);
    });
    try {
      await Promise.race([this.#isSaid, isLate]);
    } finally {
      clearTimeout(timer);
    }
  }
}
