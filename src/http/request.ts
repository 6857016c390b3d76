/**
 * An exchange with a (req, res) app: passes the request body to `req`, sends what comes out of `res`
 * through the hooks of response.ts, and ends both as resOnFinish() and socketOnClose() of
 * _http_server.js do.
 */
import { AsyncResource } from 'node:async_hooks';
import { channel as diagnosticsChannel } from 'node:diagnostics_channel';
import type { Server } from 'node:http';
import { enterConnection, leaveConnection, tellConnection } from './connections.ts';
import { closeResponse, closeSocket, onSocketError } from './closing.ts';
import { endUnheard, isUnheard } from './ending.ts';
import type { HostContext } from './exchange.ts';
import { connectionReset, Exchange, HIGH_WATER, reasonOf } from './exchange.ts';
import { Handwritten } from './handwritten.ts';
import type { Head } from './head.ts';
import { splitFields } from './head.ts';
import type { HostedRequest } from './incoming.ts';
import { emitRequest, makeRequest, makeResponse } from './incoming.ts';
import type { WriteCallback } from './internals.ts';
import { detachSignal, findSymbol, planOf } from './internals.ts';
import type { HostedResponse } from './response.ts';
import { headOf, isLatin1, toWire } from './response.ts';
import { asSocket, RequestSocket } from './socket.ts';

const requestStart = diagnosticsChannel('http.server.request.start');
const responseFinish = diagnosticsChannel('http.server.response.finish');

/** The symbol under which Node keeps "somebody waits for drain". */
let kNeedDrain: symbol | undefined;

/** How far the response is. */
type Phase =
  /** Parts of it may still come. */
  | 'open'
  /** All of it is with the channel. */
  | 'ended'
  /** All of it has left. */
  | 'finished';

export class NodeExchange extends Exchange {
  readonly server: Server;
  readonly socket: RequestSocket;
  readonly req: HostedRequest;
  readonly res: HostedResponse;
  /** `res.end()` runs: what is sent now is the last. */
  isEnding = false;
  /** Node's own code would have sent chunks, and so trailers. */
  isChunked = false;
  #phase: Phase = 'open';
  #hasHeadLeft = false;
  /** The channel knows that the response is whole. */
  #isComplete = false;
  /** Callbacks of writes that wait for a drain. */
  #writes: WriteCallback[] = [];
  /** Callbacks that wait for the end: Node's onFinish among them. */
  #finishes: WriteCallback[] = [];
  /** Where end() was called: there 'finish' comes, as with Node, and sees the same AsyncLocalStorage. */
  #ender: AsyncResource | undefined;
  #handwritten: Handwritten | undefined;

  constructor(host: HostContext, id: number, head: Head, server: Server) {
    super(host, id, head);
    this.server = server;
    const plan = planOf(server);
    this.socket = new RequestSocket(this, plan.responseOptions.highWaterMark);
    this.socket.server = server;
    this.req = makeRequest(this, plan);
    this.res = makeResponse(this, plan);
  }

  begin(): void {
    const { server, socket, req, res } = this;
    enterConnection(server);
    socket.on('error', onSocketError);
    if (server.timeout) asSocket(socket).setTimeout(server.timeout);
    if (!tellConnection(server, asSocket(socket))) return;
    if (requestStart.hasSubscribers) {
      requestStart.publish({ request: req, response: res, socket, server });
    }
    res.assignSocket(asSocket(socket));
    try {
      emitRequest(this);
    } finally {
      if (!this.head.hasBody) this.endBody('');
    }
  }

  // ---- the request body ----------------------------------------------------------------

  takeBody(chunk: Buffer): void {
    this.socket.bytesRead += chunk.length;
    this.socket.touch();
    if (!this.req._dumped && !this.req.push(chunk)) this.socket.pause();
  }

  endBody(trailers: string): void {
    const { req } = this;
    if (req.complete) return;
    req.complete = true;
    if (trailers !== '') {
      const raw = splitFields(trailers);
      req._addHeaderLines(raw, raw.length);
    }
    req.push(null);
  }

