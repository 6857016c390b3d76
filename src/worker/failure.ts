/** What went wrong while an app was loaded, as an error with a number of ours. */
import { inspect } from 'node:util';
import { TsgiError } from '../errors.ts';

const NOT_FOUND = ['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND', 'ERR_PACKAGE_PATH_NOT_EXPORTED'];
const MAX_STACK = 16 * 1024;

/** The first line of an error, with its class: `TypeError: x is not a function`. */
export function headline(error: unknown): string {
  if (!(error instanceof Error)) return inspect(error, { depth: 1, breakLength: Infinity });
  return `${error.name}: ${error.message}`.split('\n')[0] ?? error.name;
}

/**
 * @param error what the app threw while `script` was loaded.
 * @returns a TsgiError 0607–0609, or the error itself if it is a TsgiError.
 */
export function classifyFailure(script: string, error: unknown): TsgiError {
  if (error instanceof TsgiError) return error;
  const details = { script, reason: headline(error) };
  if (error instanceof SyntaxError) return new TsgiError(608, details, { cause: error });
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (NOT_FOUND.includes(code)) return new TsgiError(609, details, { cause: error });
  return new TsgiError(607, details, { cause: error });
}

/** The stack of what the app threw, with `cause` and the like; undefined where there is none. */
export function stackOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return inspect(error, { depth: 2 }).slice(0, MAX_STACK);
}

/**
 * Whether Node itself shows more than the error's own stack: it knows the place of a syntax error
 * in an ES module, which the stack does not name.
 */
export function isShownBetterByNode(error: unknown): boolean {
  return error instanceof SyntaxError && !/^\S+:\d+\n/.test(error.stack ?? '');
}
