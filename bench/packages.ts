/** What the contenders and generators need of the system, and its installation from Debian's packages. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isRoot } from '../test/harness/place.ts';

interface Tool {
  readonly packages: readonly string[];
  /** It is there when one of these is: commands, or paths from the root. */
  readonly present: readonly string[];
}
const MODULES = ['/usr/lib/apache2/modules', '/usr/lib64/httpd/modules'];
const module = (name: string) => MODULES.map((directory) => `${directory}/mod_${name}.so`);

const tools = {
  wrk: { packages: ['wrk'], present: ['wrk'] },
  h2load: { packages: ['nghttp2-client'], present: ['h2load'] },
  nginx: { packages: ['nginx-light'], present: ['nginx'] },
  // Not the package uwsgi, which adds only a system service.
  uwsgi: { packages: ['uwsgi-core', 'uwsgi-plugin-python3'], present: ['uwsgi'] },
  mod_wsgi: { packages: ['libapache2-mod-wsgi-py3'], present: module('wsgi') },
  passenger: { packages: ['libapache2-mod-passenger'], present: module('passenger') },
  strace: { packages: ['strace'], present: ['strace'] },
} satisfies Readonly<Record<string, Tool>>;
export type ToolName = keyof typeof tools;

/** httpd and its like lie where the path of a user does not always lead. */
process.env['PATH'] = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin:/sbin`;

function isPresent(name: ToolName): boolean {
  const directories = (process.env['PATH'] ?? '').split(':');
  return tools[name].present.some((file) =>
    file.startsWith('/')
      ? existsSync(file)
      : directories.some((directory) => existsSync(join(directory, file))),
  );
}

export class MissingPackages extends Error {}

const packagesOf = (names: readonly ToolName[]): string =>
  names.flatMap((name) => tools[name].packages).join(' ');

/**
 * Sees to it that these are there.
 * @throws MissingPackages with the one command to run, if it cannot install them.
 */
export function provide(names: readonly ToolName[]): void {
  const wanted = [...new Set(names)];
  const missing = wanted.filter((name) => !isPresent(name));
  if (missing.length === 0) return;
  const remedy = `run "apt-get install --no-install-recommends ${packagesOf(missing)}" as root, or choose with --only what does without`;
  if (!isRoot || !existsSync('/usr/bin/apt-get')) {
    throw new MissingPackages(`expected ${missing.join(', ')}, not installed: ${remedy}`);
  }
  console.error(`installing ${packagesOf(missing)}`);
  const apt = (...args: string[]) =>
    spawnSync('apt-get', ['-qq', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: 600_000,
      // RUNLEVEL: no service of the system is started.
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    }).status === 0;
  // Lists that cannot be refreshed may still be good enough to install from.
  apt('update');
  apt('install', '-y', '--no-install-recommends', ...packagesOf(missing).split(' '));
  const still = missing.filter((name) => !isPresent(name));
  if (still.length > 0) {
    throw new MissingPackages(`apt-get did not install ${still.join(', ')}: ${remedy}`);
  }
}
