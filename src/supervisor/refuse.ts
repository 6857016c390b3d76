/** Answers connections of a slot that has no worker and is not to get one soon. */
import { errorLine } from '../errors.ts';
import type { Context } from './context.ts';
import { LEVEL } from './log.ts';
import type { Reports } from './reports.ts';
import type { Slot } from './slot.ts';

/** Without descriptors to accept with, the socket is looked at again after so long. */
const REST_MS = 100;
/** It may stay so for hours. */
const COMPLAIN_MS = 10_000;
/** What the wire can say. */
const MOST_SECONDS = 65_535;

/** Tells everybody in the backlog why, and when the next try is. `code` is the N of TSGI<N>. */
export function refuseAll(context: Context, reports: Reports, slot: Slot, code: number): void {
  const now = context.now();
  // While one boots, the next try is now.
  const wait = slot.state === 'waiting' ? slot.retryAt - now : 0;
  const seconds = Math.max(1, Math.ceil(wait / 1000));
  try {
    context.native.refuseAll(slot.fd, code, Math.min(seconds, MOST_SECONDS));
  } catch (error) {
    // Who connects waits in the backlog; the socket stays readable, so the loop must not look at it.
    slot.restUntil = now + REST_MS;
    if (now < slot.complainAt) return;
    slot.complainAt = now + COMPLAIN_MS;
    const reason = error instanceof Error ? error.message : String(error);
    context.log.host(LEVEL.error, errorLine(541, { ...reports.names(slot), reason }));
  }
}
