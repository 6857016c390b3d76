/**
 * A channel without a socket: it hands events to a host as the addon does, and holds the host to
 * docs/wire.md (order of frames, ranges, syntax of headers). A violation fails the test.
 */
import { AssertionError } from 'node:assert';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { App, HostOptions } from '../../src/http/app.ts';
import { Host } from '../../src/http/host.ts';
import * as events from '../../src/events.ts';
import type { Channel, ChannelOptions, NativeAddon } from '../../src/native.ts';
import { waitFor } from '../harness/wait.ts';

const HIGH_WATER = 64 * 1024;
/** A few of the real tokens are enough: other names travel spelled out. */
const tokenNames = Array.from({ length: 256 }, () => '');
const KNOWN = [
  'Host',
  'User-Agent',
  'Accept',
  'Content-Type',
  'Content-Length',
  'Cookie',
  'Expect',
];
KNOWN.forEach((name, i) => {
  tokenNames[i + 1] = name;
  tokenNames[(i + 1) | 0x80] = name.toLowerCase();
});

export interface RequestSpec {
  readonly method?: string;
  readonly url?: string;
  readonly mount?: string;
  readonly headers?: readonly (readonly [string, string])[];
  /** Pieces of the body; sent at once. undefined = no body. */
  readonly body?: readonly (string | Buffer)[];
  /** The body stays open: the test goes on with body() and endBody(). */
  readonly isOpen?: boolean;
  readonly trailers?: string;
  readonly flags?: number;
  readonly timeoutMs?: number;
  readonly protocol?: readonly [number, number];
  readonly scheme?: 'http' | 'https';
  readonly script?: string;
  readonly remoteUser?: string;
  readonly variables?: readonly (readonly [string, string])[];
}

function fail(message: string): never {
  throw new AssertionError({ message: `wire: ${message}` });
}

