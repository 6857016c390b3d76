/**
 * A lean HTTP/1.1 client for load: a kept connection, one request at a time, no more parsing than that takes.
 * `node:http` costs several times the processor time of what is being tested.
 */
import { connect, type Socket } from 'node:net';

/** What came of one request. */
export interface Exchange {
  /** 0: no head came. */
  readonly status: number;
  /** Status line and headers. */
  readonly head: string;
  readonly body: Buffer;
  /** The body came whole. */
  readonly isComplete: boolean;
  /** Bytes of an answer, whole or not. */
  readonly received: number;
  /** Why it is not complete. */
  readonly error: string;
}

/** No limit of Apache or of a group is longer, by default. */
const TIMEOUT_MS = 60_000;
const END_OF_HEAD = '\r\n\r\n';
const END_OF_CHUNKS = '0\r\n\r\n';

/** Takes the frames of a chunked body away. @returns undefined while it is not whole. */
function unchunk(data: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const end = data.indexOf('\r\n', at);
    if (end === -1) return undefined;
    const size = parseInt(data.toString('latin1', at, end), 16);
    if (!(size >= 0)) return undefined;
    if (size === 0) return Buffer.concat(parts);
    parts.push(data.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
    if (at > data.length) return undefined;
  }
}

/** What has come so far of one answer. */
class Answer {
  head = '';
  received = 0;
  #chunks: Buffer[] = [];
  #length = 0;
  /** Bytes the body has; undefined: chunked. */
  #wanted: number | undefined;

  /** @returns whether the answer is whole now. */
  take(chunk: Buffer): boolean {
    this.received += chunk.length;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.head === '' && !this.#takeHead()) return false;
    if (this.#wanted !== undefined) return this.#length >= this.#wanted;
    const tail = this.#chunks.at(-1) ?? chunk;
    const end = tail.length < END_OF_CHUNKS.length ? this.#join() : tail;
    return end.toString('latin1', end.length - END_OF_CHUNKS.length) === END_OF_CHUNKS;
  }

  get body(): Buffer {
    const data = this.#join();
    return this.#wanted === undefined ? (unchunk(data) ?? Buffer.alloc(0)) : data;
  }

  #join(): Buffer {
    const data = this.#chunks.length === 1 ? this.#chunks[0] : undefined;
    const joined = data ?? Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }

  #takeHead(): boolean {
    const data = this.#join();
    const end = data.indexOf(END_OF_HEAD);
    if (end === -1) return false;
    this.head = data.toString('latin1', 0, end);
    const body = data.subarray(end + END_OF_HEAD.length);
    this.#chunks = [body];
    this.#length = body.length;
    const length = header(this.head, 'content-length');
    if (length !== undefined) this.#wanted = Number(length);
    else if (header(this.head, 'transfer-encoding') === undefined) this.#wanted = 0;
    return true;
  }
}

/** A header's value in a head. */
export function header(head: string, name: string): string | undefined {
  return new RegExp(`^${name}: *(.*?) *$`, 'im').exec(head)?.[1];
}

export class Connection {
  /** The client's own port; tells connections apart in /proc/net/tcp. */
  readonly localPort: number;
  /** Requests that were sent on it. */
  requests = 0;
  readonly #socket: Socket;
  #isOpen = true;
  #answer: Answer | undefined;
  #settle: ((error: string) => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.localPort = socket.localPort ?? 0;
    socket.setNoDelay(true);
    socket.setTimeout(TIMEOUT_MS, () => {
      this.#fail(`no byte for ${String(TIMEOUT_MS / 1000)} s`);
    });
    socket.on('data', (chunk) => {
      if (this.#answer?.take(chunk) === true) this.#settle?.('');
    });
    socket.on('error', (error) => {
      this.#fail(error.message);
    });
    socket.on('close', () => {
      this.#fail('closed');
    });
  }

  /** Connects. Rejects when nobody listens. */
  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new Connection(socket));
      });
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Sends a request and waits for its answer; never rejects. */
  exchange(request: string): Promise<Exchange> {
    const answer = new Answer();
    this.#answer = answer;
    this.requests++;
    return new Promise((resolve) => {
      this.#settle = (error) => {
        this.#settle = this.#answer = undefined;
        const { head, received } = answer;
        const isComplete = error === '';
        if (isComplete && /^close$/i.test(header(head, 'connection') ?? '')) this.destroy();
        const status = head === '' ? 0 : Number(head.slice(9, 12));
        resolve({ status, head, body: answer.body, isComplete, received, error });
      };
      if (this.#isOpen) this.#socket.write(request, 'latin1');
      else this.#settle('closed');
    });
  }

  /** Goes away; a request that waits gets no answer. */
  destroy(): void {
    this.#fail('destroyed by the client');
  }

  #fail(error: string): void {
    this.#isOpen = false;
    this.#socket.destroy();
    this.#settle?.(error);
  }
}
