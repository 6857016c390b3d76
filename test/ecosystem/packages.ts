/** Installs what package.json of this suite names, below .tmp, once. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRoot, readableByAll, root } from '../harness/place.ts';

const manifest = readFileSync(join(import.meta.dirname, 'package.json'), 'utf8');
const cache = join(root, '.tmp/ecosystem');

/** @returns a node_modules directory. @throws Error if npm cannot install it. */
function install(): string {
  const modules = join(cache, 'node_modules');
  const done = join(cache, 'done');
  if (existsSync(done) && readFileSync(done, 'utf8') === manifest) return modules;
  rmSync(cache, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  writeFileSync(join(cache, 'package.json'), manifest);
  const args = 'install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error';
  const { status, error } = spawnSync('npm', args.split(' '), { cwd: cache, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) throw new Error(`npm install in ${cache} ended with status ${String(status)}`);
  writeFileSync(done, manifest);
  return modules;
}

/** Puts the packages and the apps into a directory, where the apps' user can read them. */
export function provide(directory: string): void {
  const modules = install();
  const target = join(directory, 'node_modules');
  if (!isRoot || readableByAll(modules)) execFileSync('ln', ['-s', modules, target]);
  else execFileSync('cp', ['-a', modules, target]);
  cpSync(join(import.meta.dirname, 'fixtures'), directory, { recursive: true });
  execFileSync('chmod', ['-R', 'go+rX,go-w', directory]);
}
