/** What the parts of a supervisor share. Made once in main.ts; tests make their own. */
import type { NativeAddon } from '../native.ts';
import type { Application } from './application.ts';
import type { GroupOptions } from './commands.ts';
import type { Environment } from './environment.ts';
import type { Inquest, Question } from './inquest.ts';
import type { Log } from './log.ts';
import type { Slot } from './slot.ts';
import type { SpawnWorker } from './spawn.ts';
import type { Usage } from './usage.ts';
import type { Worker } from './worker.ts';
import type { Command } from './commands.ts';

/** What happened. Handlers only post these; the loop acts (docs/signals.md). */
export type SupervisorEvent =
  | { readonly kind: 'command'; readonly command: Command }
  /** The command socket has ended: Apache is gone. */
  | { readonly kind: 'orphaned' }
  | { readonly kind: 'signal'; readonly signal: 'SIGTERM' | 'SIGHUP' }
  /** Files that are watched have changed, and come to rest. */
  | {
      readonly kind: 'touched';
      readonly application: Application;
      readonly paths: readonly string[];
    }
  | { readonly kind: 'line'; readonly worker: Worker; readonly line: string }
  | {
      readonly kind: 'exit';
      readonly worker: Worker;
      readonly status: number | null;
      readonly signal: string | null;
      readonly error?: Error;
    }
  /** Apache wants to know how a worker died. */
  | { readonly kind: 'question'; readonly question: Question }
  | { readonly kind: 'connection'; readonly slot: Slot };

export type ExitEvent = Extract<SupervisorEvent, { kind: 'exit' }>;

export interface Context {
  readonly options: GroupOptions;
  readonly log: Log;
  readonly native: Pick<NativeAddon, 'watchReadable' | 'refuseAll'>;
  readonly spawn: SpawnWorker;
  /** Absolute path of worker.cjs. */
  readonly workerFile: string;
  readonly post: (event: SupervisorEvent) => void;
  /** Monotonic ms. */
  readonly now: () => number;
  /** The environment that all workers share, read once per turn of the loop. */
  readonly environment: () => Environment;
  /** Where deaths of workers are noted. */
  readonly inquest: Pick<Inquest, 'died'>;
  /** The kernel has lately killed a process for lack of memory. */
  readonly isMemoryShort: () => boolean;
  /** undefined when the process has gone. */
  readonly usageOf: (pid: number) => Usage | undefined;
  readonly closeFd: (fd: number) => void;
  /** A line of level debug. */
  readonly trace: (text: string) => void;
}
