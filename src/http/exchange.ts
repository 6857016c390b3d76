/**
 * One request and its response. A subclass serves it to one kind of app; the host passes it what the
 * channel tells about its id, each time inside the exchange's own asynchronous scope, so that what
 * an app keeps in an AsyncLocalStorage never shows in another request.
 */
import { AsyncResource } from 'node:async_hooks';
import { inspect } from 'node:util';
import type { ErrorDetails, ErrorNumber, TsgiError } from '../errors.ts';
import { errorText } from '../errors.ts';
import { FLAG_EXPECT } from '../events.ts';
import type { Channel, NativeAddon } from '../native.ts';
import type { HostOptions } from './app.ts';
import type { Head } from './head.ts';
import type { Upgrades } from './upgrades.ts';
import { S_REQUEST_ID } from './head.ts';

/** From here on `write` says "wait for drain". The channel tells when it is below its low mark. */
export const HIGH_WATER = 64 * 1024;

/** syslog(3)'s LOG_ERR. */
const LEVEL_ERROR = 3;
/** A stack that is longer than this says nothing more to its reader. */
const MAX_STACK_LINES = 60;

/** What the host lends to its exchanges. */
export interface HostContext {
  readonly native: NativeAddon;
  readonly channel: Channel;
  readonly options: HostOptions;
  readonly upgrades: Upgrades;
  /** The exchange's id is dead; nothing more will be told about it. */
  forget(id: number): void;
}

export abstract class Exchange extends AsyncResource {
  readonly host: HostContext;
  readonly channel: Channel;
  readonly id: number;
  readonly head: Head;
  /** The id is alive: what is written will be sent. */
  isOpen = true;
  /** Bytes that Apache has not taken yet, as the channel last said. */
  waiting = 0;
  /** When it was first seen that its answer is due, by performance.now(); 0 = not yet. */
  dueSince = 0;
  #abort: AbortController | undefined;
  /** The signal is aborted, or would be if anybody had asked for it. */
  #isAborted = false;
  #abortReason: DOMException | undefined;
  #isExpecting: boolean;

  constructor(host: HostContext, id: number, head: Head) {
    super('TSGIREQUEST');
    this.host = host;
    this.channel = host.channel;
    this.id = id;
    this.head = head;
    this.#isExpecting = (head.flags & FLAG_EXPECT) !== 0;
  }

  /** Calls the app. */
  abstract begin(): void;
  /** A piece of the request body; the exchange pauses the channel when it has enough. */
  abstract takeBody(chunk: Buffer): void;
  /** The request body is complete. `trailers` as `Name: value\r\n…`. */
  abstract endBody(trailers: string): void;
  /** What was written is below the low-water mark. */
  abstract takeDrain(): void;
  /** The whole response has left. The id is dead. */
  abstract takeFinish(): void;
  /** Does what takeFinish() does, outside of the scope, if no code of the app can hear of it. @returns whether. */
  finishQuietly(): boolean {
    return false;
  }
  /** The client has gone before that. The id is dead. */
  takeClose(): void {
    this.#leave();
  }

  /** The client's own descriptor has come, for who has asked for it; it is his from now on. */
  takeSocket?(fd: number, received: Buffer): void;

  /** The request is whole and its app has sent no head: request-timeout runs. */
  abstract get isAnswerDue(): boolean;

  /** request-timeout is over: Apache answers 504; the app sees a client that leaves. */
  timeOut(): void {
    const seconds = this.head.timeoutMs / 1000;
    this.fail(730, { seconds });
    this.#leave(new DOMException(`no answer within ${seconds} s`, 'TimeoutError'));
  }

  #leave(reason?: DOMException): void {
    this.isOpen = false;
    this.abortSignal(reason);
    this.left();
  }

  /** Nobody waits for the response any more; the signal is aborted, the id is dead. */
  protected abstract left(): void;

  /** Aborted when the client goes, or request-timeout is over. Made when first asked for: it is dear on Node 20. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#isAborted) this.#abort.abort(this.#abortReason);
    }
    return this.#abort.signal;
  }

  /** Nobody waits for the response any more; without a reason it is an AbortError. */
  protected abortSignal(reason?: DOMException): void {
    this.#isAborted = true;
    this.#abortReason ??= reason;
    this.#abort?.abort(reason);
  }

  /** Lets an `Expect: 100-continue` body come. Once, and nothing for other requests. */
  sendContinue(): void {
    if (!this.#isExpecting || !this.isOpen) return;
    this.#isExpecting = false;
    this.channel.sendContinue(this.id);
  }

  /** The client waits with the body, and nobody has asked for it yet. */
  get isContinueDue(): boolean {
    return this.#isExpecting;
  }

  /** One log entry a line, in the error log of the request's virtual host. */
  log(level: number, text: string): void {
    for (const line of text.split('\n')) {
      if (line.trim() === '') continue;
      if (this.isOpen) this.channel.log(this.id, level, line);
      else this.host.options.log(level, `[request ${this.head.string(S_REQUEST_ID)}] ${line}`);
    }
  }

  /**
   * Ends the exchange for a reason that the error log shall know. Apache answers 500 through its
   * ErrorDocument if no head has left, else the client sees a truncation.
   * @param error what the app threw: its stack goes to the log, nothing of it to the client.
   */
  fail(number: ErrorNumber, details: ErrorDetails, error?: unknown): void {
    this.#abortWith(number, errorText(number, details), error);
  }

  /** The same for an error of our own. @param error logged with its stack, as above. */
  failWith(reason: TsgiError, error?: unknown): void {
    // The id travels beside the text.
    this.#abortWith(reason.number, reason.message.slice(reason.code.length + 2), error);
  }

  #abortWith(number: ErrorNumber, text: string, error: unknown): void {
    if (!this.isOpen) return;
    if (error !== undefined) this.log(LEVEL_ERROR, stackOf(error));
    this.channel.abort(this.id, number, text);
    this.isOpen = false;
    this.host.forget(this.id);
  }
}

/** As ConnResetException of Node's internals: the client has gone. */
export function connectionReset(): Error {
  return Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
}

/** One line that names an error: `TypeError: x is not a function`. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return `${error.name}: ${error.message}`;
  const text = inspect(error, { depth: 1, breakLength: Infinity });
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}

/** The stack with its causes, as Node prints it. */
function stackOf(error: unknown): string {
  const lines = inspect(error, { depth: 3 }).split('\n');
  if (lines.length <= MAX_STACK_LINES) return lines.join('\n');
  return [...lines.slice(0, MAX_STACK_LINES), '…'].join('\n');
}
