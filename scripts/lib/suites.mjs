// The suites of test/ and how one is run; shared by scripts/test.mjs and scripts/test-nodes.mjs.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './prepare.mjs';

/** Cheap ones first: they tell sooner that something is wrong. */
const order = ['unit', 'meta', 'native', 'supervisor', 'apache', 'versions', 'docker', 'start'];

/** No suite may hang for ever. */
const suiteTimeoutMs = 25 * 60 * 1000;

export function hasTests(suite) {
  const directory = join(root, 'test', suite);
  if (!existsSync(directory)) return false;
  return readdirSync(directory, { recursive: true }).some((name) => name.endsWith('.test.ts'));
}

/** Its tests need packages that are not installed with the project, see its package.json. */
function isApart(suite) {
  return existsSync(join(root, 'test', suite, 'package.json'));
}

/** The names of all suites that `npm test` runs, in their order. */
export function allSuites() {
  const names = readdirSync(join(root, 'test'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .filter((name) => name === 'native' || (hasTests(name) && !isApart(name)));
  const rank = (name) =>
    order.includes(name) ? order.indexOf(name) : order.indexOf('apache') - 0.5;
  return names.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/** Runs a command in the foreground. @returns whether it succeeded. */
function succeeds(command, args, env) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
    timeout: suiteTimeoutMs,
  });
  if (result.error) console.error(`${command} ${args.join(' ')}: ${result.error.message}`);
  return result.status === 0;
}

/** The C tests that CMake knows, as commands. */
function nativeTests() {
  const args = ['--test-dir', 'build/release', '--show-only=json-v1'];
  const { stdout } = spawnSync('ctest', args, { cwd: root, encoding: 'utf8' });
  return JSON.parse(stdout).tests.filter(({ command }) => command !== undefined);
}

/** Runs the C tests. They print TAP; one that prints none, like the replay, counts as one. */
export function runNativeTests() {
  const sum = { passed: 0, failed: 0 };
  for (const { name, command } of nativeTests()) {
    const { status, error, stdout } = spawnSync(command[0], command.slice(1), {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: suiteTimeoutMs,
    });
    console.log(`\n  ${name}\n${(stdout ?? '').replace(/^/gm, '    ').trimEnd()}`);
    if (error) console.error(`    ${error.message}`);
    const failed = (stdout ?? '').match(/^not ok\b/gm)?.length ?? 0;
    const passed = (stdout ?? '').match(/^ok\b/gm)?.length ?? 0;
    const crashed = status !== 0 && failed === 0;
    sum.failed += failed + (crashed ? 1 : 0);
    sum.passed += passed + (status === 0 && passed === 0 ? 1 : 0);
  }
  return sum;
}

/**
 * Runs the mocha tests of one suite. A run that leaves no totals counts as one failure.
 * @param extra arguments for mocha
 * @param scratch a directory for what the run leaves
 * @param options the node that runs the tests, and variables for their environment
 */
export function runMocha(suite, extra, scratch, { node = process.execPath, env = {} } = {}) {
  const totals = join(scratch, `${suite}.json`);
  const args = [
    join(root, 'node_modules/mocha/bin/mocha.js'),
    '--reporter',
    join(root, 'scripts/lib/reporter.cjs'),
    ...extra,
    `test/${suite}/**/*.test.ts`,
  ];
  const ok = succeeds(node, args, { ...env, TSGI_TEST_TOTALS: totals });
  if (!existsSync(totals)) return { passed: 0, failed: 1 };
  const { passed, failed } = JSON.parse(readFileSync(totals, 'utf8'));
  // Mocha can fail although no test did, e.g. when a file cannot be loaded.
  return { passed, failed: failed === 0 && !ok ? 1 : failed };
}

/** Splits arguments: suites up to the first option, then what is for mocha. */
export function splitArguments(args) {
  const option = args.findIndex((arg) => arg.startsWith('-'));
  const names = option === -1 ? args : args.slice(0, option);
  const extra = option === -1 ? [] : args.slice(option).filter((arg) => arg !== '--');
  return { names, extra };
}
