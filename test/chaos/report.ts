/** The chaos suite's table, for people and as Markdown. */
import type { Row } from './runner.ts';

const HEAD = [
  ...['event', 'times', 'requests', 'failed', 'A/B/C/D', 'closed idle (static)'],
  ...['POST twice', 'p99 before', 'p99 during', 'verdict'],
];

const ms = (value: number | null): string =>
  value === null ? '–' : `${value.toFixed(value < 10 ? 1 : 0)} ms`;

function cells(row: Row): string[] {
  if (row.verdict === 'skipped') return [row.name, ...Array<string>(8).fill('–'), 'skipped'];
  const { A, B, C, D } = row.failed;
  const control = row.closedIdleStatic === null ? '' : ` (${String(row.closedIdleStatic)})`;
  const sum = A + B + C + D;
  return [
    row.name,
    String(row.times),
    String(row.requests),
    row.excused > 0 ? `${String(sum)} (${String(row.excused)} allowed)` : String(sum),
    [A, B, C, D].join('/'),
    `${String(row.closedIdle)}${control}`,
    String(row.duplicated),
    ms(row.p99Before),
    ms(row.p99During),
    row.verdict,
  ];
}

function remarks(row: Row): string[] {
  const { get, post } = row.repeated;
  const repeated =
    get + post > 0 ? [`clients repeated ${String(get)} GET and ${String(post)} POST`] : [];
  return [...row.reasons, ...row.notes, ...repeated];
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = HEAD.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((c, i) => (i === 0 ? c.padEnd(widths[i] ?? 0) : c.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((w, i) => (i === 0 ? '-'.repeat(w + 2) : `${'-'.repeat(w + 1)}:`)).join('|')}|`;
  const [head = '', ...body] = rows.map(line);
  return [head, rule, ...body].join('\n');
}

/** One line about an event that has just ended. */
export function summary(row: Row): string {
  const more = remarks(row).map((text) => `\n    ${text}`);
  return `${row.verdict.padEnd(8)}${row.name} (${row.seconds.toFixed(0)} s)${more.join('')}`;
}

/** The table, and below it what each event has to say, as Markdown. */
export function markdown(rows: readonly Row[]): string {
  const said = rows.map(
    (row) => `- **${row.name}**: ${[`${row.goal}.`, ...remarks(row)].join(' · ')}`,
  );
  return `${table([HEAD, ...rows.map(cells)])}\n\n${said.join('\n')}\n`;
}
