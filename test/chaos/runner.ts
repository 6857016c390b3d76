/** Runs one event: a site, its load, the faults, the verdict. */
import { Histogram } from '../harness/histogram.ts';
import { show, type LoadOptions, type Report, type Result } from '../harness/load.ts';
import type { Mpm } from '../harness/httpd.ts';
import type { AppRecord } from '../harness/record.ts';
import type { Arena, ChaosEvent, Results, Verdict } from './event.ts';
import { Generator } from './generator.ts';
import { Site, STATIC_SIZE } from './site.ts';

/**
 * Where a request was when it failed, in the terms of the retry law, as far as it shows from outside:
 * A no worker took it, B one was asked but its app never saw it, C the app had begun, D the head had come.
 */
export const STATES = ['A', 'B', 'C', 'D'] as const;
export type State = (typeof STATES)[number];

export interface Plan {
  readonly times: number;
  readonly isTimed: boolean;
  readonly mpm: Mpm;
}

export interface Row {
  readonly name: string;
  readonly goal: string;
  readonly verdict: 'pass' | 'fail' | 'skipped';
  readonly reasons: readonly string[];
  readonly notes: readonly string[];
  readonly times: number;
  readonly requests: number;
  readonly failed: Readonly<Record<State, number>>;
  /** Failures that the goal allows; they are in `failed`, too. */
  readonly excused: number;
  /** Kept connections that were closed before a request on them was read. */
  readonly closedIdle: number;
  /** The same of a static file; null: the event has no control. */
  readonly closedIdleStatic: number | null;
  /** Of these, what a client repeated, with success. */
  readonly repeated: { readonly get: number; readonly post: number };
  readonly duplicated: number;
  /** Milliseconds; null: too few requests. */
  readonly p99Before: number | null;
  readonly p99During: number | null;
  readonly seconds: number;
}

/** Fewer requests have no 99th percentile worth the name. */
const ENOUGH = 100;
/** Failures that are told one by one. */
const TOLD = 5;
/** One connection's worth of luck: the control is a sample, too. */
const LUCK = 1.5;

function stateOf(failure: Result, record: AppRecord): State | 'idle' {
  if (failure.outcome === 'truncated') return 'D';
  if (record.begunBy(failure.id) !== undefined) return 'C';
  if (failure.outcome === 'idle') return 'idle';
  return failure.status === 503 || failure.status === 0 ? 'A' : 'B';
}

function p99(reports: readonly Report[], phase: string): number | null {
  const all = reports.flatMap(({ latencies }) => {
    const buckets = latencies[phase];
    return buckets === undefined ? [] : [buckets];
  });
  const sum: number[] = [];
  for (const buckets of all) buckets.forEach((n, i) => (sum[i] = (sum[i] ?? 0) + n));
  const histogram = Histogram.from(Array.from(sum, (n: number | undefined) => n ?? 0));
  return histogram.count < ENOUGH ? null : histogram.quantile(0.99);
}

class Run implements Arena {
  readonly site: Site;
  readonly load: Generator;
  readonly times: number;
  readonly isTimed: boolean;
  readonly generators: Generator[] = [];
  readonly reasons: string[] = [];
  readonly notes: string[] = [];

  constructor(site: Site, { times, isTimed }: Plan, load: LoadOptions) {
    this.site = site;
    this.times = times;
    this.isTimed = isTimed;
    this.load = new Generator(load);
    this.generators.push(this.load);
  }

  // Functions of the run itself, so that events can take them apart.
  readonly generate = (options: Omit<LoadOptions, 'port'>): Generator => {
    const generator = new Generator({ port: this.site.httpd.port, ...options });
    this.generators.push(generator);
    return generator;
  };

  readonly fail = (reason: string): void => {
    this.reasons.push(reason);
  };

  get failed(): boolean {
    return this.reasons.length > 0;
  }

  readonly note = (text: string): void => {
    this.notes.push(text);
  };

  readonly failTimed = (reason: string): void => {
    if (this.isTimed) this.fail(reason);
    else this.note(`(not judged here) ${reason}`);
  };

  /** Ends all loads. */
  reports(): Promise<Report[]> {
    return Promise.all(this.generators.map((generator) => generator.stop()));
  }
}

function defaultLoad(event: ChaosEvent, site: Site, { isTimed }: Plan): LoadOptions {
  return {
    port: site.httpd.port,
    path: '/site',
    connections: 64,
    mix: 'site',
    leaving: 4,
    slowMs: isTimed ? 2000 : 300,
    record: site.recordPath,
    ...event.load,
  };
}

/** Injects the faults while the load goes on; what is thrown becomes a reason. */
async function during(run: Run, event: ChaosEvent): Promise<Verdict> {
  try {
    if (run.load.options.connections > 0) {
      run.load.phase('warm-up');
      await run.load.served(run.isTimed ? 1000 : 200);
      run.load.phase('before');
      await run.load.served(run.isTimed ? 3000 : 200);
      run.load.phase('during');
    }
    return (await event.run(run)) ?? {};
  } catch (error) {
    run.fail(error instanceof Error ? error.message : String(error));
    run.note(`the log's last lines: ${run.site.httpd.log.tail(TOLD)}`);
    return {};
  }
}

