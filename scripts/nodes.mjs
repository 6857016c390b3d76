// Prints a node of each supported major version, separated by colons:
//
//   node scripts/nodes.mjs [version …]        e.g. 22 24, or 20.19.0
//   TSGI_TEST_NODES=$(node scripts/nodes.mjs) npm test
//
// Without arguments these are all that mod_tsgi supports. The one that runs this script stands for
// its own major version; the others come from npm, which has each of them as a package, and stay
// in .tmp/nodes. They are no devDependencies: each is more than 100 MB. Remove .tmp/nodes to get
// newer ones. A version that cannot be had is left out, with a sentence on stderr that says why.
import { requireNode } from './lib/node-version.mjs';

requireNode();
const { spawnSync } = await import('node:child_process');
const { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } = await import('node:fs');
const { join } = await import('node:path');
const { Failure, main, root } = await import('./lib/prepare.mjs');

const supported = ['20', '22', '24', '26'];
const cache = join(root, '.tmp/nodes');
const installTimeoutMs = 4 * 60 * 1000;

/** The binaries' package for this machine. There is none for musl. */
const packageName = `node-linux-${process.arch}`;

/** A registry that cannot be reached: no other version will come from there either. */
class Unreachable extends Error {}

function works(node) {
  return existsSync(node) && spawnSync(node, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** @throws Error that says in a few words why npm did not install it. */
function npmInstall(spec, directory) {
  const options =
    '--no-save --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error ' +
    '--fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-timeout=60000';
  const args = ['install', '--prefix', directory, ...options.split(' '), spec];
  const { status, error, stderr } = spawnSync('npm', args, {
    cwd: directory,
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: installTimeoutMs,
  });
  if (error) throw new Unreachable(`npm: ${error.message}`);
  if (status === 0) return;
  const code = /npm (?:ERR!|error) code (\S+)/.exec(stderr)?.[1] ?? `exit status ${status}`;
  if (code === 'E404' || code === 'ETARGET') throw new Error('the npm registry does not have it');
  if (code === 'EBADPLATFORM') throw new Error('it is not for this system');
  throw new Unreachable(`npm failed with ${code}`);
}

/** Puts it in place whole or not at all, also when two of us do it at the same time. */
function install(version, target) {
  mkdirSync(cache, { recursive: true });
  const directory = mkdtempSync(join(cache, 'part-'));
  try {
    npmInstall(`${packageName}@${version}`, directory);
    const installed = join(directory, 'node_modules', packageName);
    if (!works(join(installed, 'bin/node'))) throw new Error('it does not run on this system');
    if (!existsSync(target)) renameSync(installed, target);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** @returns the path of the binary, or undefined if only npm could have it. */
function present(version) {
  const own = process.versions.node;
  if (own === version || own.startsWith(`${version}.`)) return process.execPath;
  const node = join(cache, version, 'bin/node');
  return works(node) ? node : undefined;
}

/** @returns the path of the binary. */
function get(version) {
  const target = join(cache, version);
  rmSync(target, { recursive: true, force: true });
  console.error(`Getting Node.js ${version} (${packageName}) by npm.`);
  install(version, target);
  return join(target, 'bin/node');
}

function provideAll(versions) {
  const nodes = [];
  let unreachable;
  for (const version of versions) {
    try {
      const node = present(version);
      if (node === undefined && unreachable) throw unreachable;
      nodes.push(node ?? get(version));
    } catch (error) {
      if (error instanceof Unreachable) unreachable = error;
      console.error(`Without Node.js ${version} (${packageName}): ${error.message}.`);
    }
  }
  return nodes;
}

await main(() => {
  const args = process.argv.slice(2);
  const wrong = args.find((arg) => !/^\d+(\.\d+){0,2}$/.test(arg));
  if (wrong !== undefined)
    throw new Failure(`Expected versions like 24 or 20.19.0; got "${wrong}".`);
  console.log(provideAll(args.length > 0 ? args : supported).join(':'));
});
