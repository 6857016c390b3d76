// Runs the tests, after everything they need has been installed and built:
//
//   node scripts/test.mjs [suite …] [-- arguments for mocha]
//
// A suite is a directory of test/ with *.test.ts files; "native" also runs the C
// tests. Without a name all suites run. The last line is the sum: "N passed, N failed".
import { requireNode } from './lib/node-version.mjs';

requireNode();
const { spawnSync } = await import('node:child_process');
const { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } = await import('node:fs');
const { tmpdir } = await import('node:os');
const { join } = await import('node:path');
const { Failure, main, prepare, root } = await import('./lib/prepare.mjs');

/** Cheap ones first: they tell sooner that something is wrong. */
const order = ['unit', 'meta', 'native', 'supervisor', 'apache', 'versions', 'docker', 'start'];

/** No suite may hang for ever. */
const suiteTimeoutMs = 25 * 60 * 1000;

function hasTests(directory) {
  if (!existsSync(directory)) return false;
  return readdirSync(directory, { recursive: true }).some((name) => name.endsWith('.test.ts'));
}

function allSuites() {
  const directories = readdirSync(join(root, 'test'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .filter((name) => name === 'native' || hasTests(join(root, 'test', name)));
  const rank = (name) =>
    order.includes(name) ? order.indexOf(name) : order.indexOf('apache') - 0.5;
  return directories.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/** Runs a command in the foreground. @returns whether it succeeded. */
function succeeds(command, args, env = {}) {
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
function runNativeTests() {
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

/** The mocha tests of one directory. A run that leaves no totals counts as one failure. */
function runMocha(suite, extra, scratch) {
  const totals = join(scratch, `${suite}.json`);
  const args = [
    join(root, 'node_modules/mocha/bin/mocha.js'),
    '--reporter',
    join(root, 'scripts/lib/reporter.cjs'),
    ...extra,
    `test/${suite}/**/*.test.ts`,
  ];
  const ok = succeeds(process.execPath, args, { TSGI_TEST_TOTALS: totals });
  if (!existsSync(totals)) return { passed: 0, failed: 1 };
  const { passed, failed } = JSON.parse(readFileSync(totals, 'utf8'));
  // Mocha can fail although no test did, e.g. when a file cannot be loaded.
  return { passed, failed: failed === 0 && !ok ? 1 : failed };
}

function runSuite(suite, extra, scratch) {
  const results = [];
  if (suite === 'native' && extra.length === 0) results.push(runNativeTests());
  if (hasTests(join(root, 'test', suite))) results.push(runMocha(suite, extra, scratch));
  return results;
}

await main(() => {
  const args = process.argv.slice(2);
  const option = args.findIndex((arg) => arg.startsWith('-'));
  const names = option === -1 ? args : args.slice(0, option);
  const extra = option === -1 ? [] : args.slice(option).filter((arg) => arg !== '--');

  const known = allSuites();
  const unknown = names.find((name) => !known.includes(name));
  if (unknown) throw new Failure(`Expected suites of ${known.join(', ')}; got "${unknown}".`);

  prepare();
  const scratch = mkdtempSync(join(tmpdir(), 'tsgi-test-'));
  const sum = { passed: 0, failed: 0 };
  try {
    for (const suite of names.length > 0 ? names : known) {
      console.log(`\n== ${suite}`);
      for (const { passed, failed } of runSuite(suite, extra, scratch)) {
        sum.passed += passed;
        sum.failed += failed;
      }
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;
  console.log(`\n${sum.passed} passed, ${sum.failed} failed`);
});
