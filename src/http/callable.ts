/**
 * Serves a request to a TSGI callable (docs/tsgi.md): calls it, takes what it returns apart, sends it
 * with back-pressure, and answers 500 when it fails.
 */
import { TsgiError } from '../errors.ts';
import type { Application, Chunk, ResponseHeaders } from '../types.ts';
import { makeEnviron } from './environ.ts';
import type { HostContext } from './exchange.ts';
import { connectionReset, Exchange, HIGH_WATER, reasonOf } from './exchange.ts';
import type { Head } from './head.ts';
import { S_METHOD } from './head.ts';
import type { BodySource } from './input.ts';
import { asReadable, BodyInput } from './input.ts';
import type { CallableHead } from './start.ts';
import { describe, makeHead } from './start.ts';

type ChunkIterator =
  Iterator<unknown, unknown, undefined> | AsyncIterator<unknown, unknown, undefined>;

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}

/** @returns undefined if the value cannot be iterated. */
function iteratorOf(value: unknown): ChunkIterator | undefined {
  if (typeof value !== 'object' || value === null) return undefined;

  const source = value as {
    [Symbol.asyncIterator]?: () => ChunkIterator;
    [Symbol.iterator]?: () => ChunkIterator;
  };
  return source[Symbol.asyncIterator]?.() ?? source[Symbol.iterator]?.();
}

function isChunk(value: unknown): value is Chunk {
  return typeof value === 'string' || value instanceof Uint8Array;
}

function sizeOf(chunk: Chunk): number {
  return typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.byteLength;
}

/** What the app did against the interface, found after its code had run: it has no telling stack. */
class BadApplication extends TsgiError {}

export class CallableExchange extends Exchange implements BodySource {
  readonly #application: Application;
  readonly #input: BodyInput;
  #head: CallableHead | undefined;
  #hasHeadLeft = false;
  #isReading = true;
  isBodyComplete = false;
  /** Bytes of the body that have been sent. */
  #sent = 0;
  #iterator: ChunkIterator | undefined;
  /** Wakes the loop that waits for a drain. */
  #wake: (() => void) | undefined;

  constructor(host: HostContext, id: number, head: Head, application: Application) {
    super(host, id, head);
    this.#application = application;
    this.#input = new BodyInput(this);
  }

  begin(): void {
    if (!this.head.hasBody) this.endBody();
    const environ = makeEnviron(this, asReadable(this.#input));
    let result: unknown;
    try {
      result = this.#application(environ, (status, headers, error) => {
        this.#startResponse(status, headers, error);
      });
    } catch (error) {
      this.#failed(error);
      return;
    }
    if (isThenable(result)) this.#await(result);
    else this.#take(result);
  }

