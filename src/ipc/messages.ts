/**
 * Messages between a supervisor and its workers: one JSON object a line, both ways, on the control
 * socket (fd 3 of the worker). Both ends are of the same version, always.
 */
import type { Stamp } from './stamp.ts';

/** Supervisor → worker, the first line; the worker reads it synchronously before anything else. */
export interface BootMessage {
  readonly type: 'boot';
  readonly group: string;
  /** Name of the application group; empty for %{GLOBAL}. */
  readonly application: string;
  readonly slot: number;
  /** How many workers share the application group. */
  readonly processes: number;
  /** 32 hex digits. */
  readonly generation: string;
  /** 64 hex digits. */
  readonly secret: string;
  /** Most requests in hand at once. */
  readonly concurrency: number;
  /** Most connections that apps have taken over at once; 0: as many as the process can bear. */
  readonly maxUpgrades: number;
  /** How long no byte may move on one of them; 0: for ever. */
  readonly upgradeIdleTimeoutMs: number;
  /** The uid, besides root, that may connect; −1: any. */
  readonly peerUid: number;
  readonly scripts: ScriptSet;
  /** Pid of the supervisor, to detect that it died before the death signal was armed. */
  readonly supervisor: number;
  /** Pid of Apache's parent: a worker whose supervisor has died finishes what it has in hand while that lives. */
  readonly apache: number;
  readonly startupTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly gracefulTimeoutMs: number;
  readonly evictionTimeoutMs: number;
  /** 0: the event loop may be blocked for ever. */
  readonly deadlockTimeoutMs: number;
  /** Where Apache serves the app. */
  readonly port: number;
  /** The port of the listen() that is the app; undefined: the first one, whatever its port. */
  readonly listenPort?: number;
  /** Whether the app has to call process.send('ready') as well. */
  readonly ready: 'listen' | 'message';
  /** After so many requests it says how many they are; 0: never. */
  readonly maximumRequests: number;
  /** How often, at most, it says what it has in hand; 0: never. */
  readonly statsIntervalMs: number;
  /** Value for process.title. */
  readonly title: string;
  /** Absolute path; the working directory. Undefined: the directory of the (first) script. */
  readonly home?: string;
  /** Undefined: Node's inspector stays closed. */
  readonly inspector?: InspectorAddress;
  /** TypeScript entries go through tsx even where Node strips types itself. */
  readonly forceTsx: boolean;
  /** The app is to be a worker of a cluster: what its entry has asked for with its first fork(). */
  readonly clusterFork?: ClusterFork;
}

/** What a call of cluster.fork() would have started. */
export interface ClusterFork {
  /** The script that runs, where it is another one than the entry. */
  readonly exec?: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** Further variables of its environment. */
  readonly env: Readonly<Record<string, string>>;
}

export interface InspectorAddress {
  readonly host: string;
  readonly port: number;
}

/** Which files a worker may run: exact paths, or regular files below literal roots. */
export type ScriptSet =
  | { readonly mode: 'exact'; readonly paths: readonly string[] }
  | { readonly mode: 'pattern'; readonly roots: readonly string[] };

/** Supervisor → worker: finish what is in hand, take nothing new, exit. */
export interface DrainMessage {
  readonly type: 'drain';
  readonly reason: 'reload' | 'recycle' | 'shutdown' | 'removed';
  readonly timeoutMs: number;
}

/** Worker → supervisor: every script of an exact set is loaded; requests are being accepted. */
export interface ReadyMessage {
  readonly type: 'ready';
  /** Real paths of the loaded entries. */
  readonly entries: readonly string[];
}

/** Worker → supervisor: the app could not be loaded; the worker exits right after. */
export interface FailedMessage {
  readonly type: 'failed';
  /** The N of TSGI<N>. */
  readonly code: number;
  /** One line: what was expected, what came, what to do. */
  readonly message: string;
  /** The cause's stack, source-mapped where the entry is TypeScript. */
  readonly stack?: string;
  /** The entry needs tsx (enums, decorators, tsconfig paths): start again at once with forceTsx. */
  readonly needsTsx?: boolean;
  /** The entry called cluster.fork(): start again at once with clusterFork. */
  readonly clusterFork?: ClusterFork;
}

/**
 * Worker → supervisor: a file is about to be loaded that the configuration does not name: a script of a
 * pattern, or what a directory that it names leads to.
 */
export interface LoadedMessage {
  readonly type: 'loaded';
  /** Its path as Apache, or the package, has it. */
  readonly script: string;
  /** How the file is now. */
  readonly stamp: Stamp;
}

/** Worker → supervisor: it was told to end by a signal, or its app closed its server; it takes nothing new. */
export interface LeavingMessage {
  readonly type: 'leaving';
}

