/**
 * Runs the suites against a module and an addon that were built with AddressSanitizer and UBSan
 * (`npm run test:asan`), or a module that was built with ThreadSanitizer (`npm run test:tsan`). TSGI_TEST_DIST names their directory, TSGI_TEST_SANITIZER the run-time library of
 * the compiler, which has to be the first that httpd and node load. Without them all of this does nothing.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

const library = process.env['TSGI_TEST_SANITIZER'];

/** The directory to serve as dist/ instead of the project's own. */
export const testDist = process.env['TSGI_TEST_DIST'];

/** ThreadSanitizer looks at httpd alone: node is not built for it. */
const isOfThreads = (library ?? '').includes('libtsan');

/** Memory is no measure then. */
export const isSanitized = library !== undefined;

/** How much longer than usual things may take. */
export const patience = library === undefined ? 1 : 3;

/** What httpd and node need in their environment; reports go to files below `dir`. */
function variables(dir: string): Record<string, string> {
  if (library === undefined) return {};
  const path = join(dir, 'sanitizer', 'report');
  return {
    LD_PRELOAD: library,
    ASAN_OPTIONS: `detect_leaks=0:log_path=${path}`,
    UBSAN_OPTIONS: `print_stacktrace=1:log_path=${path}`,
    // What httpd itself does in its signal handlers is not looked at.
    TSAN_OPTIONS: `report_signal_unsafe=0:log_path=${path}`,
  };
}

/** The environment of httpd, whose ServerRoot is `dir`. Makes the directory of the reports. */
export function sanitizedEnvironment(dir: string): NodeJS.ProcessEnv {
  if (library === undefined) return process.env;
  mkdirSync(join(dir, 'sanitizer'));
  chmodSync(join(dir, 'sanitizer'), 0o777); // supervisors and workers may run as other users
  return { ...process.env, ...variables(dir) };
}

/** A stand-in for a node binary: supervisors start with a clean environment, so it sets its own. */
export function sanitizedNode(dir: string, node: string): string {
  if (library === undefined || isOfThreads) return node;
  const path = join(dir, 'node');
  if (existsSync(path)) return path; // another mtime would be another node to the module
  const exports = Object.entries(variables(dir)).map(([name, value]) => `${name}='${value}'`);
  writeFileSync(path, `#!/bin/sh\nexec env ${exports.join(' ')} '${node}' "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

/**
 * Of reports of ThreadSanitizer those in which both sides are in the module. httpd and APR are not built for
 * it, so their atomics order nothing there: memory of a pool that goes from one thread to the next looks shared.
 */
function racesOfOurs(text: string): string[] {
  return text
    .split(/^={18}$/m)
    .filter((report) =>
      report
        .split(/^ {2}(?=Previous )/m)
        .every((side) => /^ {4}#.*mod_tsgi\.so/m.test(side.split('\n\n')[0] ?? '')),
    );
}

/** @throws Error with every report that a process of the httpd with this ServerRoot has left. */
export function expectNoReports(dir: string): void {
  const reports = join(dir, 'sanitizer');
  if (library === undefined || !existsSync(reports)) return;
  const texts = readdirSync(reports)
    .map((name) => readFileSync(join(reports, name), 'utf8'))
    .flatMap((text) => (isOfThreads ? racesOfOurs(text) : [text]));
  if (texts.length > 0) throw new Error(`reports of the sanitizers:\n${texts.join('\n')}`);
}
