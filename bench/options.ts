/** The command line: what is measured, how long, how often. */
import { parseArgs } from 'node:util';
import { isNeeded, type Goal } from './goals.ts';

export class UsageError extends Error {}

/** What can be chosen. */
export interface Catalogue {
  readonly contenders: readonly string[];
  readonly loads: readonly string[];
  readonly goals: readonly Goal[];
}

export interface Options {
  readonly isQuick: boolean;
  readonly seconds: number;
  readonly rounds: number;
  /** Where the results are written. */
  readonly out: string;
  /** @param usual numbers of connections of that load; [0] where there is no such thing */
  readonly connectionsOf: (
    load: string,
    contender: string,
    usual: readonly number[],
  ) => readonly number[];
}

const MOST_SECONDS = 600;
const MOST_ROUNDS = 100;
const MOST_CONNECTIONS = 1000;
const DEFAULTS = { usual: { seconds: 3, rounds: 3 }, quick: { seconds: 1, rounds: 2 } };
/** At how many connections a quick run measures what was asked for by name. */
const QUICK_CONNECTIONS = 16;

function count(name: string, text: string, most: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
  if (value >= 1 && value <= most) return value;
  throw new UsageError(`expected --${name} from 1 to ${most}, got "${text}"`);
}

/** @returns whether a name is meant; `*` stands for anything. */
function matches(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}

type Choice = (load: string, contender: string) => boolean;

/**
 * Names of contenders and of loads: with both, those contenders under those loads; CONTENDER/LOAD is a pair of its own.
 * @throws UsageError for a name that means nothing.
 */
export function choose(names: readonly string[], { contenders, loads }: Catalogue): Choice {
  const pairs = names
    .filter((name) => name.includes('/'))
    .map((name) => name.split('/', 2) as [string, string]);
  const single = names.filter((name) => !name.includes('/'));
  const isOf = (list: readonly string[]) => (name: string) =>
    list.some((known) => matches(name, known));
  const unknown = [
    ...single.filter((name) => !isOf([...contenders, ...loads])(name)),
    ...pairs.filter(([c, l]) => !isOf(contenders)(c) || !isOf(loads)(l)).map((p) => p.join('/')),
  ];
  if (unknown.length > 0) {
    throw new UsageError(
      `expected contenders (${contenders.join(', ')}), loads (${loads.join(', ')}) or CONTENDER/LOAD; got "${unknown.join(', ')}"`,
    );
  }
  const ofLoads = single.filter(isOf(loads));
  const ofContenders = single.filter((name) => !ofLoads.includes(name));
  const anyOf = (patterns: readonly string[], name: string) =>
    patterns.length === 0 || patterns.some((pattern) => matches(pattern, name));
  return (load, contender) =>
    (single.length > 0 && anyOf(ofLoads, load) && anyOf(ofContenders, contender)) ||
    pairs.some(([c, l]) => matches(c, contender) && matches(l, load));
}

/** @throws UsageError that says what was expected. */
export function parseOptions(args: readonly string[], catalogue: Catalogue): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      connections: { type: 'string' },
      out: { type: 'string', default: 'build/bench' },
    },
  });
  const isQuick = values.quick;
  const defaults = isQuick ? DEFAULTS.quick : DEFAULTS.usual;
  const names = [...positionals, ...values.only.flatMap((list) => list.split(','))].filter(Boolean);
  const isChosen = names.length > 0 ? choose(names, catalogue) : undefined;
  const asked = values.connections
    ?.split(',')
    .map((text) => count('connections', text, MOST_CONNECTIONS));
  return {
    isQuick,
    seconds: count('seconds', values.seconds ?? String(defaults.seconds), MOST_SECONDS),
    rounds: count('rounds', values.rounds ?? String(defaults.rounds), MOST_ROUNDS),
    out: values.out,
    connectionsOf(load, contender, usual) {
      if (isChosen && !isChosen(load, contender)) return [];
      const some = usual.includes(0) ? usual : (asked ?? usual);
      if (!isQuick) return some;
      if (!isChosen) {
        return some.filter((n) =>
          isNeeded(catalogue.goals, load, contender, n, asked === undefined),
        );
      }
      if (asked || some.length === 1) return some;
      return some.filter((n) => n === QUICK_CONNECTIONS);
    },
  };
}
