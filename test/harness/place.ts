/**
 * Where the tests' files lie. Apache, supervisors and workers of a suite may run as users who cannot
 * read a private clone; then what they need is linked to a directory that they can.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { testDist } from './sanitizer.ts';

/** The project's root. */
export const root = resolve(import.meta.dirname, '..', '..');
export const isRoot = process.getuid?.() === 0;
/** The node that serves in the tests. */
export const nodeInUse = process.env['TSGI_TEST_NODE'] ?? process.execPath;
/** The name of its permission model's switch: Node 20 calls it experimental. */
export const permissionFlag =
  spawnSync(nodeInUse, ['--permission', '--version'], { stdio: 'ignore' }).status === 0
    ? '--permission'
    : '--experimental-permission';

/** Whether every user can read the file or directory, and so execute it if anybody can. */
export function readableByAll(path: string): boolean {
  for (let p = path; ; p = dirname(p)) {
    if ((statSync(p).mode & 0o005) !== 0o005) return false;
    if (p === dirname(p)) return true;
  }
}

let staged: string | undefined;
const apps = ['test/apps', 'bench/apps'];

/** dist/, examples/, the apps of tests and benchmarks, and node_modules/ below one directory that every user can read. */
export function place(): string {
  if (staged) return staged;
  if (testDist === undefined && (!isRoot || readableByAll(root))) return (staged = root);
  const dir = mkdtempSync(join(tmpdir(), 'tsgi-stage-'));
  execFileSync('chmod', ['755', dir]);
  for (const part of ['dist', 'examples', ...apps, 'node_modules', 'package.json']) {
    if (!existsSync(join(root, part))) continue;
    mkdirSync(dirname(join(dir, part)), { recursive: true });
    const from = part === 'dist' ? (testDist ?? join(root, part)) : join(root, part);
    execFileSync('cp', ['-a', from, join(dir, part)]);
  }
  execFileSync('chmod', ['-R', 'go+rX,go-w', dir]);
  process.on('exit', () => {
    rmSync(dir, { recursive: true, force: true });
  });
  return (staged = dir);
}

/** Absolute path of a file in test/apps, readable by every user of a suite. */
export function app(name: string): string {
  return join(place(), 'test', 'apps', name);
}
