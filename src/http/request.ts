/**
 * An exchange with a (req, res) app: passes the request body to `req`, sends what comes out of `res`
 * through the hooks of response.ts, and ends both as resOnFinish() and socketOnClose() of
 * _http_server.js do.
 */
import { AsyncResource } from 'node:async_hooks';
import type { Server } from 'node:http';
import { enterConnection, leaveConnection, tellConnection } from './connections.ts';
import { isFinishHeard, publishFinish, publishStart } from './diagnostics.ts';
import * as endings from './endings.ts';
import { connectionReset, Exchange, HIGH_WATER, type HostContext, reasonOf } from './exchange.ts';
import { planOfRequest } from './express.ts';
import { Handwritten } from './handwritten.ts';
import type { Head } from './head.ts';
import { splitFields } from './head.ts';
import type { HostedRequest } from './incoming.ts';
import { emitRequest, makeRequest, makeResponse } from './incoming.ts';
import type { WriteCallback } from './internals.ts';
import { detachSignal, emitDrain, planOf } from './internals.ts';
import type { HostedResponse } from './response.ts';
import { headOf, isLatin1, isSentWithText, toWire } from './response.ts';
import { isReadOn, RestOfBody } from './rest.ts';
import { asSocket, openSocket, RequestSocket } from './socket.ts';
import { endUnheard, isUnheard } from './unheard.ts';

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
  /** The app reads the request body on: the response's end waits for it. */
  #rest: RestOfBody | undefined;
  /** All that follows from the end of the response has been done. */
  #isFinished = false;

  constructor(host: HostContext, id: number, head: Head, server: Server) {
    super(host, id, head);
    this.server = server;
    const plan = head.hasExpect ? planOf(server) : planOfRequest(server);
    this.socket = openSocket(RequestSocket, this, plan.responseOptions.highWaterMark);
    this.socket.server = server;
    this.req = makeRequest(this, plan);
    this.res = makeResponse(this, plan);
  }

  begin(): void {
    const { server, socket, res } = this;
    enterConnection(server);
    socket.on('error', endings.onSocketError);
    if (server.timeout) asSocket(socket).setTimeout(server.timeout);
    if (!tellConnection(server, asSocket(socket))) return;
    publishStart(this);
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
    this.#stopReading();
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
      const isHeard = res._eventsCount > 0 || isFinishHeard();
      if (isHeard) this.#ender ??= new AsyncResource('TSGIRESPONSE');
    }
    if (!this.isOpen || this.#isComplete || this.socket.destroyed) return false;
    this.socket.touch();
    if (!res._headerSent && res._header !== null) {
      this.#transmitHead(res, data, encoding);
    } else if (data.length > 0) {
      const fin = this.#isLast(res);
      const waiting = this.channel.write(this.id, toWire(data, encoding), isLatin1(encoding), fin);
      this.transmitted(waiting, data.length, fin);
    }
    // Nothing to say: ended() ends the response.
    if (!this.isEnding && callback) {
      if (this.waiting < HIGH_WATER) process.nextTick(callback);
      else this.#writes.push(callback);
    }
    return this.waiting < HIGH_WATER;
  }

  #transmitHead(
    res: HostedResponse,
    data: string | Uint8Array,
    encoding: BufferEncoding | null | undefined,
  ): void {
    const body = data.length === 0 ? undefined : toWire(data, encoding);
    const isUtf8 = isSentWithText(data, encoding, this.isChunked);
    res._headerSent = true;
    const { status, reason, headers } = headOf(res, isUtf8);
    if (status < 200) {
      this.fail(714, { status });
      this.socket.destroy();
      return;
    }
    const fin = this.#isLast(res);
    let waiting: number;
    try {
      const { channel, id } = this;
      waiting = channel.respond(id, status, reason, headers, body, isLatin1(encoding), fin);
    } catch (error) {
      this.#refused(error);
      return;
    }
    this.transmitted(waiting, data.length, fin);
  }

  /** What is sent now ends the response. */
  #isLast(res: HostedResponse): boolean {
    return this.isEnding && !(this.isChunked && res._trailer !== '') && !isReadOn(this);
  }

  /** `res.end()` has run. */
  ended(res: HostedResponse): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'ended';
    if (this.#isComplete || !this.isOpen) return;
    this.#isComplete = true;
    if (isReadOn(this)) {
      this.#rest = new RestOfBody(this);
      if (this.waiting < HIGH_WATER) setImmediate(endings.finishBeforeRest, this);
    } else this.#sendEnd(res);
  }

  #sendEnd(res: HostedResponse): void {
    try {
      this.channel.end(this.id, this.isChunked ? res._trailer : '');
    } catch (error) {
      this.#refused(error);
    }
  }

  /** The response has left, all but its end. */
  finishBeforeRest(): void {
    if (this.#rest !== undefined && !this.#isFinished) this.#finish();
  }

  /** The app reads the request body on. */
  get isSocketNeeded(): boolean {
    return this.#rest !== undefined;
  }

  #stopReading(): void {
    if (this.#rest === undefined) return;
    this.#rest.stop();
    this.#rest = undefined;
    if (this.isOpen) this.#sendEnd(this.res);
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
    emitDrain(this.res);
    for (const callback of this.#writes.splice(0)) callback();
    this.#handwritten?.unblock();
    this.finishBeforeRest();
  }

  takeFinish(): void {
    this.isOpen = false;
    this.waiting = 0;
    this.#phase = 'finished';
    const { res } = this;
    for (const callback of this.#writes.splice(0)) process.nextTick(callback);
    this.#handwritten?.unblock();
    // An app that wrote its response by hand has left `res` as it was: only its closing is left.
    const isToFinish = res.writableEnded && !this.socket.destroyed && !this.#isFinished;
    if (isToFinish) this.#finish();
    else this.socket.destroy();
  }

  override finishQuietly(): boolean {
    const isSaid = this.res.writableEnded && this.#writes.length === 0 && !this.#handwritten;
    if (!isSaid || !isUnheard(this) || isFinishHeard()) return false;
    this.isOpen = false;
    this.waiting = 0;
    this.#phase = 'finished';
    this.#finishes = [];
    endUnheard(this);
    leaveConnection(this.server);
    return true;
  }

  #finish(): void {
    if (this.#ender) this.#ender.runInAsyncScope(this.#responseFinished, this);
    else this.#responseFinished();
  }

  /** resOnFinish(), then what it is a listener of. */
  #responseFinished(): void {
    const { req, res, socket } = this;
    this.#isFinished = true;
    publishFinish(this);
    if (this.#rest === undefined) this.#leaveRequest();
    detachSignal(req);
    if (socket._httpMessage === res) res.detachSocket(asSocket(socket));
    process.nextTick(endings.closeResponse, this);
    for (const callback of this.#finishes.splice(0)) callback();
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
    this.#stopReading();
    if (this.isOpen && this.#phase === 'open') {
      this.fail(712, { reason: error === null ? 'it gave no reason' : reasonOf(error) });
      this.abortSignal();
    }
    process.nextTick(endings.closeSocket, this, error !== null);
  }

  /** socketOnClose() of _http_server.js, and the 'close' of which it is a listener. */
  closed(hadError: boolean): void {
    if (this.#phase !== 'finished') {
      this.req.destroy(connectionReset());
      endings.failCallbacks(this.#writes.splice(0), this.#finishes.splice(0));
    }
    leaveConnection(this.server);
    this.socket.emit('close', hadError);
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