  #await(result: PromiseLike<unknown>): void {
    result.then(
      (value) => {
        this.#take(value);
      },
      (error: unknown) => {
        this.#failed(error);
      },
    );
  }

  // ---- the request body ----------------------------------------------------------------

  /** The app reads `tsgi.input`. */
  wantBody(): void {
    this.sendContinue();
    if (this.#isReading || !this.isOpen) return;
    this.#isReading = true;
    this.channel.resume(this.id);
  }

  takeBody(chunk: Buffer): void {
    if (asReadable(this.#input).push(chunk) || !this.#isReading) return;
    this.#isReading = false;
    this.channel.pause(this.id);
  }

  endBody(): void {
    this.isBodyComplete = true;
    if (this.#input.isMade) asReadable(this.#input).push(null);
  }

  // ---- the response --------------------------------------------------------------------

  #startResponse(status: unknown, headers: ResponseHeaders | undefined, error: unknown): void {
    if (error === undefined && this.#head !== undefined) throw new TsgiError(707);
    if (this.#hasHeadLeft) throw error;
    this.#head = makeHead(status, headers);
  }

  /** Takes what the application returned, or what its promise gave. */
  #take(result: unknown): void {
    try {
      if (isChunk(result)) this.#sendWhole([result]);
      else if (Array.isArray(result)) this.#sendWhole(result);
      else this.#takeIterable(result);
    } catch (error) {
      this.#failed(error);
    }
  }

  #takeIterable(result: unknown): void {
    const iterator = iteratorOf(result);
    if (iterator === undefined) throw new BadApplication(706, { came: describe(result) });
    this.#iterator = iterator;
    if (!this.isOpen) {
      this.#stopIterating();
      return;
    }
    this.#pump(iterator).catch((error: unknown) => {
      this.#failed(error);
    });
  }

  /** A body that is known at once: it gets its length, and leaves in one piece if it is one. */
  #sendWhole(chunks: readonly unknown[]): void {
    let length = 0;
    const parts: Chunk[] = [];
    for (const chunk of chunks) {
      const size = sizeOf(this.#checkChunk(chunk));
      if (size === 0) continue;

      parts.push(chunk as Chunk);
      length += size;
    }
    const head = this.#needHead('returned its body');
    if (!this.isOpen) return;
    if (head.length === -1) {
      if (head.mayHaveBody) head.text += `Content-Length: ${length}\r\n`;
    } else if (this.#isBodyless(head)) {
      // A HEAD or 304 may tell the length of a body that is not there.
    } else if (head.length !== length) {
      throw new BadApplication(708, { declared: head.length, came: length });
    }
    this.#sendParts(head, this.#isBodyless(head) ? [] : parts);
  }

  #sendParts(head: CallableHead, parts: readonly Chunk[]): void {
    const last = Math.max(0, parts.length - 1);
    this.#respond(head, parts[0], last === 0);
    for (let i = 1; i <= last; i++) {
      this.waiting = this.channel.write(this.id, parts[i] ?? '', false, i === last);
    }
  }

  #respond(head: CallableHead, body: Chunk | undefined, fin: boolean): void {
    const { status, reason, text } = head;
    try {
      this.waiting = this.channel.respond(this.id, status, reason, text, body, false, fin);
    } catch (error) {
      throw new BadApplication(716, { reason: reasonOf(error) });
    }
    this.#hasHeadLeft = true;
  }

  async #pump(iterator: ChunkIterator): Promise<void> {
    for (;;) {
      const next = iterator.next();
      // Awaiting what is no promise would cost a turn of the microtask queue for each chunk.
      const step = isThenable(next) ? await next : next;
      if (step.done === true || !this.isOpen) break;
      const chunk = this.#checkChunk(step.value);
      if (chunk.length === 0) continue;
      if (!this.#sendChunk(chunk)) {
        this.#stopIterating();
        break;
      }
      if (this.waiting >= HIGH_WATER) await this.#drain();
    }
    this.#iterator = undefined;
    this.#endStream();
  }

  /** @returns whether there may be more. */
  #sendChunk(chunk: Chunk): boolean {
    const head = this.#needHead('gave the first piece of its body');
    if (this.#isBodyless(head)) return false;
    if (head.length !== -1) {
      this.#sent += sizeOf(chunk);
      if (this.#sent > head.length) {
        throw new BadApplication(708, { declared: head.length, came: `at least ${this.#sent}` });
      }
    }
    if (this.#hasHeadLeft) this.waiting = this.channel.write(this.id, chunk, false, false);
    else this.#respond(head, chunk, false);
    return true;
  }

  #endStream(): void {
    if (!this.isOpen) return;
    const head = this.#needHead('ended its body');
    const isBodyless = this.#isBodyless(head);
    if (!isBodyless && head.length !== -1 && head.length !== this.#sent) {
      throw new BadApplication(708, { declared: head.length, came: this.#sent });
    }
    if (this.#hasHeadLeft) {
      this.channel.end(this.id, '');
      return;
    }
    if (!isBodyless && head.length === -1) head.text += 'Content-Length: 0\r\n';
    this.#respond(head, undefined, true);
  }

  #isBodyless(head: CallableHead): boolean {
    return !head.mayHaveBody || this.head.string(S_METHOD) === 'HEAD';
  }

  #needHead(what: string): CallableHead {
    if (this.#head === undefined) throw new BadApplication(703, { what });
    return this.#head;
  }

  #checkChunk(chunk: unknown): Chunk {
    if (!isChunk(chunk)) throw new BadApplication(705, { came: describe(chunk) });
    return chunk;
  }

  #drain(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  takeDrain(): void {
    this.waiting = 0;
    this.#wakeUp();
  }

  takeFinish(): void {
    this.isOpen = false;
    this.#closeInput();
  }

  override finishQuietly(): boolean {
    if (!this.isBodyComplete) return false;
    this.isOpen = false;
    return true;
  }

  get isAnswerDue(): boolean {
    return this.isBodyComplete && !this.#hasHeadLeft;
  }

  protected left(): void {
    this.#stopIterating();
    this.#wakeUp();
    this.#closeInput();
  }

  /** Whoever still reads a body that is not complete learns that no more of it comes. */
  #closeInput(): void {
    if (this.isBodyComplete) return;
    const input = asReadable(this.#input);
    if (input.destroyed) return;
    // Without a listener an error would end the worker, though nobody is interested.
    const isRead = input.listenerCount('error') > 0;
    input.destroy(isRead ? connectionReset() : undefined);
  }

  /** Lets a generator run its `finally`. */
  #stopIterating(): void {
    const iterator = this.#iterator;
    this.#iterator = undefined;
    if (iterator?.return === undefined) return;
    try {
      const done: unknown = iterator.return();
      if (isThenable(done)) {
        done.then(undefined, (error: unknown) => {
          this.#failed(error);
        });
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The application threw, rejected, or did something against the interface. */
  #failed(error: unknown): void {
    if (!this.isOpen) {
      this.#failedLate(error);
      return;
    }
    if (error instanceof BadApplication) this.failWith(error);
    else if (error instanceof TsgiError) this.failWith(error, error);
    else this.fail(this.#hasHeadLeft ? 702 : 701, { reason: reasonOf(error) }, error);
    this.abortSignal();
    this.#stopIterating();
    this.#wakeUp();
    this.#closeInput();
  }

  /** Nobody waits for the response any more; that an app ends because of it is as it should be. */
  #failedLate(error: unknown): void {
    if (error instanceof Error && error.name === 'AbortError') return;
    this.log(5, `the app threw after the client had gone: ${reasonOf(error)}`);
  }
}
