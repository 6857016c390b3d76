/** `tsgi.input` of a callable. */
import type { ReadableOptions } from 'node:stream';
import { Readable } from 'node:stream';
import { HIGH_WATER } from './exchange.ts';

/** What `tsgi.input` asks of its exchange. */
export interface BodySource {
  /** All of the body is with the exchange: there is nothing to wait for. */
  readonly isBodyComplete: boolean;
  wantBody(): void;
}

/**
 * `tsgi.input`. Lets Apache's part of an `Expect: 100-continue` happen when it is first read.
 *
 * Becomes a stream when somebody looks at its state, which every method of Readable does: most requests
 * have no body, and a Readable that ends unread costs as much as calling the application
 * (npm run bench -- worker).
 */
export class BodyInput {
  readonly #source: BodySource;
  #isMade = false;

  constructor(source: BodySource) {
    this.#source = source;
  }

  get isMade(): boolean {
    return this.#isMade;
  }

  _read(): void {
    this.#source.wantBody();
  }

  get _readableState(): unknown {
    this.#make();
    return this._readableState;
  }

  /** Readable's constructor sets it: from then on it is a property of the instance. */
  set _readableState(value: unknown) {
    Object.defineProperty(this, '_readableState', {
      value,
      writable: true,
      configurable: true,
      enumerable: true,
    });
  }

  #make(): void {
    this.#isMade = true;
    // A function and no class: that is how Node's own subclasses call it.
    Reflect.apply(Readable as unknown as (options: ReadableOptions) => void, this, [
      { highWaterMark: HIGH_WATER },
    ]);
    if (this.#source.isBodyComplete) asReadable(this).push(null);
  }
}

Object.setPrototypeOf(BodyInput.prototype, Readable.prototype);
Object.setPrototypeOf(BodyInput, Readable);

export function asReadable(input: BodyInput): Readable {
  return input as unknown as Readable;
}
