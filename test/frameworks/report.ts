/** The matrix as text. */
import { CAPABILITIES, versionOf, type Framework } from './framework.ts';

export const COLUMNS = [...CAPABILITIES, 'no port', 'reload', 'log'] as const;
export type Column = (typeof COLUMNS)[number];

export interface Row {
  readonly framework: Framework;
  /** The Node.js that ran it, e.g. 20.20.2. */
  readonly node: string;
  /** The failure of each column; undefined if there was none, absent if the app has no such thing. */
  readonly results: ReadonlyMap<Column, Error | undefined>;
  /** It could not be installed, built or started. */
  readonly fatal?: Error;
}

export const isGood = ({ fatal, results }: Row): boolean =>
  fatal === undefined && [...results.values()].every((error) => error === undefined);

function mark({ results }: Row, column: Column): string {
  if (!results.has(column)) return '—';
  return results.get(column) === undefined ? 'yes' : 'NO';
}

/** What begins a framework's row, here and in docs/frameworks.md. */
export function beginningOf(framework: Framework): string {
  return `| ${framework.title} | ${versionOf(framework)} |`;
}

export function markdown(rows: readonly Row[]): string {
  const head = ['framework', 'version', ...COLUMNS, 'Node.js'];
  const lines = rows.map((row) => {
    const { framework, node } = row;
    const needs = framework.node === undefined ? '' : ` (needs ${framework.node})`;
    const marks = COLUMNS.map((column) => (row.fatal ? 'NO' : mark(row, column)));
    return `${beginningOf(framework)} ${marks.join(' | ')} | ${node}${needs} |`;
  });
  return [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...lines, ''].join('\n');
}

/** What went wrong with one, for people. */
export function failures({ framework, fatal, results }: Row): string {
  const errors: [string, Error | undefined][] = [['start', fatal], ...results];
  return errors
    .filter(([, error]) => error !== undefined)
    .map(([column, error]) => {
      const cause = error?.cause instanceof Error ? `\n    because: ${error.cause.message}` : '';
      return `  ${framework.name}, ${column}: ${error?.message ?? ''}${cause}`;
    })
    .join('\n');
}
