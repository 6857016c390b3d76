// Configures and builds everything native:
//
//   node scripts/native.mjs [release|asan|tsan|fuzz [<target of CMake>]]
//
// The release variant goes to dist/, the others stay below build/<variant>. cmake-js drives
// CMake in a checkout; an installed package has no cmake-js, so plain cmake does it there.
// TSGI_WERROR=1 in the environment makes warnings errors.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

const variants = {
  release: { TSGI_DIST: join(root, 'dist'), TSGI_SANITIZE: '', TSGI_FUZZ: 'OFF' },
  asan: {
    TSGI_DIST: join(root, 'build/asan/dist'),
    TSGI_SANITIZE: 'address,undefined',
    TSGI_FUZZ: 'OFF',
  },
  tsan: {
    TSGI_DIST: join(root, 'build/tsan/dist'),
    TSGI_SANITIZE: 'thread',
    TSGI_FUZZ: 'OFF',
    TSGI_ADDON: 'OFF',
  },
  fuzz: {
    TSGI_DIST: join(root, 'build/fuzz/dist'),
    TSGI_SANITIZE: '',
    TSGI_FUZZ: 'ON',
    TSGI_TESTS: 'OFF',
    TSGI_ADDON: 'OFF',
    TSGI_MODULE: 'OFF',
  },
};

/** Runs a command; its output is shown only if it fails, or when TSGI_VERBOSE is set. */
function run(command, args, env) {
  const verbose = Boolean(process.env.TSGI_VERBOSE);
  const result = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: verbose ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.error) {
    throw new Error(`${command} could not be started: ${result.error.message}`);
  }
  const text = verbose ? '' : `${result.stdout}${result.stderr}`;
  if (result.status !== 0) {
    process.stderr.write(text);
    throw new Error(`${command} ${args.join(' ')} failed`);
  }
  // Warnings of the compiler are for the person who builds, also when the build goes on.
  if (/warning:/.test(text)) process.stderr.write(text.replace(/^(\[[\d/ %]+\]|-- ).*\n/gm, ''));
}

/** The path of cmake-js' command, or undefined in an installed package. */
function findCmakeJs() {
  try {
    return createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
  } catch {
    return undefined;
  }
}

/**
 * True when the build directory was configured with exactly these values, to the end: CMake's own cache
 * is there, too, when it gave up half-way.
 */
function isConfigured(stamp, values) {
  return (
    existsSync(stamp) &&
    existsSync(join(dirname(stamp), 'CMakeCache.txt')) &&
    readFileSync(stamp, 'utf8') === JSON.stringify(values)
  );
}

/**
 * Builds one variant.
 * @param {'release' | 'asan' | 'tsan' | 'fuzz'} variant
 * @param {string} [target] one target of CMake, e.g. tsgi_addon; all by default
 */
export function buildNative(variant = 'release', target = undefined) {
  const out = join(root, 'build', variant);
  const values = {
    ...variants[variant],
    TSGI_WERROR: process.env.TSGI_WERROR ? 'ON' : 'OFF',
    CMAKE_HOME_DIRECTORY: root, // the tree may have been moved or copied
  };
  const env = variant === 'fuzz' ? { CC: 'clang', CXX: 'clang++' } : {};
  const jobs = String(availableParallelism());
  const cmakeJs = findCmakeJs();
  const building = ['--parallel', jobs, ...(target ? ['--target', target] : [])];
  mkdirSync(out, { recursive: true });

  // Two builds in one directory at the same time would spoil each other's object files.
  const locked = (command, args) =>
    existsSync('/usr/bin/flock')
      ? run('/usr/bin/flock', [out, command, ...args], env)
      : run(command, args, env);

  const stamp = join(out, 'configured.json');
  if (!isConfigured(stamp, values)) {
    rmSync(stamp, { force: true });
    // CMake would refuse a cache of another place or of another generator.
    rmSync(join(out, 'CMakeCache.txt'), { force: true });
    rmSync(join(out, 'CMakeFiles'), { recursive: true, force: true });
    const pairs = Object.entries(values).filter(([name]) => name !== 'CMAKE_HOME_DIRECTORY');
    if (cmakeJs) {
      const options = pairs.map(([name, value]) => `--CD${name}=${value}`);
      locked(process.execPath, [
        cmakeJs,
        'configure',
        '--log-level=error',
        '--out',
        out,
        ...options,
      ]);
    } else {
      const options = pairs.map(([name, value]) => `-D${name}=${value}`);
      options.push(`-DTSGI_NODE=${process.execPath}`);
      locked('cmake', ['-S', root, '-B', out, ...options]);
    }
    writeFileSync(stamp, JSON.stringify(values));
  }
  if (cmakeJs) {
    locked(process.execPath, [cmakeJs, 'build', '--log-level=error', '--out', out, ...building]);
  } else {
    locked('cmake', ['--build', out, ...building]);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const variant = process.argv[2] ?? 'release';
  if (!Object.hasOwn(variants, variant)) {
    console.error(`Expected one of ${Object.keys(variants).join(', ')}, got "${variant}".`);
    process.exit(2);
  }
  try {
    buildNative(variant, process.argv[3]);
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