/** Worker → supervisor: what it took and has in hand. */
export interface StatsMessage {
  readonly type: 'stats';
  /** Requests that came, ever. */
  readonly requests: number;
  readonly inHand: number;
}

/** Worker → supervisor, from its watch thread once the app serves: the process runs. */
export interface BeatMessage {
  readonly type: 'beat';
}

/** Worker → supervisor, from its watch thread: the event loop has not turned for deadlock-timeout. */
export interface BlockedMessage {
  readonly type: 'blocked';
  /** Where its JavaScript is, a line for each frame; undefined: nothing could be had. */
  readonly stack?: string;
  /** Without a stack: what the system says of the thread. */
  readonly native?: string;
}

/** Worker → supervisor: a line for the error log of the group's virtual host. */
export interface LogMessage {
  readonly type: 'log';
  /** 0..7, as in syslog(3). */
  readonly level: number;
  readonly text: string;
}

export type ToWorker = BootMessage | DrainMessage;
export type ToSupervisor =
  | ReadyMessage
  | FailedMessage
  | LoadedMessage
  | LeavingMessage
  | StatsMessage
  | BeatMessage
  | BlockedMessage
  | LogMessage;

/**
 * One line, its `\n` included. Pure ASCII, so that a reader may cut the stream at any byte.
 */
export function encodeMessage(message: ToWorker | ToSupervisor): string {
  const escape = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(message).replace(/[\u007f-\uffff]/g, escape) + '\n';
}

type Fields = Readonly<Record<string, unknown>>;

function parseFields(line: string): Fields {
  const value: unknown = JSON.parse(line);
  if (!isFields(value)) throw new TypeError('expected a JSON object');
  return value;
}

function show(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value);
}

function field<T>(fields: Fields, name: string, is: (value: unknown) => value is T): T {
  const value = fields[name];
  if (!is(value)) throw new TypeError(`field ${name} is ${show(value)}`);
  return value;
}

const isString = (value: unknown): value is string => typeof value === 'string';
const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean';
const isStrings = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every(isString);
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isTexts = (value: unknown): value is Record<string, string> =>
  isFields(value) && Object.values(value).every(isString);
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;
const isLevel = (value: unknown): value is number => isCount(value) && value <= 7;
const isCode = (value: unknown): value is number => isCount(value) && value <= 9999;

function parseFork(fields: Fields): ClusterFork {
  const fork = field(fields, 'clusterFork', isFields);
  return {
    ...('exec' in fork && { exec: field(fork, 'exec', isString) }),
    args: field(fork, 'args', isStrings),
    env: field(fork, 'env', isTexts),
  };
}

/**
 * Reads a line that came from a worker. Apps run in that process, so nothing in it is trusted.
 * @throws TypeError or SyntaxError that says what is wrong.
 */
export function parseToSupervisor(line: string): ToSupervisor {
  const fields = parseFields(line);
  switch (fields['type']) {
    case 'ready':
      return { type: 'ready', entries: field(fields, 'entries', isStrings) };
    case 'failed':
      return {
        type: 'failed',
        code: field(fields, 'code', isCode),
        message: field(fields, 'message', isString),
        ...('stack' in fields && { stack: field(fields, 'stack', isString) }),
        ...('needsTsx' in fields && { needsTsx: field(fields, 'needsTsx', isBoolean) }),
        ...('clusterFork' in fields && { clusterFork: parseFork(fields) }),
      };
    case 'loaded':
      return {
        type: 'loaded',
        script: field(fields, 'script', isString),
        stamp: field(fields, 'stamp', isString),
      };
    case 'leaving':
      return { type: 'leaving' };
    case 'stats':
      return {
        type: 'stats',
        requests: field(fields, 'requests', isCount),
        inHand: field(fields, 'inHand', isCount),
      };
    case 'beat':
      return { type: 'beat' };
    case 'blocked':
      return {
        type: 'blocked',
        ...('stack' in fields && { stack: field(fields, 'stack', isString) }),
        ...('native' in fields && { native: field(fields, 'native', isString) }),
      };
    case 'log':
      return {
        type: 'log',
        level: field(fields, 'level', isLevel),
        text: field(fields, 'text', isString),
      };
    default:
      throw new TypeError(`type is ${show(fields['type'])}`);
  }
}

/**
 * Reads a line that came from the supervisor, which is of the same version and whose fields are
 * therefore taken as they are.
 * @throws TypeError or SyntaxError if it is no message at all.
 */
export function parseToWorker(line: string): ToWorker {
  const fields = parseFields(line);
  if (fields['type'] !== 'boot' && fields['type'] !== 'drain') {
    throw new TypeError(`type is ${show(fields['type'])}`);
  }
  return fields as unknown as ToWorker;
}
