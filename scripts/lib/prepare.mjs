// From a fresh clone to a built tree. Plain JavaScript without dependencies: it runs before
// `npm ci` has installed any.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** A failure that its message explains in full: shown without a stack. */
export class Failure extends Error {}

/** Runs a command with the terminal's stdio; throws {@link Failure} if it does not succeed. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (result.error) {
    throw new Failure(`${command} could not be started: ${result.error.message}`);
  }
  if (result.status !== 0) {
    throw new Failure(`${[command, ...args].join(' ')} failed.`);
  }
}

/** Installs what the system lacks; scripts/setup.sh says itself what is wrong. */
function setUpSystem() {
  const { status, error } = spawnSync(join(root, 'scripts/setup.sh'), { stdio: 'inherit' });
  if (error) throw new Failure(`scripts/setup.sh could not be started: ${error.message}`);
  if (status !== 0) process.exit(1);
}

/** True when node_modules is missing or was installed from an older lock file. */
function packagesAreStale() {
  const installed = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) return true;
  return statSync(installed).mtimeMs < statSync(join(root, 'package-lock.json')).mtimeMs;
}

function installPackages() {
  if (!packagesAreStale()) return;
  console.log('Installing the npm packages.');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
}

function build() {
  run(process.execPath, ['scripts/native.mjs']);
  run(process.execPath, ['scripts/bundle.mjs']);
}

/** System packages, npm packages, build: each does nothing where nothing is to do. */
export function prepare() {
  setUpSystem();
  installPackages();
  build();
}

/** Runs a script's main function; a {@link Failure} becomes one line and exit status 1. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    console.error(error instanceof Failure ? error.message : error);
    process.exitCode = 1;
  }
}
