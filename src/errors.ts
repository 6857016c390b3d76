/** Errors of mod_tsgi's TypeScript side, by the numbers of their table. */
import { errorTable, type ErrorRow } from './error-table.ts';

export { errorTable };

/** Numbers that have a row. */
export type ErrorNumber = keyof typeof errorTable;

export type ErrorDetails = Readonly<Record<string, string | number>>;

/** @returns `TSGI0601` for 601. */
export function errorId(code: number): string {
  return `TSGI${String(code).padStart(4, '0')}`;
}

/**
 * The text of a row with its details filled in, without the id. A detail that is missing stays
 * `{name}`: an incomplete message is better than none.
 */
export function errorText(code: ErrorNumber, details: ErrorDetails = {}): string {
  return errorTable[code].text.replace(/\{(\w+)\}/g, (all, name: string) =>
    Object.hasOwn(details, name) ? String(details[name]) : all,
  );
}

/** A line for the log: `TSGI0601: script … does not exist …`. */
export function errorLine(code: ErrorNumber, details: ErrorDetails = {}): string {
  return `${errorId(code)}: ${errorText(code, details)}`;
}

/** An error of mod_tsgi's own. `message` has the id in front; details are filled in. */
export class TsgiError extends Error {
  /** The N of TSGI<N>. */
  readonly number: ErrorNumber;
  /** `TSGI0601`. */
  readonly code: string;
  /** HTTP status of a request that this error ends. */
  readonly status: number;

  constructor(number: ErrorNumber, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(errorLine(number, details), options);
    this.name = 'TsgiError';
    this.number = number;
    this.code = errorId(number);
    const row: ErrorRow = errorTable[number];
    this.status = row.status ?? 500;
  }
}
