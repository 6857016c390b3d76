/**
 * Sockets without a file descriptor: net.Socket's surface and the client's truth over an exchange. One
 * for each request, since one Apache connection carries many clients. RequestSocket is that of a
 * (req, res) exchange: bodies do not pass through it, what does is text that an app writes by hand, and
 * 1xx. That of an upgrade is in tunnel.ts.
 */
import type { AddressInfo } from 'node:net';
import { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { emitTimeout } from './endings.ts';
import type { WriteCallback } from './internals.ts';
import type { Exchange } from './exchange.ts';
import { HIGH_WATER } from './exchange.ts';
import { S_LOCAL_ADDR, S_REMOTE_ADDR } from './head.ts';
import type { NodeExchange } from './request.ts';
import { tlsVariantOf } from './tls.ts';

/** As net.Socket's own; `close` is emitted by hand, after the request has been told. */
const OPTIONS = { allowHalfOpen: true, emitClose: false, highWaterMark: HIGH_WATER } as const;

/** As in net.Socket: IPv4 or IPv6. */
export function familyOf(address: string): string {
  return address.includes(':') ? 'IPv6' : 'IPv4';
}

/** What sockets over an exchange have in common. */
export abstract class ExchangeSocket extends Duplex {
  abstract readonly exchange: Exchange;
  /** The app's server, as Node sets it. */
  server: unknown;
  /** Set by net.Socket's setTimeout(), which is inherited. */
  declare timeout?: number;
  bytesRead = 0;
  bytesWritten = 0;

  constructor(highWaterMark = HIGH_WATER) {
    super(highWaterMark === HIGH_WATER ? OPTIONS : { ...OPTIONS, highWaterMark });
  }

  get remoteAddress(): string {
    return this.exchange.head.string(S_REMOTE_ADDR);
  }

  get remotePort(): number {
    return this.exchange.head.remotePort;
  }

  get remoteFamily(): string {
    return familyOf(this.remoteAddress);
  }

  get localAddress(): string {
    return this.exchange.head.string(S_LOCAL_ADDR);
  }

  get localPort(): number {
    return this.exchange.head.localPort;
  }

  get localFamily(): string {
    return familyOf(this.localAddress);
  }

  /** As on a tls.TLSSocket: true, or not there. */
  get encrypted(): true | undefined {
    return this.exchange.head.isTls ? true : undefined;
  }

  get bufferSize(): number {
    return this.writableLength;
  }

  address(): AddressInfo {
    return { address: this.localAddress, family: this.localFamily, port: this.localPort };
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  connect(): never {
    throw new Error('this socket is connected already: it belongs to a request that Apache serves');
  }

  /** Apache's connection carries other requests: there is nothing to reset but this one. */
  resetAndDestroy(): this {
    return this.destroy();
  }

  override destroy(error?: Error): this {
    // net.Socket's timer can only be cleared while the stream is not destroyed.
    if (this.timeout && !this.destroyed) asSocket(this).setTimeout(0);
    return super.destroy(error);
  }

  /** net.Socket restarts its time limit whenever something moves. */
  touch(): void {
    if (this.timeout) (asSocket(this) as { _unrefTimer?(): void })._unrefTimer?.();
  }
}

export class RequestSocket extends ExchangeSocket {
  readonly exchange: NodeExchange;
  /** Set by ServerResponse.assignSocket(). */
  _httpMessage: unknown = null;
  /** Read by IncomingMessage: never paused in its sense, see pause(). */
  _paused = false;
  #isReading = true;

  constructor(exchange: NodeExchange, highWaterMark: number) {
    super(highWaterMark);
    this.exchange = exchange;
  }

  /** Stops the request body where Apache has it. */
  override pause(): this {
    if (this.#isReading) {
      this.#isReading = false;
      if (this.exchange.isOpen) this.exchange.channel.pause(this.exchange.id);
    }
    return this;
  }

  /** IncomingMessage calls this each time it wants more. */
  override resume(): this {
    if (!this.#isReading) {
      this.#isReading = true;
      if (this.exchange.isOpen) this.exchange.channel.resume(this.exchange.id);
    }
    return this;
  }

  override isPaused(): boolean {
    return !this.#isReading;
  }

  /** Nothing is ever read here: the request body goes to `req`. */
  override _read(): void {
    // Deliberately empty.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.exchange.writeRaw(chunk, callback);
  }

  override _final(callback: WriteCallback): void {
    this.exchange.endRaw();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    callback(error);
    this.exchange.socketDestroyed(error);
  }

  /** Called by net.Socket's timer; as socketOnTimeout of _http_server.js. */
  _onTimeout(): void {
    if (!emitTimeout(this.exchange)) this.destroy();
    this.emit('timeout');
  }
}

/** What net.Socket's prototype holds as state of an instance, where it is the same for all of ours. */
const SHARED = {
  pending: false,
  connecting: false,
  _hadError: false,
  _parent: null,
  _server: null,
  parser: null,
  // Inherited, it would write to a handle.
  _writev: null,
  // What people look at: it is a Socket.
  constructor: Socket,
} as const;

// `instanceof net.Socket` holds, and what is not overridden above (setTimeout, setNoDelay,
// destroySoon, readyState …) is Node's own; all of it works on a socket that has no handle.
Object.setPrototypeOf(ExchangeSocket.prototype, Socket.prototype);
for (const [name, value] of Object.entries(SHARED)) {
  Object.defineProperty(ExchangeSocket.prototype, name, {
    value,
    writable: true,
    configurable: true,
    enumerable: false,
  });
}

Reflect.deleteProperty(RequestSocket.prototype, 'constructor');

// What Apache has not taken yet counts as not written.
const ownLength = Object.getOwnPropertyDescriptor(Duplex.prototype, 'writableLength');
Object.defineProperty(RequestSocket.prototype, 'writableLength', {
  get(this: RequestSocket): number {
    return Number(ownLength?.get?.call(this) ?? 0) + this.exchange.pendingLength;
  },
  configurable: true,
  enumerable: false,
});

type SocketClass<A extends unknown[], T extends ExchangeSocket> = new (...args: A) => T;

const tlsVariants = new Map<unknown, unknown>();

/** Makes a socket; where the client came by TLS, one that is a tls.TLSSocket. */
export function openSocket<A extends [Exchange, ...unknown[]], T extends ExchangeSocket>(
  Kind: SocketClass<A, T>,
  ...args: A
): T {
  if (!args[0].head.isTls) return new Kind(...args);
  let Variant = tlsVariants.get(Kind) as SocketClass<A, T> | undefined;
  if (Variant === undefined) {
    Variant = tlsVariantOf(Kind, Socket.prototype);
    tlsVariants.set(Kind, Variant);
  }
  return new Variant(...args);
}

/** The same object, as the type that Node's API asks for. */
export function asSocket(socket: ExchangeSocket): Socket {
  return socket as unknown as Socket;
}