const FIELDS = /^(?:[\w!#$%&'*+.^`|~-]+: [^\0\r\n]*\r\n)*$/;

/** What came back for one request. */
export class FakeExchange {
  readonly id: number;
  readonly spec: RequestSpec;
  status = 0;
  reason = '';
  headerText = '';
  readonly chunks: Buffer[] = [];
  trailers = '';
  readonly informs: { status: number; headers: string }[] = [];
  continues = 0;
  aborted: { code: number; message: string } | undefined;
  readonly logs: { level: number; text: string }[] = [];
  isPaused = false;
  hasStarted = false;
  isComplete = false;
  isDead = false;
  waiting = 0;
  /** How often respond() and write() were called. */
  calls = 0;

  constructor(id: number, spec: RequestSpec) {
    this.id = id;
    this.spec = spec;
  }

  get body(): string {
    return Buffer.concat(this.chunks).toString('utf8');
  }

  get headers(): [string, string][] {
    return this.headerText
      .split('\r\n')
      .slice(0, -1)
      .map((line) => {
        const colon = line.indexOf(': ');
        return [line.slice(0, colon), line.slice(colon + 2)];
      });
  }

  header(name: string): string | undefined {
    return this.headers.find(([one]) => one.toLowerCase() === name.toLowerCase())?.[1];
  }
}

export class FakeChannel implements Channel {
  events = new Int32Array(0);
  payloads: (string | Buffer)[] = [];
  readonly progress = new Int32Array([-1]);
  readonly exchanges = new Map<number, FakeExchange>();
  /** Nothing leaves until it is false again: a client that does not read. */
  isStalled = false;
  /** Apache has taken requests back: STARTED cannot be sent. */
  refusesStarted = false;
  isDraining = false;
  flushed: number | undefined;
  readonly #options: ChannelOptions;
  #queue: { ints: number[]; payload: string | Buffer | undefined }[] = [];
  #nextId = 1;
  #isScheduled = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  get inHand(): number {
    return [...this.exchanges.values()].filter(({ isDead }) => !isDead).length;
  }

  // ---- what a test does ----------------------------------------------------------------

  /** Queues a request; deliver() hands it over. */
  queue(spec: RequestSpec = {}): FakeExchange {
    const exchange = new FakeExchange(this.#nextId++, spec);
    this.exchanges.set(exchange.id, exchange);
    const { ints, text } = encodeHead(exchange.id, spec);
    this.#queue.push({ ints, payload: text });
    for (const piece of spec.body ?? []) this.body(exchange, piece);
    if (spec.body !== undefined && spec.isOpen !== true) this.endBody(exchange, spec.trailers);
    return exchange;
  }

  body(exchange: FakeExchange, piece: string | Buffer): void {
    this.#event(events.EVENT_BODY, exchange, Buffer.from(piece));
  }

  endBody(exchange: FakeExchange, trailers = ''): void {
    this.#event(events.EVENT_BODY_END, exchange, trailers);
  }

  close(exchange?: FakeExchange): void {
    if (exchange === undefined) return;
    this.#event(events.EVENT_CLOSE, exchange);
  }

  /** One turn: all that is queued in one batch. */
  deliver(): void {
    const batch = this.#queue;
    this.#queue = [];
    this.events = Int32Array.from(batch.flatMap(({ ints }) => ints));
    this.payloads = [];
    let at = 0;
    for (const { ints, payload } of batch) {
      if (payload !== undefined) {
        this.events[at + 2] = this.payloads.length;
        this.payloads.push(payload);
      }
      at += ints.length;
    }
    for (const { ints } of batch) {
      const exchange = this.exchanges.get(ints[1] ?? 0);
      if (exchange && (ints[0] === events.EVENT_FINISH || ints[0] === events.EVENT_CLOSE)) {
        exchange.isDead = true;
      }
    }
    this.#options.onEvents(batch.length);
    // As the addon: what is read in a later turn must not be what was handed over in this one.
    this.events.fill(-7);
  }

  /** A request, alone in its turn; resolves when the response has left or was aborted. */
  async request(spec: RequestSpec = {}): Promise<FakeExchange> {
    const exchange = this.queue(spec);
    this.deliver();
    await waitFor(() => exchange.isDead, { timeoutMs: 3000, what: 'the end of the exchange' });
    return exchange;
  }

  /** Everything that waits leaves, also when stalled. */
  leave(exchange: FakeExchange): void {
    if (exchange.isDead) return;
    const wasHigh = exchange.waiting >= HIGH_WATER;
    exchange.waiting = 0;
    if (wasHigh) this.#event(events.EVENT_DRAIN, exchange);
    if (exchange.isComplete) this.#event(events.EVENT_FINISH, exchange);
  }

  #event(kind: number, { id }: FakeExchange, payload?: string | Buffer): void {
    this.#queue.push({ ints: [kind, id, -1, 4], payload });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    void nextTurn().then(() => {
      this.#isScheduled = false;
      if (this.isStalled) return;
      for (const exchange of this.exchanges.values()) {
        if (exchange.waiting > 0 || exchange.isComplete) this.leave(exchange);
      }
      if (this.#queue.length > 0) this.deliver();
    });
  }

  // ---- Channel -------------------------------------------------------------------------

  /** @returns undefined for a dead id: such calls do nothing. */
  #alive(id: number): FakeExchange | undefined {
    const exchange = this.exchanges.get(id) ?? fail(`unknown id ${String(id)}`);
    return exchange.isDead ? undefined : exchange;
  }

  #take(exchange: FakeExchange, data: string | Uint8Array | undefined, latin1: boolean): number {
    exchange.calls++;
    if (data !== undefined) {
      const bytes =
        typeof data === 'string'
          ? Buffer.from(data, latin1 ? 'latin1' : 'utf8')
          : Buffer.from(data);
      exchange.chunks.push(bytes);
      exchange.waiting += bytes.length;
    }
    this.#schedule();
    return exchange.waiting;
  }

  start(): void {
    // Nothing listens.
  }

  started(id: number): boolean {
    const exchange = this.#alive(id);
    if (exchange === undefined || exchange.hasStarted || exchange.status > 0) fail('STARTED');
    exchange.hasStarted = true;
    if (this.refusesStarted) exchange.isDead = true;
    return !this.refusesStarted;
  }

  sendContinue(id: number): void {
    const exchange = this.#alive(id);
    if (exchange === undefined) return;
    if (((exchange.spec.flags ?? 0) & events.FLAG_EXPECT) === 0) fail('CONTINUE without EXPECT');
    if (exchange.status > 0 || ++exchange.continues > 1) fail('CONTINUE');
  }

  inform(id: number, status: number, headers: string): void {
    const exchange = this.#alive(id);
    if (exchange === undefined) return;
    if (exchange.status > 0 || status < 102 || status > 199 || !FIELDS.test(headers))
      fail('INFORM');
    exchange.informs.push({ status, headers });
  }

  respond(
    id: number,
    status: number,
    reason: string,
    headers: string,
    body: string | Uint8Array | undefined,
    latin1: boolean,
    fin: boolean,
  ): number {
    const exchange = this.#alive(id);
    if (exchange === undefined) return HIGH_WATER;
    const flags = exchange.spec.flags ?? 0;
    if ((flags & events.FLAG_STARTED) !== 0 && !exchange.hasStarted)
      fail('RESPONSE before STARTED');
    if (exchange.status > 0) fail('a second RESPONSE');
    const isSwitch = status === 101 && (flags & events.FLAG_UPGRADE) !== 0;
    if (!isSwitch && (!Number.isInteger(status) || status < 200 || status > 999)) {
      fail(`status ${status}`);
    }
    if (/[\0\r\n]/.test(reason)) fail('reason');
    if (!FIELDS.test(headers)) fail(`headers ${JSON.stringify(headers)}`);
    if (/[^\0-\xff]/.test(headers + reason)) fail('headers beyond latin1');
    exchange.status = status;
    exchange.reason = reason;
    exchange.headerText = headers;
    exchange.isComplete = fin;
    return this.#take(exchange, body, latin1);
  }

  write(id: number, chunk: string | Uint8Array, latin1: boolean, fin: boolean): number {
    const exchange = this.#alive(id);
    if (exchange === undefined) return HIGH_WATER;
    if (exchange.status === 0 || exchange.isComplete) fail('DATA out of turn');
    exchange.isComplete = fin;
    return this.#take(exchange, chunk, latin1);
  }

  end(id: number, trailers: string): void {
    const exchange = this.#alive(id);
    if (exchange === undefined) return;
    if (exchange.status === 0 || exchange.isComplete) fail('END out of turn');
    if (!FIELDS.test(trailers)) fail('trailers');
    exchange.trailers = trailers;
    exchange.isComplete = true;
    this.#schedule();
  }

  abort(id: number, code: number, message: string): void {
    const exchange = this.#alive(id);
    if (exchange === undefined) return;
    if (exchange.isComplete) fail('ABORT after the end');
    exchange.aborted = { code, message };
    exchange.isDead = true;
  }

  refuse(id: number): void {
    const exchange = this.#alive(id);
    if (exchange !== undefined) exchange.isDead = true;
  }

  requestSocket(id: number): boolean {
    const exchange = this.#alive(id);
    if (exchange === undefined) return false;
    return ((exchange.spec.flags ?? 0) & events.FLAG_PASS) !== 0;
  }

  hangUp(id: number): void {
    const exchange = this.#alive(id);
    if (exchange !== undefined) exchange.isDead = true;
  }

  log(id: number, level: number, text: string): void {
    if (!Number.isInteger(level) || level < 0 || level > 7) fail(`level ${level}`);
    this.#alive(id)?.logs.push({ level, text });
  }

  pause(id: number): void {
    const exchange = this.#alive(id);
    if (exchange !== undefined) exchange.isPaused = true;
  }

  resume(id: number): void {
    const exchange = this.#alive(id);
    if (exchange !== undefined) exchange.isPaused = false;
  }

  drain(): void {
    this.isDraining = true;
  }

  flush(timeoutMs: number): void {
    this.flushed = timeoutMs;
  }

  ref(): void {
    // There is no handle.
  }

  unref(): void {
    // There is no handle.
  }
}

