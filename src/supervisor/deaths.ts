/** How a worker died, in words: for the supervisor's own log line and for those of its victims. */
import { stripVTControlCharacters } from 'node:util';
import { errorId, type ErrorNumber } from '../errors.ts';

/** What is known of a worker's end. */
export interface Death {
  readonly status: number | null;
  readonly signal: string | null;
  /** The N of the TSGI<N> with which the supervisor killed it. */
  readonly killedBy?: ErrorNumber | undefined;
  /** It had been told to finish. */
  readonly wasDraining?: boolean;
  /** The system has killed some process for lack of memory at about this time. */
  readonly isMemoryShort?: boolean;
  /** Its last lines on stderr. */
  readonly lines?: readonly string[];
}

/** Why the supervisor sends SIGKILL. */
const causes: Readonly<Partial<Record<ErrorNumber, string>>> = {
  505: 'startup-timeout',
  508: 'its time to finish was over',
  516: 'memory-limit',
};

/** How V8 ends the process; the larger numbers are what a shell in between makes of the signals. */
const ABORTS: readonly (number | string | null)[] = ['SIGABRT', 'SIGTRAP', 'SIGILL', 134, 133, 132];
const HEAP_EXHAUSTED = /^FATAL ERROR: .*JavaScript heap out of memory/;
const LOOKS_LIKE_ERROR = /^((Uncaught )?[\w.]*(Error|Exception)\b.*|FATAL ERROR): /;
/** Frames and headings of the stacks that Node prints when it aborts. */
const IS_STACK = /^\s*(at |\d+: 0x|-----|$)/;

/** A frame in code of the app, not of Node itself. */
const IS_FRAME = /^\s+at (?!.*\(?node:)(.*:\d+:\d+\)?)$/;

/** How a process ended: `exit status 1`, `signal SIGKILL`. */
export function describeExit(status: number | null, signal: string | null): string {
  return signal === null ? `exit status ${String(status)}` : `signal ${signal}`;
}

/**
 * @returns the line of a worker's stderr that most likely names the cause: the last that begins
 * like an error of Node's, with the place in the app from which it came, else the last that says
 * anything and belongs to no stack.
 */
export function findCause(lines: readonly string[]): string | undefined {
  const at = lines.findLastIndex((line) => LOOKS_LIKE_ERROR.test(line));
  const cause = lines[at];
  if (cause === undefined) return lines.findLast((line) => !IS_STACK.test(line));
  const frame = lines.slice(at + 1).find((line) => IS_FRAME.test(line));
  return frame === undefined ? cause : `${cause} ${frame.trim()}`;
}

/** It ended as a process does that wants to, or was asked to. */
export function isOrderly({ status, signal }: Death): boolean {
  return status === 0 || signal === 'SIGTERM';
}

/** @returns why, as far as it can be told without what the worker said itself. */
function causeOf({ status, signal, killedBy, isMemoryShort, lines = [] }: Death): string {
  if (ABORTS.includes(signal ?? status) && lines.some((line) => HEAP_EXHAUSTED.test(line))) {
    return ", out of memory: V8's heap limit";
  }
  if (signal !== 'SIGKILL') return '';
  if (killedBy !== undefined) {
    const why = causes[killedBy];
    const id = errorId(killedBy);
    return `, sent by the supervisor: ${why === undefined ? id : `${why} (${id})`}`;
  }
  return isMemoryShort === true ? ', probably by the kernel, out of memory' : '';
}

/** `signal SIGKILL, sent by the supervisor: …`, `exit status 1, last on stderr: TypeError: …`. */
export function describeDeath(death: Death): string {
  const cause = causeOf(death);
  const drained = death.wasDraining === true ? ', after it was told to finish' : '';
  const how = describeExit(death.status, death.signal) + cause + drained;
  if (cause !== '' || isOrderly(death)) return how;
  const words = findCause((death.lines ?? []).map(stripVTControlCharacters));
  return words === undefined ? how : `${how}, last on stderr: ${words.trim()}`;
}
