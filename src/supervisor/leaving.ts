/** How a worker goes: it is told to finish, and killed when it takes too long. */
import type { DrainMessage } from '../ipc/messages.ts';
import type { Context } from './context.ts';
import { LEVEL } from './log.ts';
import { seconds, type Reports } from './reports.ts';
import { move, workerMoves } from './states.ts';
import type { Worker } from './worker.ts';

/** What a worker gets beyond the time it was told, to exit by itself. */
const KILL_MARGIN_MS = 500;

/** One that boots has nothing to finish: it ends at once, unless its event loop is blocked. */
const BOOTING_MS = 1_000;

/** A worker does not serve its slot any more. @returns whether it has to end sooner than it knows. */
export function retire(context: Context, worker: Worker, timeoutMs: number): boolean {
  const { slot } = worker;
  const deadline = context.now() + timeoutMs + KILL_MARGIN_MS;
  if (slot.current === worker) slot.current = undefined;
  if (slot.successor === worker) slot.successor = undefined;
  slot.leaving.add(worker);
  if (worker.state === 'draining' && worker.deadline <= deadline) return false;
  if (worker.state !== 'draining') move(worker, 'draining', workerMoves, context.trace);
  worker.deadline = deadline;
  worker.limitMs = timeoutMs;
  return true;
}

/** Tells a worker to finish; {@link expire} kills it. A later call may only shorten the time. */
export function release(
  context: Context,
  worker: Worker,
  reason: DrainMessage['reason'],
  timeoutMs: number,
): void {
  const wasBooting = worker.state === 'booting';
  if (!retire(context, worker, wasBooting ? Math.min(timeoutMs, BOOTING_MS) : timeoutMs)) return;
  // One that boots has nothing in hand and may not read messages yet.
  if (wasBooting) worker.process.signal('SIGTERM');
  else worker.process.send({ type: 'drain', reason, timeoutMs });
}

/** Kills a worker that is over its deadline, of its start or of its end. */
export function expire(reports: Reports, worker: Worker, now: number): void {
  if (worker.deadline > now) return;
  worker.deadline = Infinity;
  worker.killedBy = worker.state === 'booting' ? 505 : 508;
  const details = { seconds: seconds(worker.limitMs) };
  if (worker.state === 'booting') reports.worker(LEVEL.error, 505, worker, details);
  else reports.worker(LEVEL.warn, 508, worker, details);
  worker.process.killGroup();
}