  // ---- the response --------------------------------------------------------------------

  /** Called when Node has made the head's text. From here on bodies leave without chunk framing. */
  headStored(res: HostedResponse): void {
    this.isChunked = res.chunkedEncoding;
    res.chunkedEncoding = false;
  }

  /** Takes what Node's own code would have sent: the head if it has not left, and `data`. */
  send(
    res: HostedResponse,
    data: string | Uint8Array,
    encoding: BufferEncoding | null | undefined,
    callback: WriteCallback | null | undefined,
  ): boolean {
    if (this.isEnding && callback) {
      this.#finishes.push(callback);
      if (res._eventsCount > 0) this.#ender ??= new AsyncResource('TSGIRESPONSE');
    }
    if (!this.isOpen || this.#isComplete || this.socket.destroyed) return false;
    this.socket.touch();
    this.#transmit(res, toWire(data, encoding), isLatin1(encoding));
    if (!this.isEnding && callback) {
      if (this.waiting < HIGH_WATER) process.nextTick(callback);
      else this.#writes.push(callback);
    }
    return this.waiting < HIGH_WATER;
  }

  #transmit(res: HostedResponse, data: string | Uint8Array, latin1: boolean): void {
    const fin = this.isEnding && !(this.isChunked && res._trailer !== '');
    const { channel, id } = this;
    let waiting: number;
    if (!res._headerSent && res._header !== null) {
      res._headerSent = true;
      const { status, reason, headers } = headOf(res);
      if (status < 200) {
        this.fail(714, { status });
        this.socket.destroy();
        return;
      }
      const body = data.length === 0 ? undefined : data;
      try {
        waiting = channel.respond(id, status, reason, headers, body, latin1, fin);
      } catch (error) {
        this.#refused(error);
        return;
      }
    } else if (data.length > 0) {
      waiting = channel.write(id, data, latin1, fin);
    } else {
      // Nothing to say: ended() ends the response.
      return;
    }
    this.transmitted(waiting, data.length, fin);
  }

  /** `res.end()` has run. */
  ended(res: HostedResponse): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'ended';
    if (this.#isComplete || !this.isOpen) return;
    this.#isComplete = true;
    try {
      this.channel.end(this.id, this.isChunked ? res._trailer : '');
    } catch (error) {
      this.#refused(error);
    }
  }

