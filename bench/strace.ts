/** System calls of running processes, counted by strace while something happens. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { end, launch } from './ending.ts';
import { scratch } from './servers/backend.ts';
import { until } from './servers/running.ts';

/** Reads the table of `strace -c`: share, seconds, µs a call, calls, errors if there are any, name. */
export function parseStrace(text: string): number {
  return text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((cells) => /^\d+\.\d+$/.test(cells[0] ?? '') && cells.at(-1) !== 'total')
    .reduce((sum, cells) => sum + Number(cells[3]), 0);
}

export interface Counting {
  /** Ends it. @returns how many system calls there were. */
  stop(): Promise<number>;
}

/**
 * Begins to count. Processes run slower meanwhile.
 * @throws Error if they cannot be traced.
 */
export async function countCalls(pids: readonly number[]): Promise<Counting> {
  const file = join(scratch(), 'calls');
  const child = launch(
    'strace',
    ['-c', '-f', '-o', file, ...pids.flatMap((pid) => ['-p', String(pid)])],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const isAttached = (pid: number) => said.includes(`Process ${pid} attached`);
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  try {
    await until(() => pids.every(isAttached) || hasEnded(), 'strace');
  } catch (error) {
    await end(child, 'SIGINT');
    throw error;
  }
  if (hasEnded()) throw new Error(`strace cannot trace: ${said.trim().split('\n')[0] ?? ''}`);
  return {
    async stop() {
      await end(child, 'SIGINT', 10_000);
      return parseStrace(readFileSync(file, 'utf8'));
    },
  };
}
