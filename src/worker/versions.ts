/** Ranges of versions as package.json has them under "engines", as far as released versions go. */

/** From `low`, and below `high`; versions as one number each. */
interface Interval {
  readonly low: number;
  readonly high: number;
}

const PARTIAL = /^v?(\d{1,5}|[xX*])(?:\.(\d{1,5}|[xX*])(?:\.(\d{1,5}|[xX*])(?:[-+][\w.+-]*)?)?)?$/;
const COMPARATOR = /^(>=|<=|>|<|=|\^|~)?(.+)$/;
const ALL: Interval = { low: 0, high: Infinity };

/** Orders versions as their numbers do. */
function rank([major = 0, minor = 0, patch = 0]: readonly number[]): number {
  return (major * 1e5 + minor) * 1e5 + patch;
}

/** The first version behind all those that begin with these numbers. */
function behind(numbers: readonly number[]): number {
  if (numbers.length === 0) return Infinity;
  return rank(numbers.with(-1, (numbers.at(-1) ?? 0) + 1));
}

/** @returns the numbers in front of the first wildcard; undefined: that is no version. */
function parsePartial(text: string): number[] | undefined {
  const match = PARTIAL.exec(text);
  if (!match) return undefined;
  const parts = match.slice(1).filter((part) => (part as string | undefined) !== undefined);
  const wild = parts.findIndex((part) => /\D/.test(part));
  if (wild !== -1 && parts.slice(wild).some((part) => /\d/.test(part))) return undefined;
  return parts.slice(0, wild === -1 ? parts.length : wild).map(Number);
}

/** Up to the first number that is not 0, which `^` does not let change. */
function significant(numbers: readonly number[]): readonly number[] {
  const first = numbers.findIndex((number) => number > 0);
  return first === -1 ? numbers : numbers.slice(0, first + 1);
}

function parseComparator(text: string): Interval | undefined {
  const [, operator = '=', rest = ''] = COMPARATOR.exec(text) ?? [];
  const numbers = parsePartial(rest);
  if (!numbers) return undefined;
  const low = rank(numbers);
  const high = behind(numbers);
  switch (operator) {
    case '>=':
      return { low, high: Infinity };
    case '>':
      return { low: high, high: Infinity };
    case '<':
      return { low: 0, high: numbers.length === 0 ? 0 : low };
    case '<=':
      return { low: 0, high };
    case '^':
      return { low, high: behind(significant(numbers)) };
    case '~':
      return { low, high: behind(numbers.slice(0, 2)) };
    default:
      return { low, high };
  }
}

/** One alternative: comparators that all have to hold, or `1.2 - 3`. */
function parseAlternative(text: string): Interval | undefined {
  const hyphen = /^(\S+)\s+-\s+(\S+)$/.exec(text);
  const words = hyphen
    ? [`>=${hyphen[1] ?? ''}`, `<=${hyphen[2] ?? ''}`]
    : text
        .replaceAll('~>', '~')
        .replaceAll(/(>=|<=|>|<|=|\^|~)\s+/g, '$1')
        .split(/\s+/)
        .filter(Boolean);
  let all: Interval | undefined = ALL;
  for (const word of words) {
    const one = parseComparator(word);
    all = one && all && { low: Math.max(all.low, one.low), high: Math.min(all.high, one.high) };
  }
  return all;
}

/**
 * @param version such as v22.12.0; what follows the three numbers does not count.
 * @returns undefined if the range is none that can be read.
 */
export function satisfies(version: string, range: string): boolean | undefined {
  const at = rank(parsePartial(version.replace(/-.*$/, '')) ?? []);
  const intervals = range.split('||').map((text) => parseAlternative(text.trim()));
  if (intervals.includes(undefined)) return undefined;
  return intervals.some((one) => one !== undefined && at >= one.low && at < one.high);
}
