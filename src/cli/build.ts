/** `tsgi build`: builds the native parts where npm did not run install scripts. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { TsgiError } from '../errors.ts';
import type { PackagePlace } from './package.ts';

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (error) throw new TsgiError(902, { command, reason: error.message });
  if (status !== 0) throw new TsgiError(901);
}

/**
 * Checks that the system has what the build needs, without installing anything, then builds the
 * module and the addon into the package's dist directory.
 * @throws TsgiError 901 when a step fails; the step has said why.
 */
export function buildPackage(place: PackagePlace, node: string): void {
  run(join(place.root, 'scripts/setup.sh'), ['--check'], place.root);
  run(node, [join(place.root, 'scripts/native.mjs')], place.root);
}
