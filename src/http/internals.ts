/**
 * What of Node's own http classes is not in their public types, typed by hand for Node 20 to 26. The
 * names are internal but old; test/http runs against every Node that is supported.
 */
import type { Server } from 'node:http';
import { IncomingMessage, ServerResponse } from 'node:http';
import { getDefaultHighWaterMark, type Duplex } from 'node:stream';
import { HIGH_WATER } from './exchange.ts';

export type WriteCallback = (error?: Error | null) => void;

/** How many kinds of events anybody listens to (node:events). */
interface Emitting {
  readonly _eventsCount: number;
}

/** What of a stream's state says that it is over. */
export interface EndState {
  destroyed: boolean;
  closed: boolean;
  closeEmitted: boolean;
}

/** ServerResponse with what lies beneath its public surface. */
export interface ResponseInternals extends ServerResponse, Emitting {
  _header: string | null;
  _headerSent: boolean;
  _trailer: string;
  _contentLength: number | null;
  _removedConnection: boolean;
  _closed: boolean;
  _expect_continue: boolean;
  _keepAliveTimeout: number;
  _maxRequestsPerSocket: number | null;
  [symbol: symbol]: unknown;
}

/** IncomingMessage with what lies beneath its public surface. */
export interface RequestInternals extends IncomingMessage, Emitting {
  joinDuplicateHeaders: boolean;
  upgrade: boolean | null;
  /** As of a request that a router of Express has handed to a mounted app. */
  originalUrl?: string;
  baseUrl?: string;
  _consuming: boolean;
  _dumped: boolean;
  _readableState: EndState & {
    resumeScheduled?: boolean;
    flowing: boolean | null;
    endEmitted: boolean;
    readonly length: number;
  };
  _addHeaderLines(headers: string[], count: number): void;
  _dump(): void;
}

/** The methods of ServerResponse.prototype that are hooked, see response.ts. */
export interface ResponseMethods {
  _storeHeader(this: ServerResponse, firstLine: string, headers: unknown): void;
  _send(
    this: ServerResponse,
    data: string | Uint8Array,
    encoding?: BufferEncoding | WriteCallback | null,
    callback?: WriteCallback | null,
    byteLength?: number,
  ): boolean;
  end(
    this: ServerResponse,
    chunk?: unknown,
    encoding?: unknown,
    callback?: unknown,
  ): ServerResponse;
}

/** A field of http.Server that has a symbol for a name. */
interface ServerInternals extends Server {
  [symbol: symbol]: unknown;
  highWaterMark?: number;
  joinDuplicateHeaders?: boolean;
  rejectNonStandardBodyWrites?: boolean;
}

export type RequestClass = new (socket: Duplex) => RequestInternals;
export type ResponseClass = new (
  request: IncomingMessage,
  options: { highWaterMark: number; rejectNonStandardBodyWrites: boolean },
) => ResponseInternals;

/** What a server was created with that matters to each of its requests. Read once for each server. */
export interface ServerPlan {
  readonly Request: RequestClass;
  readonly Response: ResponseClass;
  readonly responseOptions: { highWaterMark: number; rejectNonStandardBodyWrites: boolean };
  readonly joinDuplicateHeaders: boolean;
  readonly uniqueHeadersSymbol: symbol | undefined;
  readonly uniqueHeaders: unknown;
}

/** Node 26 ends `req.signal` with the socket, but not after a response; there is nothing before it. */
const kDetachSignal = findSymbol(IncomingMessage.prototype, 'kDetachAbortSignal');

/** As resOnFinish() of _http_server.js: the closing of the socket means nothing to `req.signal` now. */
export function detachSignal(req: RequestInternals): void {
  const detach: unknown = kDetachSignal && Reflect.get(req, kDetachSignal);
  if (typeof detach === 'function') Reflect.apply(detach, req, []);
}

export function markClosed(state: EndState): void {
  state.destroyed = true;
  state.closed = true;
  state.closeEmitted = true;
}

const plans = new WeakMap<Server, ServerPlan>();

/** @returns the own symbol of `object` with that description: Node keeps many fields under such. */
export function findSymbol(object: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description);
}

/** The symbol under which Node keeps "somebody waits for drain". */
let kNeedDrain: symbol | undefined;

/** As ondrain() of _http_server.js. */
export function emitDrain(res: ResponseInternals): void {
  kNeedDrain ??= findSymbol(res, 'kNeedDrain');
  if (kNeedDrain !== undefined && res[kNeedDrain] === true && !res.writableEnded) {
    res[kNeedDrain] = false;
    res.emit('drain');
  }
}

export function planOf(server: Server): ServerPlan {
  const known = plans.get(server);
  if (known !== undefined) return known;

  const internals = server as ServerInternals;
  const read = (description: string): unknown => {
    const symbol = findSymbol(server, description);
    return symbol === undefined ? undefined : internals[symbol];
  };
  const asked = internals.highWaterMark;
  const highWaterMark =
    asked === undefined || asked === getDefaultHighWaterMark(false) ? HIGH_WATER : asked;
  const plan: ServerPlan = {
    Request: (read('IncomingMessage') ?? IncomingMessage) as unknown as RequestClass,
    Response: (read('ServerResponse') ?? ServerResponse) as unknown as ResponseClass,
    responseOptions: {
      highWaterMark,
      rejectNonStandardBodyWrites: internals.rejectNonStandardBodyWrites ?? false,
    },
    joinDuplicateHeaders: internals.joinDuplicateHeaders ?? false,
    uniqueHeadersSymbol: findSymbol(server, 'kUniqueHeaders'),
    uniqueHeaders: read('kUniqueHeaders'),
  };

  plans.set(server, plan);
  return plan;
}
