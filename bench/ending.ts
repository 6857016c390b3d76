/**
 * That a benchmark leaves nothing behind: what it starts ends with it, also when it is interrupted. The first
 * signal makes everything that is awaited fail, so that each server is stopped in its own way; at a second one,
 * and at any other end, what is left is killed by its pid.
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { rmSync } from 'node:fs';

export class Interrupted extends Error {}
/** Exit status after an interruption, as of a shell's command. */
export const INTERRUPTED = 130;

const controller = new AbortController();
/** Aborted by the first SIGINT, SIGTERM or SIGHUP. */
export const interruption = controller.signal;

const children = new Set<ChildProcess>();
const groups = new Set<number>();
const directories = new Set<string>();

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // ESRCH: it has gone already.
  }
}

/** Ends what was started and is still there, at once. */
function sweep(): void {
  for (const child of children) child.kill('SIGKILL');
  for (const leader of groups) killGroup(leader);
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
}

/** Has the process end in order. Called once, by the command. */
export function endInOrder(): void {
  process.on('exit', sweep);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (interruption.aborted) process.exit(INTERRUPTED);
      console.error('interrupted: stopping what runs');
      controller.abort(new Interrupted(`interrupted by ${signal}`));
    });
  }
  // Those who never look at the interruption are swept away.
  interruption.addEventListener('abort', () =>
    setTimeout(() => process.exit(INTERRUPTED), 30_000).unref(),
  );
}

/** @throws Interrupted if it is to end. */
export function checkInterrupted(): void {
  interruption.throwIfAborted();
}

/** Removes the directory at the end, whatever happens. */
export function removeAtEnd(directory: string): string {
  directories.add(directory);
  return directory;
}

/** Kills a process group at the end, unless what is returned is called before, when it has gone by itself. */
export function killGroupAtEnd(leader: number): () => void {
  groups.add(leader);
  return () => groups.delete(leader);
}

/** A child process that does not outlive this one. */
export function launch(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): ChildProcess {
  const child = spawn(command, args, options);
  children.add(child);
  if (options.detached === true && child.pid !== undefined) {
    child.on('exit', killGroupAtEnd(child.pid));
  }
  child.on('error', () => children.delete(child));
  child.on('exit', () => children.delete(child));
  return child;
}

/** Ends a child and waits for it; after `patienceMs` it is killed. */
export async function end(
  child: ChildProcess,
  signal: NodeJS.Signals = 'SIGTERM',
  patienceMs = 5_000,
): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.on('exit', resolve));
  child.kill(signal);
  const killing = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  await gone;
  clearTimeout(killing);
}

/**
 * Runs a command to its end and returns what it printed.
 * @throws Error with its messages if it fails or takes longer than `timeoutMs`.
 */
export async function run(
  command: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<string> {
  const child = launch(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const stop = () => child.kill('SIGKILL');
  const limit = AbortSignal.timeout(timeoutMs);
  limit.addEventListener('abort', stop);
  interruption.addEventListener('abort', stop);
  try {
    const status = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    checkInterrupted();
    if (limit.aborted) throw new Error(`${command} did not end within ${timeoutMs} ms`);
    if (status !== 0) {
      throw new Error(`${command} ended with ${String(status)}:\n${stderr}${stdout}`);
    }
    return stdout;
  } finally {
    limit.removeEventListener('abort', stop);
    interruption.removeEventListener('abort', stop);
  }
}