/** Kept connections that die with nobody having read the request, where no app is involved. */
async function control(
  event: ChaosEvent,
  { site, generators }: Run,
  plan: Plan,
): Promise<{ closed: number; p99: number | null } | null> {
  if (!event.control) return null;
  const load: LoadOptions = {
    port: site.httpd.port,
    path: '/static.txt',
    connections: generators.reduce((sum, { options }) => sum + options.connections, 0),
    mix: 'plain',
    staticSize: STATIC_SIZE,
  };
  const run = new Run(site, plan, load);
  try {
    await run.load.served(200);
    run.load.phase('during');
    await event.control(run);
  } catch (error) {
    // What keeps the control from its end is a reason to doubt the event, too.
    run.generators.forEach((generator) => {
      generator.kill();
    });
    throw error;
  }
  const reports = await run.reports();
  const idle = reports.flatMap((r) => r.failures).filter(({ outcome }) => outcome === 'idle');
  return { closed: idle.length, p99: p99(reports, 'during') };
}

interface Classified {
  readonly failure: Result;
  readonly state: State | 'idle';
  readonly isExcused: boolean;
}

const told = (classified: readonly Classified[]): string =>
  `${String(classified.length)}: ${classified
    .slice(0, TOLD)
    .map(({ failure, state }) => `[${state}] ${show(failure)}`)
    .join('; ')}`;

/** What every event must show. @returns the figures of the row. */
function judge(
  { slower }: ChaosEvent,
  verdict: Verdict,
  run: Run,
  results: Results,
  closed: number | null,
): Partial<Row> {
  const { record, reports } = results;
  const classified = results.failures.map((failure): Classified => ({
    failure,
    state: stateOf(failure, record),
    isExcused: verdict.excuses?.(failure, results) === true,
  }));
  const failed = { A: 0, B: 0, C: 0, D: 0 };
  for (const { state } of classified) if (state !== 'idle') failed[state]++;
  const idle = classified.filter(({ state }) => state === 'idle');
  const bad = classified.filter(({ state, isExcused }) => !isExcused && state !== 'idle');
  const foreign = classified.filter(({ failure }) => failure.outcome === 'foreign');
  const surplus = idle.filter(({ isExcused }) => !isExcused);

  if (bad.length > 0) run.fail(`failed requests, ${told(bad)}`);
  if (foreign.length > 0) run.fail(`answers to other requests, ${told(foreign)}`);
  if (closed === null && surplus.length > 0) run.fail(`kept connections closed, ${told(surplus)}`);
  if (closed !== null && surplus.length > closed * LUCK + 2)
    run.failTimed(`closes ${surplus.length} kept connections, a static file ${closed}`);
  if (record.twice.length > 0)
    run.fail(`reached the app twice: ${record.twice.slice(0, TOLD).join(', ')}`);
  const before = p99(reports, 'before');
  const now = p99(reports, 'during');
  if (slower !== undefined && before !== null && now !== null && now > slower * before)
    run.failTimed(`p99 is ${(now / before).toFixed(1)} times that of before`);
  return {
    failed,
    excused: classified.filter(({ isExcused }) => isExcused).length,
    closedIdle: idle.length,
    p99Before: before,
    p99During: now,
  };
}

const skipped = (event: ChaosEvent, why: string): Row => ({
  ...{ name: event.name, goal: event.goal, verdict: 'skipped', reasons: [why], notes: [] },
  ...{ times: 0, requests: 0, failed: { A: 0, B: 0, C: 0, D: 0 }, excused: 0, closedIdle: 0 },
  ...{ closedIdleStatic: null, repeated: { get: 0, post: 0 }, duplicated: 0 },
  ...{ p99Before: null, p99During: null, seconds: 0 },
});

/** Runs an event; never rejects for what the event shows. Leaves nothing behind. */
export async function runEvent(event: ChaosEvent, plan: Plan): Promise<Row> {
  const missing = event.needs?.();
  if (missing !== undefined) return skipped(event, `needs ${missing}`);
  const since = performance.now();
  const options = typeof event.site === 'function' ? event.site() : event.site;
  const site = await Site.start({ mpm: plan.mpm, ...options });
  site.httpd.log.allow(...(event.log ?? []));
  const run = new Run(site, plan, defaultLoad(event, site, plan));
  let reports: Report[] = [];
  let closed: number | null = null;
  let verdict: Verdict = {};
  try {
    verdict = await during(run, event);
    reports = await run.reports();
    const compared = await control(event, run, plan);
    closed = compared?.closed ?? null;
    if (compared) run.note(`p99 of a static file meanwhile ${(compared.p99 ?? NaN).toFixed(0)} ms`);
  } catch (error) {
    run.fail(error instanceof Error ? error.message : String(error));
  } finally {
    for (const generator of run.generators) generator.kill();
    site.record.refresh();
    await site.stop().catch((error: unknown) => {
      run.fail(error instanceof Error ? error.message : String(error));
    });
  }
  const failures = reports.flatMap((report) => report.failures);
  const results: Results = { reports, failures, record: site.record };
  const judged = judge(event, verdict, run, results, closed);
  verdict.judge?.(results);
  const total = (of: (report: Report) => number) => reports.reduce((n, r) => n + of(r), 0);
  return {
    ...skipped(event, ''),
    times: plan.times,
    requests: total((r) => r.requests),
    repeated: { get: total((r) => r.repeated.get), post: total((r) => r.repeated.post) },
    closedIdleStatic: closed,
    duplicated: site.record.twice.length,
    ...judged,
    reasons: run.reasons,
    notes: run.notes,
    verdict: run.reasons.length > 0 ? 'fail' : 'pass',
    seconds: (performance.now() - since) / 1000,
  };
}
