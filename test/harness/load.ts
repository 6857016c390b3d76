/** Load on test/apps/chaos.js: kept connections, each with one request after the other, and what came of them. */
import { Histogram } from './histogram.ts';
import { Connection, header, type Exchange } from './http1.ts';
import { AppRecord } from './record.ts';

/** What a request is like. */
export type Kind =
  'get' | 'post' | 'slow' | 'long' | 'small' | 'big' | 'upload' | 'abort' | 'cut' | 'hang';

const many = (kind: Kind, n: number): Kind[] => Array.from({ length: n }, () => kind);

/** One request of each connection in turn is one of these. */
const mixes = {
  /** 90 % answers of 1 KiB, 5 % posts of 32 KiB that are echoed, 5 % slow answers. */
  site: [...many('get', 10), 'post', ...many('get', 8), 'slow'],
  /** A little of everything. */
  rough: ['get', 'small', 'get', 'long', 'small', 'big', 'get', 'upload', 'abort', 'get'],
  /** The same with clients that go away: in the middle of an upload, and of a download. */
  leaving: [...many('get', 9), 'post', 'abort', ...many('get', 7), 'cut', 'slow'],
  /** They do hardly anything else. */
  aborting: ['abort', 'get', 'cut', 'get'],
  posts: ['post'],
  slow: ['slow'],
  hang: ['hang'],
  plain: ['get'],
} satisfies Readonly<Record<string, readonly Kind[]>>;
export type Mix = keyof typeof mixes;

export interface LoadOptions {
  readonly port: number;
  /** The app's path, without a slash at the end; or a static file's. */
  readonly path: string;
  readonly connections: number;
  /** By default `rough`. */
  readonly mix?: Mix;
  /** So many of the connections have the mix `leaving`. */
  readonly leaving?: number;
  /** How long a slow answer takes. */
  readonly slowMs?: number;
  /** Before all ids, where several loads use one app. */
  readonly prefix?: string;
  /** A static file of so many bytes: nothing is recorded or echoed. */
  readonly staticSize?: number;
  /** The app's record. With it, a request whose kept connection was closed unread is repeated once. */
  readonly record?: string;
  /** Pause after an answer of 503, as for clients that respect Retry-After. */
  readonly pauseMs?: number;
}

export type Outcome =
  /** The right answer. */
  | 'good'
  /** The client itself went away. */
  | 'aborted'
  /** A status other than 200. */
  | 'status'
  /** The head came, the body did not come whole. */
  | 'truncated'
  /** A kept connection ended before any byte of an answer. */
  | 'idle'
  /** A new connection did, or nobody listened. */
  | 'broken'
  /** A whole answer that is another request's. */
  | 'foreign';

export interface Result {
  readonly id: string;
  readonly kind: Kind;
  readonly outcome: Outcome;
  readonly status: number;
  /** From the request to its end. */
  readonly ms: number;
  /** Date.now() when it ended. */
  readonly at: number;
  /** The client's port of the connection. */
  readonly localPort: number;
  readonly detail: string;
}

/** All that is to be known of a load, as plain data. */
export interface Report {
  readonly requests: number;
  readonly good: number;
  readonly aborted: number;
  /** Requests that were repeated after their kept connection was closed, and succeeded. */
  readonly repeated: { readonly get: number; readonly post: number };
  /** All that are neither good nor aborted. */
  readonly failures: readonly Result[];
  /** Good answers to requests of kind `get` that took longer than a second. */
  readonly late: readonly Result[];
  /** Buckets of how long these took, by phase. */
  readonly latencies: Readonly<Record<string, readonly number[]>>;
  /** The same of answers 503. */
  readonly refusals: readonly number[];
}

const POST_SIZE = 32 * 1024;
const GET_SIZE = 1000;
const LATE_MS = 1000;
/** How long until what Apache may still hand on of a lost connection has reached the app. */
const SETTLE_MS = 250;

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Shape {
  readonly query?: string;
  /** Length of the request's body. */
  readonly body?: number;
  /** The client leaves so many ms after it has sent the request, or the half of its body. */
  readonly leaveMs?: number;
}

