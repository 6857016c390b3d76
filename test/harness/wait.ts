/** Waiting for a condition with a deadline: the only way a test may let time pass. */
import { patience } from './sanitizer.ts';

export interface WaitOptions {
  /** Milliseconds until it fails. */
  readonly timeoutMs?: number;
  /** What was awaited, for the message of the failure. */
  readonly what?: string;
}

/** For what comes within a second as long as nothing else runs: a busy machine has more time. */
export const ABOUT_A_SECOND = { timeoutMs: 5000 } as const;

/**
 * Polls until `condition` gives something truthy and returns that.
 * @throws Error when the deadline passes; the last exception of the condition is its cause.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 10_000, what = 'the condition' }: WaitOptions = {},
): Promise<NonNullable<Exclude<T, false | '' | 0>>> {
  const deadline = performance.now() + timeoutMs * patience;
  let cause: unknown;
  do {
    try {
      const value = await condition();
      if (value) return value as NonNullable<Exclude<T, false | '' | 0>>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 15));
  } while (performance.now() < deadline);
  throw new Error(`${what} did not come within ${String(timeoutMs * patience)} ms`, { cause });
}
