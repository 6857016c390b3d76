/**
 * npm run test:frameworks [-- --only NAME,…] [--alone] [--markdown FILE]
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
import { CAPABILITIES, type Framework } from './framework.ts';
import { frameworks } from './frameworks.ts';
import { serveAlone, serveByApache, type Host } from './hosts.ts';
import { failures, isGood, markdown, type Column, type Row } from './report.ts';

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

async function examine(framework: Framework, host: Host): Promise<Map<Column, Error | undefined>> {
  const results = new Map<Column, Error | undefined>();
  for (const capability of CAPABILITIES) {
    const check = framework.checks[capability];
    if (check) results.set(capability, await outcome(() => check(host.served)));
  }
  for (const [column, check] of Object.entries(host.checks)) {
    results.set(column as Column, await outcome(check));
  }
  results.set('log', await outcome(() => host.stop()));
  return results;
}

async function rowOf(framework: Framework, serve: typeof serveAlone): Promise<Row> {
  let version = process.versions.node;
  try {
    const own = nodeFor(framework);
    version = execFileSync(own, ['--version'], { encoding: 'utf8' }).trim().slice(1);
    const dir = build(framework, own);
    const node = executableByAll(own);
    try {
      const host = await serve(framework, dir, node.path);
      return { framework, node: version, results: await examine(framework, host) };
    } finally {
      node.remove();
    }
  } catch (error) {
    const fatal = error instanceof Error ? error : new Error(String(error));
    return { framework, node: version, results: new Map(), fatal };
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      alone: { type: 'boolean', default: false },
      markdown: { type: 'string' },
    },
  });
  const rows: Row[] = [];
  for (const framework of choose(values.only)) {
    const row = await rowOf(framework, values.alone ? serveAlone : serveByApache);
    rows.push(row);
    console.log(`${isGood(row) ? 'ok    ' : 'FAILED'} ${framework.title}`);
    if (!isGood(row)) console.log(failures(row));
  }
  const text = markdown(rows);
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
