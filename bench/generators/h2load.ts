/** h2load: HTTP/2 over TLS, as browsers speak it. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeAtEnd, run } from '../ending.ts';
import { quantile } from '../stats.ts';
import { GRACE_MS, headerArguments, type Load, type Run } from './load.ts';

/** Streams at a time on each connection. */
const STREAMS = 4;

/**
 * Reads what h2load prints, and its log of requests: begin in µs, status, duration in µs.
 * Of requests that were under way at the end, which never came back, it tells neither.
 */
export function parseH2load(stdout: string, log: string): Load {
  const pick = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1]);
  const rows = log
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t').map(Number));
  const durations = rows.map(([, , duration]) => duration ?? NaN);
  const failed = pick(/(\d+) failed/);
  const wrong = rows.filter(([, status]) => status !== 200).length;
  return {
    requests: pick(/(\d+) succeeded/),
    perSecond: pick(/finished in [\d.]+\w+, ([\d.]+) req\/s/),
    p50Us: quantile(durations, 0.5),
    p99Us: quantile(durations, 0.99),
    errors: failed + wrong,
  };
}

export async function h2load({ url, connections, seconds }: Run): Promise<Load> {
  const directory = removeAtEnd(mkdtempSync(join(tmpdir(), 'tsgi-h2load-')));
  const log = join(directory, 'log');
  const stdout = await run(
    'h2load',
    [
      ...['-t1', `-c${connections}`, `-m${STREAMS}`, `-D${seconds}`, `--log-file=${log}`],
      ...[...headerArguments, url],
    ],
    seconds * 1000 + GRACE_MS,
  );
  const load = parseH2load(stdout, readFileSync(log, 'utf8'));
  rmSync(directory, { recursive: true });
  return load;
}