/** The ints of a REQUEST and its text, as the addon makes them. */
function encodeHead(id: number, spec: RequestSpec): { ints: number[]; text: string } {
  const ints: number[] = [];
  let text = '';
  const add = (value: string): number[] => {
    const at = text.length;
    const latin1 = Buffer.from(value, 'utf8').toString('latin1');
    text += latin1;
    return [at, latin1.length];
  };
  const { mount = '', url = '/', body } = spec;
  const uri = mount + url;
  const [major, minor] = spec.protocol ?? [1, 1];
  const path = decodeURI(url.replace(/\?.*$/s, ''));
  const headers = spec.headers ?? [['Host', 'example.test']];
  const variables = spec.variables ?? [];
  const length = headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1];
  const strings = [
    spec.method ?? (body === undefined ? 'GET' : 'POST'),
    uri,
    `HTTP/${major}.${minor}`,
    spec.scheme ?? 'http',
    spec.script ?? '/srv/app/index.js',
    decodeURI(mount),
    path === '*' ? '' : path,
    uri.includes('?') ? uri.slice(uri.indexOf('?') + 1) : '',
    'example.test',
    'Apache/2.4.71 (Unix)',
    '/srv/htdocs',
    '192.0.2.7',
    '192.0.2.1',
    spec.remoteUser ?? '',
    spec.remoteUser === undefined ? '' : 'Basic',
    `request-${id}`,
  ];
  const flags =
    (spec.flags ?? 0) |
    (body === undefined ? 0 : events.FLAG_BODY) |
    (spec.scheme === 'https' ? events.FLAG_TLS : 0);
  const lengthInts = length === undefined ? [-1, -1] : [Number(length) | 0, 0];
  ints.push(events.EVENT_REQUEST, id, -1, 0, flags, ...lengthInts, mount.length);
  ints.push(spec.timeoutMs ?? 0, 50123, 443, 80);
  ints.push(major, minor, headers.length, variables.length);
  for (const value of strings) ints.push(...add(value));
  for (const [name, value] of headers) {
    const token = tokenNames.indexOf(name);
    ints.push(Math.max(0, token), ...(token > 0 ? [0, 0] : add(name)), ...add(value));
  }
  for (const [name, value] of variables) ints.push(...add(name), ...add(value));
  ints[3] = ints.length;
  return { ints, text };
}

