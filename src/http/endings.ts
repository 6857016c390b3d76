/** What _http_server.js does when something of a (req, res) exchange ends, or takes too long. */
import type { WriteCallback } from './internals.ts';
import type { NodeExchange } from './request.ts';
import type { RequestSocket } from './socket.ts';
import { asSocket } from './socket.ts';

function noop(): void {
  // Deliberately empty.
}

/** As socketOnError(); nobody else need listen. */
export function onSocketError(this: RequestSocket, error: Error): void {
  this.removeListener('error', onSocketError);
  if (this.listenerCount('error') === 0) this.on('error', noop);
  this.exchange.server.emit('clientError', error, asSocket(this));
}

/** socketOnTimeout(). @returns whether somebody took care of it. */
export function emitTimeout({ req, res, server, socket }: NodeExchange): boolean {
  const byRequest = !req.complete && req.emit('timeout', socket);
  const byResponse = socket._httpMessage === res && res.emit('timeout', socket);
  return server.emit('timeout', socket) || byRequest || byResponse;
}

/** emitCloseNT(). The socket has served its one request, unless the body is read on. */
export function closeResponse(exchange: NodeExchange): void {
  const { res } = exchange;
  if (!res._closed) {
    res.destroyed = true;
    res._closed = true;
    res.emit('close');
  }
  if (!exchange.isSocketNeeded) exchange.socket.destroy();
}

export function closeSocket(exchange: NodeExchange, hadError: boolean): void {
  exchange.closed(hadError);
}

export function finishBeforeRest(exchange: NodeExchange): void {
  exchange.finishBeforeRest();
}

/** What waited for a response that will not be sent any more. */
export function failCallbacks(
  writes: readonly WriteCallback[],
  finishes: readonly WriteCallback[],
): void {
  const error = Object.assign(new Error('Cannot call write after a stream was destroyed'), {
    code: 'ERR_STREAM_DESTROYED',
  });
  for (const callback of writes) process.nextTick(callback, error);
  // Node 20 and 22 have one that takes no error and would emit 'finish'.
  for (const callback of finishes) if (callback.length > 0) process.nextTick(callback, error);
}
