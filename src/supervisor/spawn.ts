/** Starts worker processes and turns what comes from them into calls. */
import { spawn, type ChildProcess } from 'node:child_process';
import { realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import { LineSplitter } from '../ipc/lines.ts';
import {
  encodeMessage,
  type BootMessage,
  type InspectorAddress,
  type ScriptSet,
  type ToWorker,
} from '../ipc/messages.ts';
import type { GroupOptions } from './commands.ts';
import type { Environment } from './environment.ts';

/** A longer line of the app comes in pieces, each of which fits into a line of httpd's log. */
const MAX_LINE = 7_000;
/** How long the pipes of a dead worker may be held open by its children before we stop to wait. */
const LAST_WORDS_MS = 150;
/** A stack of 16 KiB, each character as \\uXXXX, with room to spare. */
const MAX_MESSAGE = 256 * 1024;
const DEFAULT_INSPECT_PORT = 9229;
const FETCH_ADAPTER = 'srvx';

export interface SpawnPlan {
  readonly node: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly environment: Environment;
  readonly listenFd: number;
  readonly boot: Omit<BootMessage, 'type'>;
}

/** What comes from a worker; called from the event loop, in the order in which it came. */
export interface WorkerEvents {
  onLine(line: string): void;
  onOutput(source: 'out' | 'err', line: string): void;
  /** Once, after its last output. `error` if the process could not be started at all. */
  onExit(status: number | null, signal: NodeJS.Signals | null, error?: Error): void;
}

/** A running worker process, leader of its own session and process group. */
export interface WorkerProcess {
  /** undefined if the process could not be started; onExit tells. */
  readonly pid: number | undefined;
  send(message: ToWorker): void;
  /** To the worker only. */
  signal(signal: NodeJS.Signals): void;
  /** SIGKILL to the whole process group. What a dead worker leaves behind gets it too, at once. */
  killGroup(): void;
}

export type SpawnWorker = (plan: SpawnPlan, events: WorkerEvents) => WorkerProcess;

/** Where a worker's inspector listens: the port is counted up by slot, so that all can be inspected. */
export function inspectorAddress(inspect: string, ordinal: number): InspectorAddress {
  const match = /^(?:(.*):)?(\d+)$/.exec(inspect);
  const port = (match ? Number(match[2]) : DEFAULT_INSPECT_PORT) + ordinal;
  const host = match?.[1]?.replace(/^\[(.*)\]$/, '$1') ?? '127.0.0.1';
  return { host, port };
}

/**
 * Arguments of `node` for a worker. The worker takes `file` out of its process.argv again. For a
 * pattern its root stands where the script will, so that the script's arguments are in their place.
 */
export function workerArguments(options: GroupOptions, file: string, scripts: ScriptSet): string[] {
  const entries = scripts.mode === 'exact' ? scripts.paths : [];
  const [entry = '/'] = scripts.mode === 'exact' ? scripts.paths : scripts.roots;
  return [
    ...permissionArguments(options.nodeArgs, file, entries),
    ...options.nodeArgs,
    ...[file, entry],
    ...options.scriptArgs,
  ];
}

/** Where the package lies that turns requests into those of fetch, as the worker finds it. */
function fetchAdapter(file: string): string[] {
  const directories = createRequire(file).resolve.paths(FETCH_ADAPTER) ?? [];
  const found = directories.map((path) => join(path, FETCH_ADAPTER)).find(isDirectory);
  return found === undefined ? [] : [`${realpathSync(found)}/*`];
}

/**
 * Under Node's permission model a worker has to read its own files, and those that it is to run,
 * which Node allows by itself where they are given on its command line.
 */
function permissionArguments(
  given: readonly string[],
  file: string,
  entries: readonly string[],
): string[] {
  if (!given.some((arg) => /^--(experimental-)?permission$/.test(arg))) return [];
  const own = [`${dirname(file)}/*`, ...fetchAdapter(file)];
  return [...own, ...entries].map((path) => `--allow-fs-read=${path}`);
}

/**
 * The working directory: home=, else the (first) script's, or the directory that it is. One that is not there would make
 * spawn() report a missing node; the worker itself says better what is wrong with its script.
 * @throws Error for a home= that is not there.
 */
export function workingDirectory(options: GroupOptions, scripts: ScriptSet): string {
  if (options.home !== undefined) {
    if (isDirectory(options.home)) return options.home;
    throw new Error(`home=${options.home} is no directory that this user can see`);
  }
  const [path = '/'] = scripts.mode === 'exact' ? scripts.paths : scripts.roots;
  const directory = scripts.mode === 'exact' && !isDirectory(path) ? dirname(path) : path;
  return isDirectory(directory) ? directory : '/';
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function signalQuietly(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: it has gone already, which is what was wanted.
  }
}

function watchOutput(stream: Readable, source: 'out' | 'err', events: WorkerEvents): void {
  const splitter = new LineSplitter((line) => {
    events.onOutput(source, line);
  }, MAX_LINE);
  stream.on('data', (chunk: Buffer) => {
    splitter.push(chunk);
  });
  stream.on('end', () => {
    splitter.end();
  });
  stream.on('error', () => undefined); // The worker's end has gone; 'exit' tells the rest.
}

function watchExit(child: ChildProcess, events: WorkerEvents, killGroup: () => void): void {
  let reported = false;
  const report = (status: number | null, signal: NodeJS.Signals | null, error?: Error): void => {
    if (reported) return;
    reported = true;
    events.onExit(status, signal, error);
  };
  child.on('error', (error) => {
    if (child.pid === undefined) report(null, null, error);
  });
  // 'close' comes when all output has been read, unless a child of the worker holds a pipe.
  child.on('close', report);
  child.on('exit', (status, signal) => {
    killGroup();
    setTimeout(report, LAST_WORDS_MS, status, signal);
  });
}

/** Fds of the worker: 0 /dev/null, 1 and 2 pipes, 3 control socket, 4 the listening socket. */
export const spawnWorker: SpawnWorker = (plan, events) => {
  const child = spawn(plan.node, plan.args, {
    cwd: plan.cwd,
    env: plan.environment,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', plan.listenFd],
  });
  const { pid } = child;
  const killGroup = (): void => {
    if (pid !== undefined) signalQuietly(-pid, 'SIGKILL');
  };
  watchExit(child, events, killGroup);
  // Without descriptors for its pipes it has no stdio at all, whatever the types say; 'error' follows.
  const stdio = child.stdio as ChildProcess['stdio'] | undefined;
  const control = stdio?.[3] as Duplex | null | undefined;
  if (pid !== undefined && child.stdout && child.stderr && control) {
    watchOutput(child.stdout, 'out', events);
    watchOutput(child.stderr, 'err', events);
    const splitter = new LineSplitter((line) => {
      events.onLine(line);
    }, MAX_MESSAGE);
    control.on('data', (chunk: Buffer) => {
      splitter.push(chunk);
    });
    control.on('error', () => undefined); // As above.
    control.write(encodeMessage({ type: 'boot', ...plan.boot }));
  }
  return {
    pid,
    send(message): void {
      if (control?.writable === true) control.write(encodeMessage(message));
    },
    signal(signal): void {
      if (pid !== undefined) signalQuietly(pid, signal);
    },
    killGroup,
  };
};
