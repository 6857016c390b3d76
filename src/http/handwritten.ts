/**
 * What comes through an exchange's socket instead of through `res`: interim responses, which Node
 * itself writes as text, and whole responses that an app writes by hand.
 */
import { HIGH_WATER } from './exchange.ts';
import { S_METHOD } from './head.ts';
import type { WriteCallback } from './internals.ts';
import type { RawSink } from './raw.ts';
import { RawResponse } from './raw.ts';
import type { NodeExchange } from './request.ts';

export class Handwritten implements RawSink {
  readonly #exchange: NodeExchange;
  readonly #reader: RawResponse;
  /** The socket's write that waits for a drain. */
  #blocked: WriteCallback | undefined;

  constructor(exchange: NodeExchange) {
    this.#exchange = exchange;
    this.#reader = new RawResponse(this, exchange.head.string(S_METHOD));
  }

  /** The socket's _write(). `callback` is called when there is room for more. */
  write(chunk: Buffer, callback: WriteCallback): void {
    const { res, isChunked } = this.#exchange;
    if (!this.#reader.hasBegun && res._headerSent) {
      this.#reader.skipHead(isChunked ? 'chunked' : 'until-close');
    }
    if (this.#reader.write(chunk) < HIGH_WATER) callback();
    else this.#blocked = callback;
  }

  /** The socket's _final(). @returns whether the response is whole. */
  end(): boolean {
    return this.#reader.end();
  }

  /** There is room again, or there is nobody any more who would need it. */
  unblock(): void {
    const callback = this.#blocked;
    this.#blocked = undefined;
    callback?.();
  }

  interim(status: number, headers: string): void {
    const { channel, id } = this.#exchange;
    if (status === 100) this.#exchange.sendContinue();
    else if (status > 101) channel.inform(id, status, headers);
  }

  rawHead(status: number, reason: string, headers: string, isLast: boolean): number {
    const { channel, id } = this.#exchange;
    const waiting = channel.respond(id, status, reason, headers, undefined, true, isLast);
    return this.#exchange.transmitted(waiting, 0, isLast);
  }

  rawBody(chunk: Uint8Array, isLast: boolean): number {
    const { channel, id, waiting } = this.#exchange;
    if (chunk.length > 0) {
      const left = channel.write(id, chunk, true, isLast);
      return this.#exchange.transmitted(left, chunk.length, isLast);
    }
    if (isLast) channel.end(id, '');
    return this.#exchange.transmitted(waiting, 0, isLast);
  }

  rawInvalid(reason: string): void {
    this.#exchange.fail(713, { reason });
    this.#exchange.socket.destroy();
  }
}
