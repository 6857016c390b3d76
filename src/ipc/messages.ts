/**
 * Messages between a supervisor and its workers: one JSON object a line, both ways, on the control
 * socket (fd 3 of the worker). Both ends are of the same version, always.
 */

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
  readonly scripts: ScriptSet;
  /** Pid of the supervisor, to detect that it died before the death signal was armed. */
  readonly supervisor: number;
  readonly startupTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly gracefulTimeoutMs: number;
  /** Value for process.title. */
  readonly title: string;
  /** Absolute path; the working directory. Undefined: the directory of the (first) script. */
  readonly home?: string;
  /** TypeScript entries go through tsx even where Node strips types itself. */
  readonly forceTsx: boolean;
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
}

/** Worker → supervisor: a line for the error log of the group's virtual host. */
export interface LogMessage {
  readonly type: 'log';
  /** 0..7, as in syslog(3). */
  readonly level: number;
  readonly text: string;
}

export type ToWorker = BootMessage | DrainMessage;
export type ToSupervisor = ReadyMessage | FailedMessage | LogMessage;
