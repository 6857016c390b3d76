/** What the benchmarks share: CPU and memory from /proc, wrk, medians, a table. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { descendants } from '../test/harness/processes.ts';

const run = promisify(execFile);
const HZ = 100; // USER_HZ: fixed on Linux

/** User + system CPU time of a process in µs, as the kernel counts it (10 ms steps). */
export function cpuMicros(pid: number): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / HZ;
}

/** A process and everything below it. */
export function tree(pid: number): number[] {
  return [pid, ...descendants(pid).map((p) => p.pid)];
}

/** Sum over processes; one that has gone counts 0. */
export function sum(pids: readonly number[], of: (pid: number) => number): number {
  return pids.reduce((total, pid) => {
    try {
      return total + of(pid);
    } catch {
      return total;
    }
  }, 0);
}

function rollup(pid: number, field: string): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(
    readFileSync(`/proc/${String(pid)}/smaps_rollup`, 'utf8'),
  );
  return Number(match?.[1] ?? 0) / 1024;
}
/** Proportional set size in MiB: shared pages are counted once over all their users. */
export const pssMiB = (pid: number): number => rollup(pid, 'Pss');
/** Resident set size in MiB. */
export const rssMiB = (pid: number): number => rollup(pid, 'Rss');

export interface Load {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly errors: number;
}

const unit: Record<string, number> = { us: 1, ms: 1000, s: 1_000_000, m: 60_000_000 };
const micros = (text: string | undefined): number => {
  const match = /^([\d.]+)(us|ms|s|m)$/.exec(text ?? '');
  return match ? Number(match[1]) * (unit[match[2] ?? ''] ?? NaN) : NaN;
};

/** The headers of a browser's request, as DESIGN's yardstick had them. */
export const BROWSER_HEADERS = [
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Language: en-US,en;q=0.5',
  'Accept-Encoding: gzip, deflate, br',
  'Cookie: session=0123456789abcdef; theme=dark',
  'Upgrade-Insecure-Requests: 1',
  'Sec-Fetch-Dest: document',
  'Sec-Fetch-Mode: navigate',
  'Sec-Fetch-Site: none',
  'Cache-Control: max-age=0',
];

/** One run of wrk on loopback. */
export async function wrk(url: string, connections: number, seconds: number): Promise<Load> {
  const args = [
    '-t1',
    `-c${String(connections)}`,
    `-d${String(seconds)}s`,
    '--latency',
    ...BROWSER_HEADERS.flatMap((h) => ['-H', h]),
    url,
  ];
  const { stdout } = await run('wrk', args);
  const pick = (pattern: RegExp) => pattern.exec(stdout)?.[1];
  const failed = [
    ...stdout.matchAll(/(?:connect|read|write|timeout|Non-2xx or 3xx responses:?) (\d+)/g),
  ];
  return {
    requests: Number(pick(/(\d+) requests in/)),
    perSecond: Number(pick(/Requests\/sec:\s+([\d.]+)/)),
    p50Us: micros(pick(/50%\s+(\S+)/)),
    p99Us: micros(pick(/99%\s+(\S+)/)),
    errors: failed.reduce((n, m) => n + Number(m[1]), 0),
  };
}

/** Of the values that are numbers: wrk leaves a percentile out now and then. */
export function median(values: readonly number[]): number {
  const sorted = values.filter((v) => !Number.isNaN(v)).sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2;
}

/** A Markdown table, columns padded. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((c, i) => (i === 0 ? c.padEnd(widths[i] ?? 0) : c.padStart(widths[i] ?? 0))).join(' | ')} |`;
  return [
    line(head),
    `|${widths.map((w, i) => (i === 0 ? '-'.repeat(w + 2) : `${'-'.repeat(w + 1)}:`)).join('|')}|`,
    ...rows.map(line),
  ].join('\n');
}
