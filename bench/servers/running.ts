/** A server that is measured: how it is started, where it answers, which processes it consists of. */
import type { Process } from '../../test/harness/processes.ts';
import { checkInterrupted, interruption } from '../ending.ts';
import { waitFor } from '../../test/harness/wait.ts';
import { tree } from '../proc.ts';

/** The directory of apps/ that is served. */
export type AppName = 'hello' | 'download' | 'upload' | 'events';
export type Transport = 'http' | 'https' | 'h2';

export interface Setting {
  readonly app: AppName;
  readonly transport: Transport;
  /** The Node.js that serves. */
  readonly node: string;
}

export interface Running {
  /** performance.now() when its first process was started. */
  readonly startedAt: number;
  readonly url: string;
  /** Processes that the client talks to, and those behind them. */
  processes(): { front: number[]; back: number[] };
  stop(): Promise<void>;
}

export function urlOf({ app, transport }: Setting, port: number): string {
  return `${transport === 'http' ? 'http' : 'https'}://127.0.0.1:${port}/${app}`;
}

/** Splits what runs below some processes: what matches is behind, the rest in front. */
export function split(
  roots: readonly number[],
  isBack: (process: Process) => boolean,
): { front: number[]; back: number[] } {
  const all = roots.flatMap(tree);
  const pids = (which: boolean) => all.filter((p) => isBack(p) === which).map(({ pid }) => pid);
  return { front: pids(false), back: pids(true) };
}

/** Waits until a condition holds, or the benchmark is interrupted. */
export async function until<T>(
  condition: () => T | Promise<T>,
  what: string,
  timeoutMs = 20_000,
): Promise<void> {
  await waitFor(async () => interruption.aborted || Boolean(await condition()), {
    what,
    timeoutMs,
  });
  checkInterrupted();
}