function shapeOf(kind: Kind, slowMs: number): Shape {
  switch (kind) {
    case 'get':
      return { query: `&size=${String(GET_SIZE)}` };
    case 'post':
      return { body: POST_SIZE };
    case 'slow':
      return { query: `&wait=${String(slowMs)}` };
    case 'long':
      return { query: '&wait=40' };
    case 'small':
      return { body: 100 };
    case 'big':
      return { query: '&size=300000' };
    case 'upload':
      return { body: 200_000 };
    case 'abort':
      return { body: 200_000, leaveMs: 5 };
    case 'cut':
      return { query: '&size=2000000', leaveMs: 5 };
    case 'hang':
      return { query: '&wait=3600000' };
  }
}

const hasBody = (kind: Kind): boolean => shapeOf(kind, 0).body !== undefined;

/** A failed request, for the message of an assertion. */
export const show = ({ id, kind, outcome, status, ms, detail }: Result): string =>
  `${id} ${kind} ${outcome} ${String(status)} after ${ms.toFixed(0)} ms ${detail}`;

export class Load {
  readonly #options: LoadOptions;
  readonly #record: AppRecord | undefined;
  readonly #failures: Result[] = [];
  readonly #late: Result[] = [];
  readonly #repeated = { get: 0, post: 0 };
  readonly #phases = new Map<string, Histogram>();
  readonly #refusals = new Histogram();
  readonly #open = new Set<Connection>();
  readonly #clients: Promise<void>[];
  #latencies = new Histogram();
  #requests = 0;
  #good = 0;
  #aborted = 0;
  #isRunning = true;
  /** Pending while the load pauses. */
  #paused: Promise<void> | undefined;
  #resume = (): void => undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#record = options.record === undefined ? undefined : new AppRecord(options.record);
    this.phase('before');
    this.#clients = Array.from({ length: options.connections }, (_, n) => this.#client(n));
  }

  get requests(): number {
    return this.#requests;
  }

  get good(): number {
    return this.#good;
  }

  get failures(): readonly Result[] {
    return this.#failures;
  }

  get report(): Report {
    return {
      requests: this.#requests,
      good: this.#good,
      aborted: this.#aborted,
      repeated: this.#repeated,
      failures: this.#failures,
      late: this.#late,
      latencies: Object.fromEntries([...this.#phases].map(([name, h]) => [name, h.buckets])),
      refusals: this.#refusals.buckets,
    };
  }

  /** Latencies count for this phase from now on. */
  phase(name: string): void {
    this.#latencies = this.#phases.get(name) ?? new Histogram();
    this.#phases.set(name, this.#latencies);
  }

  /** Begins no request until {@link resume}. */
  pause(): void {
    this.#paused ??= new Promise((resolve) => (this.#resume = resolve));
    this.#abandon();
  }

  resume(): void {
    this.#paused = undefined;
    this.#resume();
  }

  /** Resolves when all requests that had begun have ended. */
  async stop(): Promise<Report> {
    this.#isRunning = false;
    this.resume();
    this.#abandon();
    await Promise.all(this.#clients);
    return this.report;
  }

  /** Leaves those that are meant never to be answered. */
  #abandon(): void {
    if (this.#options.mix === 'hang') for (const connection of this.#open) connection.destroy();
  }

  async #client(n: number): Promise<void> {
    const { leaving = 0, connections, mix = 'rough', prefix = '', pauseMs = 0 } = this.#options;
    const kinds: readonly Kind[] = mixes[n >= connections - leaving ? 'leaving' : mix];
    let connection: Connection | undefined;
    for (let i = 0; this.#isRunning; i++) {
      await this.#paused;
      if (this.#isStopped()) break;
      const kind = kinds[(n + i) % kinds.length] ?? 'get';
      const id = `${prefix}${String(n)}-${String(i)}`;
      connection = await this.#connect(connection, id, kind);
      if (!connection) continue;
      if (this.#isStopped()) break; // while it connected
      const result = await this.#one(connection, id, kind);
      this.#count(result);
      if (result.outcome === 'idle') await this.#repeat(result);
      if (result.status === 503 && pauseMs > 0) await delay(pauseMs * (0.5 + Math.random()));
      if (!connection.isOpen) this.#open.delete(connection);
    }
    connection?.destroy();
  }

  #isStopped(): boolean {
    return !this.#isRunning;
  }

  async #connect(
    old: Connection | undefined,
    id: string,
    kind: Kind,
  ): Promise<Connection | undefined> {
    if (old?.isOpen === true) return old;
    try {
      const connection = await Connection.open(this.#options.port);
      this.#open.add(connection);
      return connection;
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      const nowhere = { status: 0, ms: 0, at: Date.now(), localPort: 0 };
      this.#count({ id, kind, outcome: 'broken', detail, ...nowhere });
      await delay(50); // nobody listens: no reason to try as fast as one can
      return undefined;
    }
  }

  /** As browsers do; something with a body only if it is certain that the app has not seen it. */
  async #repeat({ id, kind }: Result): Promise<void> {
    if (!this.#record) return;
    if (hasBody(kind)) {
      await delay(SETTLE_MS);
      if (this.#record.refresh().begunBy(id) !== undefined) return;
    }
    const connection = await this.#connect(undefined, id, kind);
    if (!connection) return;
    const result = await this.#one(connection, `${id}r`, kind);
    connection.destroy();
    this.#open.delete(connection);
    this.#count(result);
    if (result.outcome === 'good') this.#repeated[hasBody(kind) ? 'post' : 'get']++;
  }

  async #one(connection: Connection, id: string, kind: Kind): Promise<Result> {
    const { path, slowMs = 2000, staticSize } = this.#options;
    const { query = '', body = 0, leaveMs } = shapeOf(kind, slowMs);
    const target = staticSize === undefined ? `${path}/?id=${id}${query}` : path;
    const head =
      body > 0
        ? `POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: ${String(body)}\r\n\r\n`
        : `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const content = `${id},`.repeat(body / (id.length + 1) + 1).slice(0, body);
    const sent = leaveMs === undefined ? content : content.slice(0, body / 2);
    const isReused = connection.requests > 0;
    const since = performance.now();
    const leave = () => {
      connection.destroy();
    };
    const leaving = leaveMs === undefined ? undefined : setTimeout(leave, leaveMs);
    const exchange = await connection.exchange(head + sent);
    clearTimeout(leaving);
    if (leaveMs !== undefined) leave();
    const judged = leaveMs === undefined ? this.#judge(exchange, id, content, isReused) : 'aborted';
    return {
      id,
      kind,
      outcome: judged,
      status: exchange.status,
      ms: performance.now() - since,
      at: Date.now(),
      localPort: connection.localPort,
      detail: judged === 'good' ? '' : detailOf(exchange),
    };
  }

  #judge(exchange: Exchange, id: string, content: string, isReused: boolean): Outcome {
    const { status, head, body, isComplete, received } = exchange;
    if (received === 0) return isReused ? 'idle' : 'broken';
    if (head === '') return 'broken';
    if (!isComplete) return 'truncated';
    if (status !== 200) return 'status';
    const { staticSize } = this.#options;
    if (staticSize !== undefined) return body.length === staticSize ? 'good' : 'foreign';
    const beginning = `${id} ${content} `;
    const isOwn =
      header(head, 'x-id') === id && body.toString('latin1', 0, beginning.length) === beginning;
    return isOwn ? 'good' : 'foreign';
  }

  #count(result: Result): void {
    const { outcome, kind, ms, status } = result;
    this.#requests++;
    if (outcome === 'good') {
      this.#good++;
      if (kind !== 'get') return;
      this.#latencies.add(ms);
      if (ms > LATE_MS) this.#late.push(result);
    } else if (outcome === 'aborted') {
      this.#aborted++;
    } else {
      this.#failures.push(result);
      if (status === 503) this.#refusals.add(ms);
    }
  }
}

function detailOf({ status, head, body, error }: Exchange): string {
  const retryAfter = status === 503 ? `Retry-After: ${header(head, 'retry-after') ?? 'none'} ` : '';
  // Of Apache's page only the words.
  const text = body.toString('latin1', 0, 400).replace(/<[^>]*>|\s+/g, ' ');
  return `${retryAfter}${error || text.replace(/ +/g, ' ').trim()}`;
}