export interface FakeHost {
  readonly host: Host;
  readonly channel: FakeChannel;
  /** What was thrown at the loop, as `uncaughtException` would see it. */
  readonly fatal: unknown[];
  /** Lines that belong to no request. */
  readonly lines: { level: number; text: string }[];
}

/** A host for one app over a fake channel. */
export function makeHost(
  resolve: App | HostOptions['resolve'],
  options: Partial<HostOptions> = {},
): FakeHost {
  const fatal: unknown[] = [];
  const lines: { level: number; text: string }[] = [];
  let channel: FakeChannel | undefined;
  const native = {
    tokenNames,
    Channel: class extends FakeChannel {
      constructor(channelOptions: ChannelOptions) {
        super(channelOptions);
        // eslint-disable-next-line @typescript-eslint/no-this-alias -- the host makes it, the test needs it
        channel = this;
      }
    },
    fatalException(error: unknown): void {
      // What a violation throws must not be taken for the app's own error.
      if (error instanceof AssertionError) throw error;
      fatal.push(error);
    },
  } as unknown as NativeAddon;
  const host = new Host(native, {
    fd: 4,
    generation: new Uint8Array(16),
    secret: new Uint8Array(32),
    concurrency: 100,
    maxUpgrades: 0,
    upgradeIdleTimeoutMs: 0,
    peerUid: -1,
    processGroup: 'shop',
    applicationGroup: 'example.test|/',
    multiprocess: false,
    resolve: typeof resolve === 'function' ? resolve : () => resolve,
    log: (level, text) => lines.push({ level, text }),
    ...options,
  });
  if (channel === undefined) throw new Error('the host made no channel');
  return { host, channel, fatal, lines };
}
