/**
 * A worker process for the tests of the addon: fixtures/host.cjs with a Channel on a listening
 * socket, driven through IPC. A process of its own, since most of what is tested concerns processes:
 * descriptors, exits, signals.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { listenAt } from '../harness/listener.ts';
import { waitFor } from '../harness/wait.ts';
import type { Channel, NativeAddon } from '../../src/native.ts';
import { auth, T, WireClient } from './wire-client.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const addonPath = process.env['TSGI_TEST_ADDON'] ?? join(root, 'dist/tsgi.node');
const hostPath = fileURLToPath(new URL('fixtures/host.cjs', import.meta.url));

/** The Nodes to test with: TSGI_TEST_NODES, a list like PATH's, or the one that runs this. */
export const nodes = (process.env['TSGI_TEST_NODES'] ?? process.execPath)
  .split(':')
  .filter((node) => node !== '');

export const KIND = {
  request: 1,
  body: 2,
  bodyEnd: 3,
  close: 4,
  drain: 5,
  finish: 6,
  socket: 7,
} as const;

export interface RequestEvent {
  readonly flags: number;
  readonly contentLength: number;
  readonly headers: [string, string][];
  readonly vars: [string, string][];
  readonly [name: string]: unknown;
}

export interface HostEvent {
  readonly kind: number;
  readonly id: number;
  readonly at: number;
  readonly payload?: string | Uint8Array;
  readonly request?: RequestEvent;
  /** Of a SOCKET. */
  readonly fd?: number;
}

/** What functions get that run in the worker; see fixtures/host.cjs. */
export interface Host {
  readonly native: NativeAddon;
  channel: Channel;
  onBatch: ((batch: HostEvent[]) => void) | undefined;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- whatever a test keeps there
  readonly kept: Record<string, any>;
  open(fd?: number, more?: object): Channel;
}

interface Reply {
  readonly sequence?: number;
  readonly value?: unknown;
  readonly error?: { message: string; code?: string; name: string };
  readonly batch?: HostEvent[];
  readonly log?: [number, string];
  readonly ready?: true;
}

export interface WorkerOptions {
  /** Options of the Channel, and `idle: true` for none at all. */
  readonly channel?: Readonly<Record<string, unknown>>;
  readonly node?: string;
  readonly stdio?: readonly (number | 'pipe' | 'ignore')[];
  /** A process group of its own. */
  readonly detached?: boolean;
  /** Run by this command, e.g. one that sets limits. */
  readonly under?: readonly string[];
}

export class TestWorker {
  readonly child: ChildProcess;
  readonly path: string;
  readonly #directory: string;
  readonly batches: HostEvent[][] = [];
  readonly log: [number, string][] = [];
  stderr = '';
  readonly #clients: WireClient[] = [];
  readonly #replies = new Map<number, (reply: Reply) => void>();
  #sequence = 0;
  #isReady = false;
  #taken = 0;

  private constructor(directory: string, listener: number, options: WorkerOptions) {
    this.#directory = directory;
    this.path = join(directory, 'socket');
    const command = [
      ...(options.under ?? []),
      options.node ?? process.execPath,
      hostPath,
      addonPath,
      JSON.stringify(options.channel ?? {}),
    ];
    this.child = spawn(command[0] ?? '', command.slice(1), {
      stdio: ['ignore', 'inherit', 'pipe', listener, 'ipc', ...(options.stdio ?? [])],
      serialization: 'advanced',
      detached: options.detached ?? false,
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    // A worker that is killed resets what it has not read; that is no failure of the test.
    if (options.stdio?.[0] === 'pipe') this.control.on('error', () => undefined);
    this.child.on('message', (message) => {
      this.#take(message as Reply);
    });
  }

  static async start(options: WorkerOptions = {}): Promise<TestWorker> {
    const directory = mkdtempSync(join(tmpdir(), 'tsgi-addon-'));
    const listener = await listenAt(join(directory, 'socket'));
    const worker = new TestWorker(directory, listener.fd, options);
    listener.release(); // the worker has its own descriptor
    await waitFor(() => worker.#isReady || worker.child.exitCode !== null, {
      what: `the start of a worker (${worker.stderr})`,
    });
    return worker;
  }

  #take(message: Reply): void {
    if (message.ready) this.#isReady = true;
    if (message.batch) this.batches.push(message.batch);
    if (message.log) this.log.push(message.log);
    if (message.sequence !== undefined) this.#replies.get(message.sequence)?.(message);
  }

  /** Runs a function in the worker. It sees nothing of its surroundings but its arguments. */
  async run<A extends unknown[], R>(
    body: (host: Host, ...args: A) => R,
    ...args: A
  ): Promise<Awaited<R>> {
    const sequence = this.#sequence++;
    const replied = new Promise<Reply>((resolve) => {
      this.#replies.set(sequence, resolve);
    });
    this.child.send({ sequence, code: body.toString(), args });
    const { value, error } = await replied;
    if (error) throw Object.assign(new Error(error.message), error);
    return value as Awaited<R>;
  }

  /** The test's end of the pipe that is descriptor 5 of the worker. */
  get control(): Duplex {
    return (this.child.stdio as unknown as Duplex[])[5]!;
  }

  /** All events so far. */
  get events(): HostEvent[] {
    return this.batches.flat();
  }

  /** The next event of that kind that was not taken before. */
  async next(kind: number): Promise<HostEvent> {
    return await waitFor(
      () => {
        const at = this.events.findIndex((event, i) => i >= this.#taken && event.kind === kind);
        if (at === -1) return undefined;
        this.#taken = at + 1;
        return this.events[at];
      },
      { what: `an event of kind ${kind}; stderr: ${this.stderr}` },
    );
  }

  /** A connection that has said nothing yet. */
  connect(): WireClient {
    const client = new WireClient(this.path);
    this.#clients.push(client);
    return client;
  }

  /** A connection with HELLO taken and AUTH sent. */
  async greet(): Promise<WireClient> {
    const client = this.connect();
    await client.expect(T.HELLO);
    client.send(auth());
    return client;
  }

  /** @returns exit status, or the name of the signal. */
  async waitForExit(): Promise<number | string> {
    await waitFor(() => this.child.exitCode !== null || this.child.signalCode !== null, {
      what: 'the end of the worker',
    });
    return this.child.exitCode ?? this.child.signalCode ?? '';
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGKILL');
      await this.waitForExit();
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
