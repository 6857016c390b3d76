/**
 * npm run test:frameworks [-- --only NAME,…] [--ways http,https,h2,keep] [--alone] [--markdown FILE]
 *
 * Installs small apps of many frameworks from the npm registry, builds them as their documentation says, and serves
 * each from a private Apache. Prints the matrix of docs/frameworks.md; ends with status 1 if anything fails.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../harness/place.ts';
import { executableByAll } from '../versions/nodes.ts';
import { build } from './build.ts';
import {
  baseOf,
  CAPABILITIES,
  isAsked,
  WAYS,
  type Check,
  type Framework,
  type Way,
} from './framework.ts';
import { frameworks } from './frameworks.ts';
import { serveAlone, serveByApache, type Host, type Serve } from './hosts.ts';
import { failures, isGood, markdown, type Column, type Outcome, type Row } from './report.ts';

/** What stands in for a Node.js that is too old. */
const NEWER = '24';

class UsageError extends Error {}

function choose(names: string | undefined): readonly Framework[] {
  if (names === undefined) return frameworks;
  const wanted = names.split(',');
  const unknown = wanted.filter((name) => !frameworks.some((known) => known.name === name));
  if (unknown.length > 0) {
    const known = frameworks.map(({ name }) => name).join(', ');
    throw new UsageError(`unknown framework ${unknown.join(', ')}; expected some of ${known}`);
  }
  return frameworks.filter(({ name }) => wanted.includes(name));
}

function chooseWays(names: string | undefined, isAlone: boolean): readonly Way[] {
  // What runs alone speaks neither TLS nor HTTP/2.
  const possible = isAlone ? WAYS.filter((way) => baseOf(way) !== '' || way === 'http') : WAYS;
  if (names === undefined) return possible;
  const wanted = names.split(',');
  const unknown = wanted.filter((name) => !possible.some((way) => way === name));
  if (unknown.length > 0) {
    throw new UsageError(`unknown way ${unknown.join(', ')}; expected some of ${possible.join()}`);
  }
  return possible.filter((way) => wanted.includes(way));
}

/** The Node.js that runs this, or one from npm where the framework needs a newer one. */
function nodeFor({ node: oldest = 0 }: Framework): string {
  if (Number(process.versions.node.split('.')[0]) >= oldest) return process.execPath;
  const script = join(root, 'scripts/nodes.mjs');
  const found = execFileSync(process.execPath, [script, NEWER], { encoding: 'utf8' }).trim();
  if (found === '') throw new Error(`expected Node.js ${NEWER}, which could not be had from npm`);
  return found;
}

async function outcome(check: () => Promise<void>): Promise<Error | undefined> {
  try {
    await check();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Asks for all that the framework has; what is the same in every way only if `isFirst`. */
async function examine(
  framework: Framework,
  host: Host,
  isFirst: boolean,
): Promise<Map<Column, Error | undefined>> {
  const results = new Map<Column, Error | undefined>();
  const all: (readonly [Column, Check | undefined])[] = [
    ...CAPABILITIES.filter((capability) => isAsked(framework, host.served.way, capability)).map(
      (capability): readonly [Column, Check | undefined] => [
        capability,
        framework.checks[capability],
      ],
    ),
    ...(isFirst ? host.checks : []),
  ];
  for (const [column, check] of all) {
    if (check) results.set(column, await outcome(() => check(host.served)));
  }
  results.set('log', await outcome(() => host.stop()));
  return results;
}

async function inOneWay(
  framework: Framework,
  own: string,
  way: Way,
  { serve, isFirst }: { serve: Serve; isFirst: boolean },
): Promise<Outcome> {
  try {
    const dir = build(framework, own, baseOf(way));
    const node = executableByAll(own);
    try {
      const host = await serve(framework, dir, node.path, way);
      return { results: await examine(framework, host, isFirst) };
    } finally {
      node.remove();
    }
  } catch (error) {
    const fatal = error instanceof Error ? error : new Error(String(error));
    return { results: new Map(), fatal };
  }
}

async function rowOf(framework: Framework, serve: Serve, ways: readonly Way[]): Promise<Row> {
  const own = nodeFor(framework);
  const version = execFileSync(own, ['--version'], { encoding: 'utf8' }).trim().slice(1);
  const outcomes = new Map<Way, Outcome>();
  for (const way of ways) {
    outcomes.set(way, await inOneWay(framework, own, way, { serve, isFirst: way === ways[0] }));
  }
  return { framework, node: version, outcomes };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      ways: { type: 'string' },
      alone: { type: 'boolean', default: false },
      markdown: { type: 'string' },
    },
  });
  const serve = values.alone ? serveAlone : serveByApache;
  const ways = chooseWays(values.ways, values.alone);
  const rows: Row[] = [];
  for (const framework of choose(values.only)) {
    const row = await rowOf(framework, serve, ways);
    rows.push(row);
    console.log(`${isGood(row) ? 'ok    ' : 'FAILED'} ${framework.title}`);
    if (!isGood(row)) console.log(failures(row));
  }
  const text = markdown(rows, ways);
  console.log(`\n${text}`);
  if (values.markdown !== undefined) writeFileSync(values.markdown, text);
  process.exitCode = rows.every(isGood) ? 0 : 1;
}

// Through process.exit, so that what runs is cleaned up.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(130));
}

main().catch((error: unknown) => {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = 2;
});
