// Runs the suites with every supported major version of Node.js and prints a table:
//
//   node scripts/test-nodes.mjs [--nodes 22,24] [suite …] [-- arguments for mocha]
//
// Each version runs the tests, serves in those that start an Apache, and comes first in their PATH. The
// binaries come from npm (scripts/nodes.mjs); the build is one, made by the node that runs this.
import { requireNode } from './lib/node-version.mjs';

requireNode();
const { execFileSync } = await import('node:child_process');
const { chmodSync, copyFileSync, linkSync, mkdirSync, mkdtempSync, rmSync } =
  await import('node:fs');
const { tmpdir } = await import('node:os');
const { delimiter, dirname, join } = await import('node:path');
const { Failure, main, prepare, root } = await import('./lib/prepare.mjs');
const { allSuites, hasTests, runMocha, splitArguments } = await import('./lib/suites.mjs');

/**
 * Suites in which no Node serves or that bring their versions themselves; native are the C tests.
 */
const indifferent = ['meta', 'native', 'versions', 'docker', 'start'];

function findNodes(versions) {
  const args = [join(root, 'scripts/nodes.mjs'), ...versions];
  const told = execFileSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const nodes = told.trim().split(':').filter(Boolean);
  if (nodes.length === 0) throw new Failure('Expected at least one Node.js; there is none.');
  return nodes;
}

/** The binary as `node` in a directory of its own, where other users can execute it as well. */
function place(node, scratch) {
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();
  const path = join(scratch, version, 'bin/node');
  mkdirSync(dirname(path), { recursive: true });
  try {
    linkSync(node, path);
  } catch {
    copyFileSync(node, path); // Another file system.
  }
  return { version, path };
}

function run({ version, path }, suite, extra, scratch) {
  console.log(`\n== ${suite}, Node.js ${version}`);
  const env = {
    TSGI_TEST_NODE: path,
    TSGI_TEST_NODES: path,
    PATH: [dirname(path), process.env['PATH']].join(delimiter),
  };
  return runMocha(suite, extra, join(scratch, version), { node: path, env });
}

/** Lines of equal cells, as Markdown. */
function format(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const lines = rows.map(
    (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`,
  );
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [lines[0], rule, ...lines.slice(1)].join('\n');
}

function takeVersions(args) {
  if (args[0] !== '--nodes') return { versions: [], rest: args };
  return { versions: (args[1] ?? '').split(','), rest: args.slice(2) };
}

await main(() => {
  const { versions, rest } = takeVersions(process.argv.slice(2));
  const { names, extra } = splitArguments(rest);
  const unknown = names.find((name) => !hasTests(name));
  if (unknown) throw new Failure(`Expected directories of test/ with tests; got "${unknown}".`);
  const wanted = allSuites().filter((name) => !indifferent.includes(name));
  const suites = names.length > 0 ? names : wanted;

  prepare();
  const scratch = mkdtempSync(join(tmpdir(), 'tsgi-nodes-'));
  chmodSync(scratch, 0o755);
  try {
    const nodes = findNodes(versions).map((node) => place(node, scratch));
    const results = nodes.map((node) => suites.map((suite) => run(node, suite, extra, scratch)));
    const cells = suites.map((suite, i) => [
      suite,
      ...results.map((all) => `${all[i].passed} passed, ${all[i].failed} failed`),
    ]);
    console.log(`\n${format([['', ...nodes.map(({ version }) => version)], ...cells])}`);
    const sum = (key) => results.flat().reduce((total, result) => total + result[key], 0);
    console.log(`\n${sum('passed')} passed, ${sum('failed')} failed`);
    process.exitCode = sum('failed') > 0 || sum('passed') === 0 ? 1 : 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});
