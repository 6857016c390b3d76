/** The versions of Node.js to test with, as paths that the users of a suite can execute. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, linkSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRoot, readableByAll, root } from '../harness/place.ts';

/** TSGI_TEST_NODES, a list like PATH's, or what scripts/nodes.mjs can provide. */
function paths(): string[] {
  const given = (process.env['TSGI_TEST_NODES'] ?? '').split(':').filter(Boolean);
  if (given.length > 0) return given;
  const { stdout } = spawnSync(process.execPath, [join(root, 'scripts/nodes.mjs')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const found = stdout.trim().split(':').filter(Boolean);
  if (found.length > 1) return found;
  console.log('  Only the Node.js that runs the tests is tested: no other could be had.');
  return [process.execPath];
}

export interface NodeUnderTest {
  readonly path: string;
  /** e.g. 22.18.0 */
  readonly version: string;
  readonly major: number;
}

/** Asks each for its version. @throws Error for a path that is no node. */
export function nodesUnderTest(): NodeUnderTest[] {
  return paths().map((path) => {
    const version = execFileSync(path, ['--version'], { encoding: 'utf8' }).trim().slice(1);
    return { path, version, major: Number(version.split('.')[0]) };
  });
}

/** The binary where every user can execute it, and what takes it away again. */
export function executableByAll(node: string): { path: string; remove: () => void } {
  if (!isRoot || readableByAll(node)) return { path: node, remove: () => undefined };
  const dir = mkdtempSync(join(tmpdir(), 'tsgi-node-'));
  execFileSync('chmod', ['755', dir]);
  const path = join(dir, 'node');
  try {
    linkSync(node, path);
  } catch {
    copyFileSync(node, path); // Another file system.
  }
  const remove = (): void => {
    rmSync(dir, { recursive: true, force: true });
  };
  return { path, remove };
}
