/**
 * The rest of a request body that an app reads on when it has answered already. As in Node it gets all of it:
 * the end of the response is kept back until the body is complete, so that Apache goes on with it. An answer
 * whose length is told is with the client whole meanwhile.
 */
import { connectionReset } from './exchange.ts';
import type { NodeExchange } from './request.ts';

/** So long an app may leave what has come unread, after its answer, before it is taken for done. */
const PATIENCE_MS = 5000;

/** Whether somebody is there who reads the body. A body that nobody reads stays with Apache. */
export function isReadOn({ req, head, isContinueDue }: NodeExchange): boolean {
  if (!head.hasBody || req.complete || req.destroyed) return false;
  if (req._dumped || !req._consuming || isContinueDue) return false;
  return (
    req.readableFlowing === true ||
    req.listenerCount('data') > 0 ||
    req.listenerCount('readable') > 0
  );
}

/** Looks now and then whether the app still reads, and takes the body from it if not. */
export class RestOfBody {
  readonly #timer: NodeJS.Timeout;

  constructor({ req, socket }: NodeExchange) {
    let before = -1;
    this.#timer = setInterval(() => {
      const isWaiting = socket.isPaused() && req.readableFlowing !== true;
      if (isWaiting && socket.bytesRead === before) req.destroy(connectionReset());
      before = socket.bytesRead;
    }, PATIENCE_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
