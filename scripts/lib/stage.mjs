// A copy of what the examples need at run time, for when the clone cannot serve as it is: when
// root starts Apache, the applications run as another user, who may not be able to look into
// root's home; and mod_tsgi runs no script that belongs to a third user or that all may write.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { installTree } from './install-tree.mjs';
import { root } from './prepare.mjs';

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

/** Copies the host and the examples below a directory that the account can look into. */
export function stage(directory) {
  installTree(directory, { directories: ['examples'], packages: ['express', 'hono'] });
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