  /**
   * Headers or trailers beyond the limits of the wire. Node has none, so no app expects an exception here:
   * it costs this request, not the worker.
   */
  #refused(error: unknown): void {
    this.fail(716, { reason: reasonOf(error) });
    this.socket.destroy();
  }

  /**
   * What `writableLength` of socket and response adds: never 0 between end() and its last byte, so
   * that Node's end() passes its 'finish' to send() and does not emit it at once.
   */
  get pendingLength(): number {
    if (this.isEnding || this.#phase === 'ended') return Math.max(1, this.waiting);
    return this.waiting >= HIGH_WATER ? this.waiting : 0;
  }

  takeDrain(): void {
    this.waiting = 0;
    const { res } = this;
    kNeedDrain ??= findSymbol(res, 'kNeedDrain');
    if (kNeedDrain !== undefined && res[kNeedDrain] === true && !res.writableEnded) {
      res[kNeedDrain] = false;
      res.emit('drain');
    }
    const writes = this.#writes;
    this.#writes = [];
    for (const callback of writes) callback();
    this.#handwritten?.unblock();
  }

  takeFinish(): void {
    this.isOpen = false;
    this.waiting = 0;
    this.#phase = 'finished';
    const { res } = this;
    for (const callback of this.#writes) process.nextTick(callback);
    this.#writes = [];
    this.#handwritten?.unblock();
    // An app that wrote its response by hand has left `res` as it was: only its closing is left.
    if (!res.writableEnded || this.socket.destroyed) this.socket.destroy();
    else if (this.#ender) this.#ender.runInAsyncScope(this.#responseFinished, this);
    else this.#responseFinished();
  }

  override finishQuietly(): boolean {
    const isSaid = this.res.writableEnded && this.#writes.length === 0 && !this.#handwritten;
    if (!isSaid || !isUnheard(this) || responseFinish.hasSubscribers) return false;
    this.isOpen = false;
    this.waiting = 0;
    this.#phase = 'finished';
    this.#finishes = [];
    endUnheard(this);
    leaveConnection(this.server);
    return true;
  }

  /** resOnFinish(), then what it is a listener of. */
  #responseFinished(): void {
    const { req, res, server, socket } = this;
    if (responseFinish.hasSubscribers) {
      responseFinish.publish({ request: req, response: res, socket, server });
    }
    this.#leaveRequest();
    detachSignal(req);
    if (socket._httpMessage === res) res.detachSocket(asSocket(socket));
    process.nextTick(closeResponse, this);
    for (const callback of this.#finishes) callback();
  }

  /** The rest of the request body, if any, stays with Apache. */
  #leaveRequest(): void {
    const { req } = this;
    if (!req.complete && req._consuming && !req._dumped) {
      req.destroy(connectionReset());
      return;
    }
    if (!req._consuming && !req._readableState.resumeScheduled) req._dump();
    this.endBody('');
  }

  get isAnswerDue(): boolean {
    return this.req.complete && !this.#hasHeadLeft;
  }

  // ---- closing -------------------------------------------------------------------------

  protected left(): void {
    this.socket.destroy();
  }

  /** The socket is destroyed: by takeClose(), by the app, or after the end. */
  socketDestroyed(error: Error | null): void {
    if (this.isOpen && this.#phase === 'open') {
      this.fail(712, { reason: error === null ? 'it gave no reason' : reasonOf(error) });
      this.abortSignal();
    }
    process.nextTick(closeSocket, this, error !== null);
  }

  /** socketOnClose() of _http_server.js, and the 'close' of which it is a listener. */
  closed(hadError: boolean): void {
    if (this.#phase !== 'finished') {
      this.req.destroy(connectionReset());
      this.#failCallbacks();
    }
    leaveConnection(this.server);
    this.socket.emit('close', hadError);
  }

  #failCallbacks(): void {
    const error = Object.assign(new Error('Cannot call write after a stream was destroyed'), {
      code: 'ERR_STREAM_DESTROYED',
    });
    for (const callback of this.#writes) process.nextTick(callback, error);
    // Node 20 and 22 have one that takes no error and would emit 'finish'.
    for (const callback of this.#finishes)
      if (callback.length > 0) process.nextTick(callback, error);
    this.#writes = [];
    this.#finishes = [];
  }

  /** socketOnTimeout() of _http_server.js. @returns whether somebody took care of it. */
  emitTimeout(): boolean {
    const { req, res, server, socket } = this;
    const byRequest = !req.complete && req.emit('timeout', socket);
    const byResponse = socket._httpMessage === res && res.emit('timeout', socket);
    return server.emit('timeout', socket) || byRequest || byResponse;
  }

  // ---- what comes through the socket ---------------------------------------------------

  /** The socket's _write(). */
  writeRaw(chunk: Buffer, callback: WriteCallback): void {
    this.socket.touch();
    if (!this.isOpen || this.#isComplete) {
      callback();
      return;
    }
    this.#handwritten ??= new Handwritten(this);
    this.#handwritten.write(chunk, callback);
  }

  /** The socket's _final(): the app has ended it. */
  endRaw(): void {
    if (this.#phase !== 'open' || !this.isOpen) return;
    if (this.#handwritten?.end() !== true) this.socket.destroy();
  }

  /** Something of the response was sent. @returns `waiting`. */
  transmitted(waiting: number, bytes: number, isLast: boolean): number {
    this.#hasHeadLeft = true;
    this.waiting = waiting;
    this.socket.bytesWritten += bytes;
    if (isLast) {
      this.#isComplete = true;
      this.#phase = 'ended';
    }
    return waiting;
  }
}
