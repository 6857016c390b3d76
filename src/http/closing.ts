/** How a socket and a response come to their end, as in _http_server.js. */
import type { NodeExchange } from './request.ts';
import { asSocket, type RequestSocket } from './socket.ts';

function noop(): void {
  // Deliberately empty.
}

/** As socketOnError() of _http_server.js; nobody else need listen. */
export function onSocketError(this: RequestSocket, error: Error): void {
  this.removeListener('error', onSocketError);
  if (this.listenerCount('error') === 0) this.on('error', noop);
  this.exchange.server.emit('clientError', error, asSocket(this));
}

/** emitCloseNT() of _http_server.js. The socket has served its one request. */
export function closeResponse(exchange: NodeExchange): void {
  const { res } = exchange;
  if (!res._closed) {
    res.destroyed = true;
    res._closed = true;
    res.emit('close');
  }
  exchange.socket.destroy();
}

export function closeSocket(exchange: NodeExchange, hadError: boolean): void {
  exchange.closed(hadError);
}
