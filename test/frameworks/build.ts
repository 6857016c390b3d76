/** Installs and builds the apps below build/frameworks, each in a directory of its own. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { ordinary } from '../harness/httpd.ts';
import { isRoot, readableByAll, root } from '../harness/place.ts';
import { baseVariable, directoryOf, sourcesOf, type Framework } from './framework.ts';

const TIMEOUT_MS = 10 * 60 * 1000;

const NPM_INSTALL =
  'install --ignore-scripts --no-package-lock --no-audit --no-fund --prefer-offline --loglevel=error --include=dev';

/** Nothing is told to anybody. */
const QUIET = {
  ASTRO_TELEMETRY_DISABLED: '1',
  CI: '1',
  DO_NOT_TRACK: '1',
  NEXT_TELEMETRY_DISABLED: '1',
  NUXT_TELEMETRY_DISABLED: '1',
};

/** The last lines of what a command printed. */
function tail(text: string): string {
  return text.trimEnd().split('\n').slice(-40).join('\n');
}

/** What builds, and for which base path. */
interface Builder {
  readonly node: string;
  readonly base: string;
}

function run(command: string, args: readonly string[], dir: string, { node, base }: Builder): void {
  const environment = { ...process.env, ...baseVariable(base) };
  // Packages for development are needed.
  delete environment['NODE_ENV'];
  const result = spawnSync(command, args, {
    cwd: dir,
    encoding: 'utf8',
    env: { ...environment, ...QUIET, PATH: `${dirname(node)}:${process.env['PATH'] ?? ''}` },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
  });
  if (result.error) throw new Error(`${command}: ${result.error.message}`);
  if (result.status !== 0) {
    const said = tail(result.stdout + result.stderr);
    throw new Error(`${command} ${args.join(' ')} in ${dir} failed:\n${said}`);
  }
}

/** Changes when anything changes that the build depends on. */
function stampOf(framework: Framework, { node, base }: Builder): string {
  const hash = createHash('sha256').update(`${node}\n${base}\n`);
  for (const dir of sourcesOf(framework)) {
    const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    for (const file of files.map(({ parentPath, name }) => join(parentPath, name)).sort()) {
      hash.update(`${file.slice(dir.length)}\n`).update(readFileSync(file));
    }
  }
  return hash.digest('hex');
}

/** @returns the directory for all builds; Apache's user must be able to read it. */
function cacheDirectory(): string {
  if (isRoot && !readableByAll(root)) {
    throw new Error(
      `expected a checkout that every user can read, since Apache does not run as root; ${root} is none. ` +
        'Run this suite as an ordinary user, or from another directory.',
    );
  }
  return join(root, 'build/frameworks');
}

/** To the user as whom it will run. */
function giveAway(dir: string): void {
  const { uid, gid } = ordinary;
  execFileSync('chown', ['-R', `${uid}:${gid}`, dir]);
}

/**
 * Installs and builds an app, unless that has been done with the same sources.
 * @param node the binary that is to build it and to run it.
 * @param base where it will be mounted; a build of its own if the framework wants to know that when it builds.
 * @returns its directory.
 */
export function build(framework: Framework, node: string, base: string): string {
  const builder = { node, base: framework.isBuiltForBase === true ? base : '' };
  const dir = join(cacheDirectory(), directoryOf(framework) + builder.base.replaceAll('/', '-'));
  const stampFile = join(dir, '.stamp');
  const stamp = stampOf(framework, builder);
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return dir;
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  for (const source of sourcesOf(framework)) cpSync(source, dir, { recursive: true });
  run('npm', NPM_INSTALL.split(' '), dir, builder);
  const { scripts } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as {
    scripts?: Record<string, string>;
  };
  if (scripts?.['build'] !== undefined) run('npm', ['run', 'build'], dir, builder);
  if (framework.writes === true && isRoot) giveAway(dir);
  writeFileSync(stampFile, stamp);
  return dir;
}
