/**
 * The hooks on ServerResponse.prototype. Node's own code runs first (validation, Date, lengths, 204
 * and 304, HEAD); then head, body and trailers leave through the channel instead of as HTTP text.
 *
 * On the prototype and not in a subclass, because Express swaps the prototype of `res`; a response
 * that has no exchange under the symbol below is left alone, so that servers of the app's own work.
 */
import { OutgoingMessage, ServerResponse } from 'node:http';
import type { ResponseInternals, ResponseMethods, WriteCallback } from './internals.ts';
import type { NodeExchange } from './request.ts';

/** The exchange of a `req` or a `res`. */
export const kExchange = Symbol('tsgi.exchange');

export interface HostedResponse extends ResponseInternals {
  [kExchange]?: NodeExchange;
}

/** A response head, taken apart. `headers` as `Name: value\r\n…`. */
export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: string;
}

// eslint-disable-next-line no-control-regex -- the question is exactly whether all is ASCII
const NOT_ASCII = /[^\x00-\x7f]/;

/**
 * The bytes of a head, as latin1 text. Node writes it as UTF-8 where it leaves in one piece with text, else as
 * latin1, which keeps of a character beyond it the lower half.
 */
function bytesOf(text: string, isUtf8: boolean): string {
  if (!NOT_ASCII.test(text)) return text;
  return Buffer.from(text, isUtf8 ? 'utf8' : 'latin1').toString('latin1');
}

/**
 * Takes `HTTP/1.1 200 OK\r\nName: value\r\n…\r\n` apart, which _storeHeader() has made.
 * @param isUtf8 Node would send it with text.
 */
export function headOf(response: HostedResponse, isUtf8: boolean): ResponseHead {
  const text = bytesOf(response._header ?? '', isUtf8);
  const end = text.indexOf('\r\n');
  const headers = text.slice(end + 2, -2);
  return { status: Number(text.slice(9, 12)), reason: text.slice(13, end), headers };
}

/**
 * Whether Node's own code would send the head together with this first piece, as text: see _send() of
 * _http_outgoing.js. A chunk is no such piece, since its length stands before it.
 */
export function isSentWithText(
  data: string | Uint8Array,
  encoding: string | null | undefined,
  isChunked: boolean,
): boolean {
  const isText = typeof data === 'string' && (!encoding || encoding === 'utf8');
  return isText && (!isChunked || data === '');
}

/** What the addon writes as it is: latin1 or UTF-8 text, or bytes. */
export function isLatin1(encoding: string | null | undefined): boolean {
  return encoding === 'latin1' || encoding === 'binary' || encoding === 'ascii';
}

/** Text in any other encoding becomes bytes here. @throws TypeError for an unknown encoding, as Node. */
export function toWire(
  data: string | Uint8Array,
  encoding: BufferEncoding | null | undefined,
): string | Uint8Array {
  if (typeof data !== 'string' || !encoding || encoding === 'utf8' || encoding === 'utf-8') {
    return data;
  }
  return isLatin1(encoding) ? data : Buffer.from(data, encoding);
}

let isInstalled = false;

/** Installs the hooks, once for the process. */
export function installResponseHooks(): void {
  if (isInstalled) return;
  isInstalled = true;

  const prototype = ServerResponse.prototype as unknown as ResponseMethods;
  const inherited = OutgoingMessage.prototype as unknown as ResponseMethods;

  // Another tool may have put its own on the prototype: it keeps running, inside ours.
  const own: Partial<ResponseMethods> = Object.fromEntries(
    ['_storeHeader', '_send', 'end']
      .filter((name) => Object.hasOwn(prototype, name))
      .map((name) => [name, Reflect.get(prototype, name)]),
  );
  /* eslint-disable @typescript-eslint/unbound-method -- each is called with the response as `this` */
  const storeHeader = own._storeHeader ?? inherited._storeHeader;
  const send = own._send ?? inherited._send;
  const end = own.end ?? inherited.end;
  /* eslint-enable @typescript-eslint/unbound-method */

  function hookedStoreHeader(this: HostedResponse, firstLine: string, headers: unknown): void {
    storeHeader.call(this, firstLine, headers);
    this[kExchange]?.headStored(this);
  }

  function hookedSend(
    this: HostedResponse,
    data: string | Uint8Array,
    encoding?: BufferEncoding | WriteCallback | null,
    callback?: WriteCallback | null,
    byteLength?: number,
  ): boolean {
    const exchange = this[kExchange];
    if (exchange === undefined) return send.call(this, data, encoding, callback, byteLength);
    if (typeof encoding === 'function') return exchange.send(this, data, undefined, encoding);
    return exchange.send(this, data, encoding, callback);
  }

  function hookedEnd(
    this: HostedResponse,
    chunk?: unknown,
    encoding?: unknown,
    callback?: unknown,
  ): ServerResponse {
    const exchange = this[kExchange];
    if (exchange === undefined || hasEnded(this)) {
      return end.call(this, chunk, encoding, callback);
    }
    exchange.isEnding = true;
    try {
      end.call(this, chunk, encoding, callback);
    } finally {
      exchange.isEnding = false;
    }
    if (hasEnded(this)) exchange.ended(this);
    return this;
  }

  define('_storeHeader', hookedStoreHeader);
  define('_send', hookedSend);
  define('end', hookedEnd);
}

/** A function, since the compiler takes the property for a constant. */
function hasEnded(response: HostedResponse): boolean {
  return response.writableEnded;
}

/** As a method of a class is: others may replace it. */
function define(name: string, value: unknown): void {
  Object.defineProperty(ServerResponse.prototype, name, {
    value,
    writable: true,
    configurable: true,
    enumerable: true,
  });
}
