/** The end of a (req, res) exchange of which nobody hears. */
import type { EndState, RequestInternals, ResponseInternals } from './internals.ts';
import { detachSignal, markClosed } from './internals.ts';
import type { RequestSocket } from './socket.ts';
import { asSocket } from './socket.ts';

interface Ending {
  readonly req: RequestInternals;
  readonly res: ResponseInternals;
  readonly socket: RequestSocket;
}

interface SocketInternals {
  readonly _eventsCount: number;
  readonly _readableState: EndState;
  readonly _writableState: EndState;
}

const internalsOf = (socket: RequestSocket): SocketInternals =>
  socket as unknown as SocketInternals;

/** Nobody listens but the exchange, for errors, and the response that it is assigned to, for its end. */
function isSocketUnheard(socket: RequestSocket): boolean {
  const isOurs = socket.listenerCount('error') === 1 && socket.listenerCount('close') === 1;
  return internalsOf(socket)._eventsCount === 2 && isOurs && !socket.timeout;
}

/** @returns whether the request is over, and no code of the app can hear of it. */
export function isUnheard({ req, res, socket }: Ending): boolean {
  const isOver = req.complete && !req._consuming && req._readableState.length === 0;
  const isQuiet = req._eventsCount === 0 && res._eventsCount === 0;
  return isOver && isQuiet && socket._httpMessage === res && isSocketUnheard(socket);
}

/**
 * What resOnFinish() and socketOnClose() of _http_server.js come to. The states of `req`, `res` and socket are
 * set to what they would be after the dozen ticks in which they tell nobody: those are a fifth of what a short
 * answer costs (npm run bench -- worker).
 */
export function endUnheard({ req, res, socket }: Ending): void {
  detachSignal(req);
  res.detachSocket(asSocket(socket));
  res.destroyed = true;
  res._closed = true;
  req._dumped = true;
  const state = req._readableState;
  state.flowing = true;
  state.endEmitted = true;
  const { _readableState, _writableState } = internalsOf(socket);
  for (const over of [state, _readableState, _writableState]) markClosed(over);
}
