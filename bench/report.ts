/** The results for people: Markdown tables, and the goals with what was reached. */
import { judge, type Goal, type Verdict } from './goals.ts';
import { medianOf, relate, titleOf, type Cell, type Metric, type Results } from './results.ts';
import { median, table } from './stats.ts';

/** Facts about the run, in the order in which they are shown. */
export type Facts = Readonly<Record<string, string>>;

export interface Names {
  /** @returns what a load is about. */
  load(name: string): string;
  /** @returns what a contender is called in tables. */
  contender(name: string): string;
}

/** To whom the others of a load are compared. */
const YARDSTICKS: Readonly<Record<string, string>> = { worker: 'worker-node' };
const YARDSTICK = 'proxy-unix';

const UNDER_LOAD: readonly Metric[] = [
  'cpuUs',
  'frontUs',
  'backUs',
  'perSecond',
  'p50Us',
  'p99Us',
  'switches',
];
const ALONE: readonly Metric[] = ['startMs', 'idleMiB', 'loadedMiB', 'frontCalls', 'backCalls'];

/** A figure with three digits or so. */
export function show(value: number): string {
  if (Number.isNaN(value)) return '–';
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

function oneTable(cells: readonly Cell[], names: Names, yardstick: string | undefined): string {
  const base = cells.find(({ contender }) => contender === yardstick);
  const metrics = cells[0]?.load === 'alone' ? ALONE : UNDER_LOAD;
  const ratios: readonly Metric[] = base && metrics === UNDER_LOAD ? ['cpuUs', 'perSecond'] : [];
  const rows = cells.map((cell) => [
    names.contender(cell.contender),
    ...metrics.map((metric) => show(medianOf(cell, metric))),
    ...ratios.map((metric) => show(relate(cell, base, metric))),
  ]);
  const heads = ratios.map((metric) => `${titleOf(metric)} / ${yardstick ?? ''}`);
  return table(['', ...metrics.map(titleOf), ...heads], rows);
}

function verdictRow({ goal, measured, isReached, parts }: Verdict): string[] {
  const limit = goal.atMost === undefined ? `≥ ${goal.atLeast ?? ''}` : `≤ ${goal.atMost}`;
  const word = isReached === undefined ? 'not measured' : isReached ? 'reached' : 'missed';
  const details =
    parts.length > 1 ? parts.map(({ name, value }) => `${name}: ${show(value)}`).join('; ') : '';
  return [goal.text, limit, measured === undefined ? '–' : show(measured), word, details];
}

/** How much of the machine other programs took while it was measured; a reader judges the figures by it. */
export function disturbance(results: Results): string {
  const shares = results.cells.flatMap(({ samples }) => samples.map(({ others }) => others ?? NaN));
  const measured = shares.filter((share) => !Number.isNaN(share));
  if (measured.length === 0) return 'not measured';
  const percent = (share: number) => `${Math.round(share * 100)} %`;
  return `other programs took ${percent(median(measured))} of the CPUs (median), at most ${percent(Math.max(...measured))}`;
}

/** The goals, with what was reached and what was missed. Those of which nothing was measured are counted only. */
export function goalTable(goals: readonly Goal[], results: Results): string {
  const verdicts = goals.map((goal) => judge(goal, results));
  const count = (is: boolean | undefined) =>
    verdicts.filter(({ isReached }) => isReached === is).length;
  const rows = verdicts.filter(({ parts }) => parts.length > 0).map(verdictRow);
  const head = ['goal', 'limit', 'measured', 'verdict', 'in detail'];
  const counts = `${count(true)} reached, ${count(false)} missed, ${count(undefined)} not measured. Of several values the worst counts.`;
  return rows.length === 0 ? `${counts}\n` : `${table(head, rows, [0, 3, 4])}\n\n${counts}\n`;
}

/** Everything. */
export function markdown(
  results: Results,
  goals: readonly Goal[],
  facts: Facts,
  names: Names,
): string {
  const groups = new Map<string, Cell[]>();
  for (const cell of results.cells) {
    const key = `${cell.load}@${cell.connections}`;
    groups.set(key, [...(groups.get(key) ?? []), cell]);
  }
  const sections = [...groups.values()].map((cells) => {
    const { load = '', connections = 0 } = cells[0] ?? {};
    const at =
      connections > 0 ? `, ${connections} ${connections === 1 ? 'connection' : 'connections'}` : '';
    const title = `## ${names.load(load)}${at}`;
    return `${title}\n\n${oneTable(cells, names, YARDSTICKS[load] ?? YARDSTICK)}\n`;
  });
  const said = Object.entries(facts).map(([name, value]) => `- ${name}: ${value}`);
  return `# Benchmark

${said.join('\n')}

Medians over the rounds. CPU µs: user and system time of all processes of the server for one request, of what the
client talks to (front) and of what is behind it (back).

## Goals

${goalTable(goals, results)}
${sections.join('\n')}`;
}
