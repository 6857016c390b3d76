// Builds what is native with sanitizers and runs the C tests and the Apache suites against it:
//
//   node scripts/test-sanitized.mjs asan|tsan [arguments for mocha]
//
// asan is AddressSanitizer and UBSan, in module and addon; tsan is ThreadSanitizer, in the module alone: httpd's
// threads are the ones that share something. Node and httpd themselves are the ordinary ones, so the
// run-time library of the sanitizer is preloaded (test/harness/sanitizer.ts), and leaks are not looked for:
// httpd's pools and Node's heap would report nothing but themselves.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, main, prepare, root, run } from './lib/prepare.mjs';

const libraries = { asan: 'libasan.so', tsan: 'libtsan.so' };

/** The run-time library that belongs to the compiler of the build. */
function findLibrary(name) {
  const { stdout } = spawnSync('cc', [`-print-file-name=${name}`], { encoding: 'utf8' });
  const path = stdout?.trim() ?? '';
  // A compiler that does not have the library answers with its name alone.
  if (!path.startsWith('/') || !existsSync(path)) {
    throw new Failure(`Expected \`cc -print-file-name=${name}\` to name a file: install gcc.`);
  }
  return path;
}

await main(() => {
  const [variant, ...given] = process.argv.slice(2);
  if (!Object.hasOwn(libraries, variant)) {
    const known = Object.keys(libraries).join(' or ');
    throw new Failure(`Expected ${known} as the first argument, got "${variant}".`);
  }
  const library = findLibrary(libraries[variant]);
  const dist = join(root, 'build', variant, 'dist');
  prepare();
  run(process.execPath, ['scripts/native.mjs', variant]);
  for (const name of readdirSync(join(root, 'dist'))) {
    if (!existsSync(join(dist, name)) || /\.(c?js|map)$/.test(name)) {
      copyFileSync(join(root, 'dist', name), join(dist, name));
    }
  }
  run('ctest', ['--test-dir', `build/${variant}`, '--output-on-failure']);
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
