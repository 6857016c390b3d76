// A copy of what the examples need at run time, for when the clone cannot serve as it is: when
// root starts Apache, the applications run as another user, who may not be able to look into
// root's home; and mod_tsgi runs no script that belongs to a third user or that all may write.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { root } from './prepare.mjs';

/** Packages that the host or an example imports. */
const packages = ['commander', 'srvx', 'tsx', 'express', 'hono'];

/** The directory of a package as Node finds it from a directory, or undefined. */
function findPackage(name, from) {
  for (let at = from; ; at = dirname(at)) {
    const candidate = join(at, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (at === root) return undefined;
  }
}

/** The packages with everything they depend on, as directories. */
function closure(names) {
  const found = new Set();
  const visit = (name, from) => {
    const directory = findPackage(name, from);
    // Optional dependencies of other platforms are not installed.
    if (directory === undefined || found.has(directory)) return;
    found.add(directory);
    const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    const needed = { ...manifest.dependencies, ...manifest.optionalDependencies };
    for (const dependency of Object.keys(needed)) visit(dependency, directory);
  };
  for (const name of names) visit(name, root);
  return [...found];
}

/** True when the account can read, or run, the path. */
function may(account, test, path) {
  const { uid, gid } = account;
  return spawnSync('test', [test, path], { uid, gid, cwd: '/' }).status === 0;
}

/**
 * True when the applications cannot be run from the clone.
 * @param account who runs them as; undefined: the user that runs this
 */
export function needsStaging(account) {
  const entry = join(root, 'examples/hello/index.js');
  const { uid, mode } = statSync(entry);
  if ((uid !== 0 && uid !== (account?.uid ?? process.getuid())) || mode & 0o002) return true;
  const read = ['dist/worker.cjs', 'node_modules/srvx/package.json', 'examples/hello/index.js'];
  return account !== undefined && !read.every((name) => may(account, '-r', join(root, name)));
}

/** Copies what is needed at run time below a directory that the account can look into. */
export function stage(directory) {
  const copy = (path) => {
    const target = join(directory, relative(root, path));
    mkdirSync(dirname(target), { recursive: true });
    cpSync(path, target, { recursive: true, dereference: true });
  };
  ['package.json', 'dist', 'examples'].forEach((name) => copy(join(root, name)));
  closure(packages).forEach(copy);
  // Whatever the umask and the clone's modes: others may read, nobody but the owner may write.
  spawnSync('chmod', ['-R', 'u+rwX,go+rX,go-w', directory]);
}

/**
 * A path of this Node that the account can run: its own, or a copy.
 * @param directory where a copy goes
 */
export function nodeFor(account, directory) {
  if (account === undefined || may(account, '-x', process.execPath)) return process.execPath;
  const copy = join(directory, 'node');
  cpSync(process.execPath, copy);
  chmodSync(copy, 0o755);
  return copy;
}
