// Runs the tests, after everything they need has been installed and built:
//
//   node scripts/test.mjs [suite …] [-- arguments for mocha]
//
// A suite is a directory of test/ with *.test.ts files; "native" also runs the C
// tests. Without a name all suites run, but for those with a package.json of their own, whose packages
// are installed when they are named. The last line is the sum: "N passed, N failed".
import { requireNode } from './lib/node-version.mjs';

requireNode();
const { mkdtempSync, rmSync } = await import('node:fs');
const { tmpdir } = await import('node:os');
const { join } = await import('node:path');
const { Failure, main, prepare } = await import('./lib/prepare.mjs');
const suites = await import('./lib/suites.mjs');

function runSuite(suite, extra, scratch) {
  const results = [];
  if (suite === 'native' && extra.length === 0) results.push(suites.runNativeTests());
  if (suites.hasTests(suite)) results.push(suites.runMocha(suite, extra, scratch));
  return results;
}

await main(() => {
  const { names, extra } = suites.splitArguments(process.argv.slice(2));
  const known = suites.allSuites();
  const unknown = names.find((name) => !known.includes(name) && !suites.hasTests(name));
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
