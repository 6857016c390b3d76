/**
 * npm run bench [-- NAME … --quick --only NAME,… --seconds N --rounds N --connections N,… --out DIRECTORY]
 *
 * Measures mod_tsgi and what it is compared with side by side in one run, on loopback, and says which goals are
 * reached. NAME is a load or a contender, or CONTENDER/LOAD; `*` stands for anything. docs/performance.md tells
 * more. `npm run bench -- memory`, `-- streams` and `-- websockets` are benchmarks of their own.
 */
import { copyFileSync, chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release } from 'node:os';
import { join, resolve } from 'node:path';
import { measureAlone } from './alone.ts';
import { contenders } from './contenders.ts';
import { endInOrder, Interrupted, INTERRUPTED } from './ending.ts';
import { goals } from './goals.ts';
import { growths } from './growth.ts';
import { loadNames, loads, type LoadName, type RoundLoad } from './loads.ts';
import { MissingPackages, provide, type ToolName } from './packages.ts';
import { parseOptions, UsageError, type Options } from './options.ts';
import { disturbance, markdown, type Facts, type Names } from './report.ts';
import { medianOf, Results } from './results.ts';
import { measureLoad, type Context } from './rounds.ts';
import { scratch } from './servers/backend.ts';
import { draw, type Bar } from './svg.ts';
import { workers } from './workers.ts';
import { root } from '../test/harness/place.ts';

const everybody = [...contenders, ...workers, ...growths];
const rounds = Object.keys(loads) as RoundLoad[];
const all = goals(Number(process.versions.node.split('.')[0]));
/** Where the plot is made of. */
const PLOT = { load: 'hello', connections: 16 } as const;

const names: Names = {
  load: (name) =>
    name === 'alone' ? 'a server alone' : (loads[name as RoundLoad] as { title: string }).title,
  contender: (name) => everybody.find((one) => one.name === name)?.title ?? name,
};

function connectionsOf(options: Options, load: LoadName, name: string): readonly number[] {
  const contender = everybody.find((one) => one.name === name);
  if (contender?.loads.includes(load) !== true) return [];
  if (options.isQuick && contender.isSlow === true) return [];
  const usual = load === 'alone' ? [0] : loads[load].connections;
  return options.connectionsOf(load, name, usual);
}

/** What must be installed for all that is chosen. */
function needsOf(options: Options): ToolName[] {
  return loadNames.flatMap((load) => {
    const chosen = everybody.filter(({ name }) => connectionsOf(options, load, name).length > 0);
    if (chosen.length === 0) return [];
    const ofLoad: readonly ToolName[] = load === 'alone' ? ['wrk', 'strace'] : loads[load].needs;
    return [...ofLoad, ...chosen.flatMap(({ needs }) => needs)];
  });
}

/** A copy, so that pages of other programs by node do not count as shared with the servers. */
function ownNode(directory: string): string {
  const copy = join(directory, 'node');
  copyFileSync(process.execPath, copy);
  chmodSync(copy, 0o755);
  return copy;
}

function plot(results: Results): string {
  const bars = results.cells
    .filter(({ load, connections }) => load === PLOT.load && connections === PLOT.connections)
    .map((cell): Bar => {
      const [front, back] = [medianOf(cell, 'frontUs'), medianOf(cell, 'backUs')];
      const perSecond = Math.round(medianOf(cell, 'perSecond')).toLocaleString('en-US');
      return {
        name: names.contender(cell.contender),
        parts: [front, back],
        note: `${(front + back).toFixed(0)} µs, ${perSecond}/s`,
        isOurs: cell.contender.startsWith('tsgi-'),
      };
    })
    .filter(({ parts }) => !parts.some(Number.isNaN))
    .sort((a, b) => sum(a) - sum(b));
  const title = `CPU time of one request, ${PLOT.connections} connections, 13 bytes`;
  return draw({ title, legend: ['in front', 'behind'], bars });
}
const sum = ({ parts }: Bar): number => parts.reduce((a, b) => a + b, 0);

function write(out: string, results: Results, facts: Facts): void {
  mkdirSync(out, { recursive: true });
  const text = markdown(results, all, facts, names);
  writeFileSync(join(out, 'results.md'), text);
  writeFileSync(
    join(out, 'results.json'),
    `${JSON.stringify({ facts, goals: all, cells: results.cells }, null, 1)}\n`,
  );
  writeFileSync(join(out, 'hello.svg'), plot(results));
  console.log(`\n${text}\nThe same in ${out}, with results.json and hello.svg.`);
}

async function bench(args: readonly string[]): Promise<void> {
  const contenderNames = everybody.map(({ name }) => name);
  const catalogue = { contenders: contenderNames, loads: loadNames, goals: all };
  const options = parseOptions(args, catalogue);
  provide(needsOf(options));
  const directory = scratch();
  const results = new Results();
  const failures: string[] = [];
  const context: Context = {
    ...{ results, seconds: options.seconds, rounds: options.rounds, directory },
    node: ownNode(directory),
    connectionsOf: (load, contender) => connectionsOf(options, load, contender.name),
    say: (text) => {
      console.error(text);
    },
    fail(what, error) {
      const text = `${what}: ${error instanceof Error ? error.message : String(error)}`;
      failures.push(text);
      console.error(text);
    },
  };
  const began = performance.now();
  await measureAlone(context, everybody);
  for (const load of rounds) await measureLoad(context, load, everybody);
  const facts: Facts = {
    measured: `${options.rounds} rounds of ${options.seconds} s, interleaved, in ${Math.round((performance.now() - began) / 1000)} s`,
    machine: `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown processor'}, Linux ${release()}`,
    'Node.js': process.version,
    disturbance: disturbance(results),
    ...(failures.length > 0 && { failures: failures.join('; ') }),
  };
  write(resolve(root, options.out), results, facts);
  if (failures.length > 0) process.exitCode = 1;
}

const [first, ...rest] = process.argv.slice(2);
endInOrder();
if (['memory', 'streams', 'websockets'].includes(first ?? '')) {
  process.argv.splice(2, process.argv.length, ...rest);
  await import(`./${String(first)}.ts`);
} else {
  try {
    await bench(process.argv.slice(2));
  } catch (error) {
    const isPlain = [UsageError, MissingPackages, Interrupted].some(
      (kind) => error instanceof kind,
    );
    console.error(isPlain ? (error as Error).message : error);
    process.exitCode = error instanceof Interrupted ? INTERRUPTED : 2;
  }
}
