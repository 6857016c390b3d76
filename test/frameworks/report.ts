/** The matrix as text. */
import { baseOf, CAPABILITIES, versionOf, type Framework, type Way } from './framework.ts';

/** The columns of the first way; each other way has one for all that it was asked. */
export const COLUMNS = [...CAPABILITIES, 'no port', 'reload', 'log'] as const;
export type Column = (typeof COLUMNS)[number];

/** What became of one way. */
export interface Outcome {
  /** The failure of each column; undefined if there was none, absent if the app has no such thing. */
  readonly results: ReadonlyMap<Column, Error | undefined>;
  /** It could not be installed, built or started. */
  readonly fatal?: Error;
}

export interface Row {
  readonly framework: Framework;
  /** The Node.js that ran it, e.g. 20.20.2. */
  readonly node: string;
  readonly outcomes: ReadonlyMap<Way, Outcome>;
}

const isGoodOutcome = ({ fatal, results }: Outcome): boolean =>
  fatal === undefined && [...results.values()].every((error) => error === undefined);

export const isGood = ({ outcomes }: Row): boolean => [...outcomes.values()].every(isGoodOutcome);

function mark({ fatal, results }: Outcome, column: Column): string {
  if (fatal !== undefined) return 'NO';
  if (!results.has(column)) return '—';
  return results.get(column) === undefined ? 'yes' : 'NO';
}

/** What begins a framework's row, here and in docs/frameworks.md. */
export function beginningOf(framework: Framework): string {
  return `| ${framework.title} | ${versionOf(framework)} |`;
}

/** All that a way was asked, in one word; and what it was not asked, since the framework cannot do it. */
function summary({ lacksBelowBase = [] }: Framework, way: Way, outcome: Outcome): string {
  if (!isGoodOutcome(outcome)) return 'NO';
  if ([...outcome.results.keys()].every((column) => column === 'log')) return '—';
  const isWhole = baseOf(way) === '' || lacksBelowBase.length === 0;
  return isWhole ? 'yes' : `all but ${lacksBelowBase.join(', ')}`;
}

function rowOf({ framework, node, outcomes }: Row): string {
  const [first, ...others] = outcomes;
  const needs = framework.node === undefined ? '' : ` (needs ${framework.node})`;
  const marks = [
    ...COLUMNS.map((column) => mark(first![1], column)),
    ...others.map(([way, outcome]) => summary(framework, way, outcome)),
  ];
  return `${beginningOf(framework)} ${marks.join(' | ')} | ${node}${needs} |`;
}

export function markdown(rows: readonly Row[], ways: readonly Way[]): string {
  const head = ['framework', 'version', ...COLUMNS, ...ways.slice(1), 'Node.js'];
  const lines = rows.map(rowOf);
  return [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...lines, ''].join('\n');
}

/** How one gets a base path of its own, in docs/frameworks.md. */
export function baseRowOf({ title, base, isBuiltForBase }: Framework): string {
  return `| ${title} | ${base} | ${isBuiltForBase === true ? 'when it is built' : 'when it starts'} |`;
}

/** What went wrong with one, for people. */
export function failures({ framework, outcomes }: Row): string {
  const errors = [...outcomes].flatMap(([way, { fatal, results }]) =>
    [['start', fatal] as const, ...results].map(([what, error]) => ({ way, what, error })),
  );
  return errors
    .filter(({ error }) => error !== undefined)
    .map(({ way, what, error }) => {
      const cause = error?.cause instanceof Error ? `\n    because: ${error.cause.message}` : '';
      return `  ${framework.name}, ${way}, ${what}: ${error?.message ?? ''}${cause}`;
    })
    .join('\n');
}
