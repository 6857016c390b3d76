/** wrk: HTTP/1.1, plain and over TLS. */
import { join } from 'node:path';
import { run } from '../ending.ts';
import { GRACE_MS, headerArguments, type Load, type Run } from './load.ts';

const unit: Record<string, number> = { us: 1, ms: 1000, s: 1_000_000, m: 60_000_000 };

function micros(text: string | undefined): number {
  const match = /^([\d.]+)(us|ms|s|m)$/.exec(text ?? '');
  return match ? Number(match[1]) * (unit[match[2] ?? ''] ?? NaN) : NaN;
}

/**
 * Above so many connections httpd, with all its threads busy, closes kept ones between requests, as HTTP allows it. wrk
 * opens them again, and counts each as a failure to read.
 */
const THREADS = 128;

/** Reads what `wrk --latency` prints. @param isCrowded connections may be closed between requests. */
export function parseWrk(stdout: string, isCrowded = false): Load {
  const pick = (pattern: RegExp) => pattern.exec(stdout)?.[1];
  const failed = isCrowded
    ? /(?:connect|write|timeout|Non-2xx or 3xx responses:) (\d+)/g
    : /(?:connect|read|write|timeout|Non-2xx or 3xx responses:) (\d+)/g;
  return {
    requests: Number(pick(/(\d+) requests in/)),
    perSecond: Number(pick(/Requests\/sec:\s+([\d.]+)/)),
    p50Us: micros(pick(/50%\s+(\S+)/)),
    p99Us: micros(pick(/99%\s+(\S+)/)),
    errors: [...stdout.matchAll(failed)].reduce((n, m) => n + Number(m[1]), 0),
  };
}

/** @param script a Lua script beside this file that makes other requests than GET. */
export async function wrk(
  { url, connections, seconds, host }: Run,
  script?: string,
): Promise<Load> {
  const scripted = script === undefined ? [] : ['-s', join(import.meta.dirname, script)];
  const stdout = await run(
    'wrk',
    [
      ...['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', '--timeout', '10s'],
      ...[...headerArguments, ...(host === undefined ? [] : ['-H', `Host: ${host}`])],
      ...[...scripted, url],
    ],
    seconds * 1000 + GRACE_MS,
  );
  return parseWrk(stdout, connections > THREADS);
}
