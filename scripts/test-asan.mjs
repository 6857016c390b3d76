// Builds module, addon and native tests with AddressSanitizer and UBSan and runs the C tests and the
// Apache suites against them:
//
//   node scripts/test-asan.mjs [arguments for mocha]
//
// Node and httpd themselves are the ordinary ones, so the run-time library of the sanitizers is
// preloaded (test/harness/sanitizer.ts), and leaks are not looked for: httpd's pools and Node's
// heap would report nothing but themselves.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, main, prepare, root, run } from './lib/prepare.mjs';

const dist = join(root, 'build/asan/dist');

/** The run-time library that belongs to the compiler of the asan build. */
function findLibrary() {
  const { stdout } = spawnSync('cc', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  const path = stdout?.trim() ?? '';
  // A compiler that does not have the library answers with its name alone.
  if (!path.startsWith('/') || !existsSync(path)) {
    throw new Failure('Expected `cc -print-file-name=libasan.so` to name a file: install gcc.');
  }
  return path;
}

await main(() => {
  const library = findLibrary();
  prepare();
  run(process.execPath, ['scripts/native.mjs', 'asan']);
  for (const name of readdirSync(join(root, 'dist'))) {
    if (/\.(c?js|map)$/.test(name)) copyFileSync(join(root, 'dist', name), join(dist, name));
  }
  run('ctest', ['--test-dir', 'build/asan', '--output-on-failure']);
  const given = process.argv.slice(2);
  const env = { ...process.env, TSGI_TEST_DIST: dist, TSGI_TEST_SANITIZER: library };
  run(
    process.execPath,
    [
      join(root, 'node_modules/mocha/bin/mocha.js'),
      '--timeout',
      '60000',
      ...(given.length > 0 ? given : ['test/apache/*.test.ts']),
    ],
    { env },
  );
});
