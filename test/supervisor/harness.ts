/** Real supervisors with real workers, under a parent that plays Apache's (parent.c). */
import { execFileSync, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../harness/wait.ts';
import { ask, type Answer } from './wire.ts';

const SEPARATOR = '\x1f';
const secret = '5e'.repeat(32);
const generation = 'a1'.repeat(16);

/** Where the built files are. */
const dist = process.env['TSGI_TEST_DIST'] ?? fileURLToPath(new URL('../../dist', import.meta.url));

let compiled: string | undefined;

/** parent.c, compiled once in the life of this process. */
function parentBinary(): string {
  if (compiled !== undefined) return compiled;
  const directory = mkdtempSync(join(tmpdir(), 'tsgi-parent-'));
  const source = fileURLToPath(new URL('parent.c', import.meta.url));
  compiled = join(directory, 'parent');
  execFileSync('cc', ['-std=c11', '-o', compiled, source]);
  process.on('exit', () => {
    rmSync(directory, { recursive: true, force: true });
  });
  return compiled;
}

export interface AppOptions {
  readonly slots?: number;
  readonly start?: 'boot' | 'on-demand';
  readonly mode?: 'exact' | 'pattern';
}

/** A group under test. Everything lives in one temporary directory and ends with {@link stop}. */
export class TestGroup {
  readonly directory = mkdtempSync(join(tmpdir(), 'tsgi-supervisor-'));
  readonly log: string[] = [];
  exit: string | undefined;
  pid = 0;
  readonly #parent: ChildProcessWithoutNullStreams;
  readonly #listening = new Set<string>();
  readonly #inquest = join(this.directory, 'inquest');
  #answers: string[] = [];
  #sockets = 0;

  /** @param node the binary that runs the supervisor and, unless `options` says else, the workers. */
  constructor(options: readonly string[] = [], node = process.execPath) {
    this.#parent = spawn(parentBinary(), [node, join(dist, 'supervisor.cjs'), 'test'], {
      env: { PATH: process.env['PATH'], HOME: this.directory, USER: 'tester', LANG: 'C.UTF-8' },
    });
    createInterface({ input: this.#parent.stdout }).on('line', (line) => {
      if (line.startsWith('log ')) this.log.push(line.slice(4));
      else if (line.startsWith('listening ')) this.#listening.add(line.slice(10));
      else if (line.startsWith('answer ')) this.#answers.push(line.slice(7));
      else if (line.startsWith('pid ')) this.pid = Number(line.slice(4));
      else if (line.startsWith('exit ')) this.exit = line.slice(5);
    });
    this.#parent.stderr.pipe(process.stderr);
    this.#tell('inquest', this.#inquest);
    this.#tell('fds', '1', 'group', 'test', generation, secret, `node=${node}`, ...options);
  }

  #tell(...fields: readonly string[]): void {
    this.#parent.stdin.write(fields.join(SEPARATOR) + '\n');
  }

  /** Sends a packet to the inquest socket, by default the right one. @returns the answer, '' if none came. */
  async question(pid: number, packet?: Buffer): Promise<string> {
    const number = Buffer.alloc(4);
    number.writeUInt32LE(pid);
    const bytes = packet ?? Buffer.concat([number, Buffer.from(secret, 'hex')]);
    this.#answers = [];
    this.#tell('question', this.#inquest, bytes.toString('hex'));
    await waitFor(() => this.#answers.length > 0, { what: 'the end of a question' });
    return this.#answers[0] ?? '';
  }

  /** Writes a file of the app; returns its path. */
  write(name: string, source: string): string {
    const path = join(this.directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, source);
    return path;
  }

  /** Sends one packet of the command socket. */
  send(...fields: readonly string[]): void {
    this.#tell('send', ...fields);
  }

  /** Announces an application group with fresh sockets; returns their paths. */
  app(name: string, paths: readonly string[], options: AppOptions = {}): string[] {
    const { slots = 1, start = 'boot', mode = 'exact' } = options;
    const sockets = Array.from({ length: slots }, () =>
      join(this.directory, `s${String(this.#sockets++)}`),
    );
    for (const path of sockets) this.#tell('listen', path);
    this.#tell('fds', String(slots), 'app', name, String(slots), start, mode, ...paths);
    return sockets;
  }

  /** The simplest case: one slot, one script that is written here; returns socket and path. */
  serve(
    name: string,
    source: string,
    options: AppOptions = {},
  ): { socket: string; script: string } {
    const script = this.write(name, source);
    const [socket = ''] = this.app(name, [script], options);
    return { socket, script };
  }

  async ask(socket: string, script: string, path = '/', onSent?: () => void): Promise<Answer> {
    await waitFor(() => this.#listening.has(socket), { what: `the socket ${socket}` });
    return ask(socket, { secret, script, path, ...(onSent && { onSent }) });
  }

  /** Apache dies: the command socket ends. */
  closeCommands(): void {
    this.#parent.stdin.write('close\n');
  }

  /** Waits for a record of the log. */
  logged(pattern: RegExp): Promise<string> {
    return waitFor(() => this.log.find((line) => pattern.test(line)), {
      what: `a log line like ${String(pattern)}; there is\n${this.log.join('\n')}`,
    });
  }

  exited(timeoutMs = 10_000): Promise<string> {
    return waitFor(() => this.exit, {
      timeoutMs,
      what: `the end of the supervisor; log:\n${this.log.join('\n')}`,
    });
  }

  /** Pids of the workers that are alive. */
  workers(): number[] {
    return childrenOf(this.pid);
  }

  async stop(): Promise<void> {
    if (this.exit === undefined) this.send('shutdown');
    try {
      await this.exited();
    } finally {
      this.#parent.stdin.end();
      rmSync(this.directory, { recursive: true, force: true });
    }
  }
}

/** Pids whose parent is `pid`. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => parentOf(child) === pid);
}

/** undefined for a process that is gone, or is only waiting to be reaped. */
function parentOf(pid: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    const [state, parent] = fields.slice(fields.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? undefined : Number(parent);
  } catch {
    return undefined;
  }
}

export function isAlive(pid: number): boolean {
  return parentOf(pid) !== undefined;
}

/** The command line as ps shows it. */
export function titleOf(pid: number): string {
  return readFileSync(`/proc/${String(pid)}/cmdline`, 'utf8')
    .replaceAll('\0', ' ')
    .trim();
}
