/** What mod_tsgi is to reach, as data, and whether it did. */
import { isMetric, medianOf, relate, type Metric, type Results } from './results.ts';

export interface Goal {
  readonly text: string;
  readonly load: string;
  readonly metric: Metric;
  /** Whom it is about. Of several, and over all `connections`, the worst counts. */
  readonly of: readonly string[];
  /** Whom they are compared with; of several the best. None: the figure itself counts. */
  readonly over: readonly string[];
  /** Compared by difference instead of by quotient. */
  readonly isDifference: boolean;
  readonly connections: readonly number[];
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface Verdict {
  readonly goal: Goal;
  /** The worst of all; undefined if anything that it needs was not measured. */
  readonly measured: number | undefined;
  readonly isReached: boolean | undefined;
  /** Each single value, by what it was measured with. */
  readonly parts: readonly { readonly name: string; readonly value: number }[];
}

/** How long the start may take in ms: newer Nodes start faster. */
const START_MS = { since22: 200, before22: 250 };

/**
 * One goal a line. At each of its connections, each contender of `of` is compared with each of `over`; without
 * `over` the figure itself is judged.
 * They are compared by quotient; with a minus before `over`, by difference.
 */
const TABLE = `
load     | connections | figure    | of                        | over                 | limit   | what
hello    | 16 64       | cpuUs     | tsgi-callable             | proxy-unix           | ≤ 0.65  | callable hello: server CPU / mod_proxy_http unix
hello    | 16 64       | perSecond | tsgi-callable             | proxy-unix           | ≥ 1.4   | callable hello: requests/s / mod_proxy_http unix
hello    | 16 64       | frontUs   | tsgi-callable             | static               | ≤ 1.10  | callable hello: Apache's CPU / Apache static file
hello    | 16 64       | cpuUs     | tsgi-server               | proxy-unix           | ≤ 0.72  | (req, res) hello: server CPU / mod_proxy_http unix
hello    | 16 64       | perSecond | tsgi-server               | proxy-unix           | ≥ 1.3   | (req, res) hello: requests/s / mod_proxy_http unix
hello    | 16 64       | cpuUs     | tsgi-express              | express-nginx        | ≤ 1.1   | Express hello: server CPU / nginx → node
hello    | 16 64       | perSecond | tsgi-express              | express-proxy        | ≥ 1.15  | Express hello: requests/s / mod_proxy_http unix
hello    | 16 64       | perSecond | tsgi-callable tsgi-server tsgi-fetch tsgi-fastify | passenger | ≥ 3.5 | any hello: requests/s / Passenger
hello    | 16 64       | perSecond | tsgi-express              | express-passenger    | ≥ 2     | Express hello: requests/s / Passenger
download | 16 64       | perSecond | tsgi-callable tsgi-server | proxy-unix proxy-tcp | ≥ 1.3   | 100 KB answers: requests/s / the better mod_proxy
upload   | 16 64       | perSecond | tsgi-callable tsgi-server | proxy-unix proxy-tcp | ≥ 1.5   | 1 MB uploads: requests/s / the better mod_proxy
upload   | 16 64       | perSecond | tsgi-callable tsgi-server | passenger            | ≥ 15    | 1 MB uploads: requests/s / Passenger
hello    | 1           | p50Us     | tsgi-callable tsgi-server | proxy-unix           | ≤ 0.8   | one connection: p50 / mod_proxy_http unix
worker   | 64          | cpuUs     | worker-server             | worker-node          | ≤ 0.55  | worker alone, (req, res): CPU / node:http
worker   | 64          | cpuUs     | worker-callable           | worker-node          | ≤ 0.3   | worker alone, callable: CPU / node:http
worker   | 64          | cpuUs     | worker-fetch              | worker-srvx          | ≤ 0.8   | worker alone, fetch: CPU / srvx on node:http
h2       | 16 64       | perSecond | tsgi-callable tsgi-server | proxy-unix proxy-tcp | ≥ 1.3   | HTTP/2 hello: requests/s / mod_proxy_http
tls      | 16 64       | perSecond | tsgi-callable tsgi-server | proxy-unix proxy-tcp | ≥ 1.3   | TLS hello: requests/s / mod_proxy_http
alone    | 0           | idleMiB   | tsgi-server               | proxy-unix           | ≤ 1.35  | idle memory: Apache + supervisor + worker / Apache + node
alone    | 0           | idleMiB   | tsgi-on-demand            | - tsgi-server        | ≤ 15    | idle memory: what an idle on-demand group adds, MiB
alone    | 0           | startMs   | tsgi-callable tsgi-server |                      | ≤ START | Apache start to first answer, ms
growth   | 16 64       | cpuUs     | workers-8                 | workers-1            | ≤ 1.1   | growth: CPU with 8 workers / with 1
growth   | 16 64       | cpuUs     | groups-50                 | groups-1             | ≤ 1.1   | growth: CPU with 50 groups / with 1
growth   | 16 64       | cpuUs     | vhosts-1000               | vhosts-1             | ≤ 1.1   | growth: CPU with 1 000 virtual hosts / with 1
`;

/** @throws Error for a line that is no goal. */
export function parseGoal(line: string): Goal {
  const cells = line.split('|').map((cell) => cell.trim());
  const [load = '', connections = '', metric = '', of = '', over = '', limit = '', text = ''] =
    cells;
  const [, sign, bound] = /^([≤≥]) ([\d.]+)$/.exec(limit) ?? [];
  if (cells.length !== 7 || !isMetric(metric) || bound === undefined) {
    throw new Error(`expected a goal of seven cells with a figure and a limit, got: ${line}`);
  }
  return {
    ...{ text, load, metric, of: of.split(' ') },
    over: over.split(' ').filter((name) => name !== '-' && name !== ''),
    isDifference: over.startsWith('- '),
    connections: connections.split(' ').map(Number),
    ...(sign === '≤' ? { atMost: Number(bound) } : { atLeast: Number(bound) }),
  };
}

/** @param nodeMajor major version of the Node.js that serves. */
export function goals(nodeMajor: number): Goal[] {
  const startMs = nodeMajor >= 22 ? START_MS.since22 : START_MS.before22;
  const [, , ...lines] = TABLE.trimEnd().split('\n');
  return lines.map((line) => parseGoal(line.replace('START', String(startMs))));
}

const at = (connections: number): string => (connections === 0 ? '' : ` @${connections}`);

function valueOf(
  goal: Goal,
  results: Results,
  contender: string,
  over: string | undefined,
  connections: number,
): number {
  const cell = results.find(goal.load, contender, connections);
  if (over === undefined) return medianOf(cell, goal.metric);
  const other = results.find(goal.load, over, connections);
  return relate(cell, other, goal.metric, goal.isDifference ? (a, b) => a - b : undefined);
}

/** Judges one goal. Connections at which nothing of it was measured are left out. */
export function judge(goal: Goal, results: Results): Verdict {
  const measuredAt = goal.connections.filter((connections) =>
    goal.of.some((contender) => results.find(goal.load, contender, connections)),
  );
  const overs = goal.over.length === 0 ? [undefined] : goal.over;
  const parts = measuredAt.flatMap((connections) =>
    goal.of.flatMap((contender) =>
      overs.map((over) => ({
        name: [contender, ...(over === undefined ? [] : [over])].join(' / ') + at(connections),
        value: valueOf(goal, results, contender, over, connections),
      })),
    ),
  );
  const values = parts.map(({ value }) => value);
  if (values.length === 0 || values.some(Number.isNaN)) {
    return { goal, measured: undefined, isReached: undefined, parts };
  }
  const { atMost = Infinity, atLeast = -Infinity } = goal;
  const measured = goal.atMost === undefined ? Math.min(...values) : Math.max(...values);
  return { goal, measured, isReached: measured <= atMost && measured >= atLeast, parts };
}

/** Whether a goal needs this to be measured; with `isQuick` only at the first of its numbers of connections. */
export function isNeeded(
  all: readonly Goal[],
  load: string,
  contender: string,
  connections: number,
  isQuick: boolean,
): boolean {
  return all.some(
    (goal) =>
      goal.load === load &&
      [...goal.of, ...goal.over].includes(contender) &&
      (isQuick ? goal.connections.slice(0, 1) : goal.connections).includes(connections),
  );
}
