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

/** What is asked of the system. */
export interface System {
  /** @param file a command, or a path from the root */
  readonly has: (file: string) => boolean;
  readonly canInstall: boolean;
  readonly install: (packages: readonly string[]) => void;
}

export class MissingPackages extends Error {}

/**
 * Sees to it that these are there.
 * @throws MissingPackages with the one command to run, if it cannot install them.
 */
export function provide(names: readonly ToolName[], system: System = debian): void {
  const missing = () => [...new Set(names)].filter((name) => !tools[name].present.some(system.has));
  const before = missing();
  if (before.length === 0) return;
  const packages = before.flatMap((name) => tools[name].packages);
  const remedy = `run "apt-get install --no-install-recommends ${packages.join(' ')}" as root, or choose with --only what does without`;
  if (!system.canInstall) {
    throw new MissingPackages(`expected ${before.join(', ')}, not installed: ${remedy}`);
  }
  console.error(`installing ${packages.join(' ')}`);
  system.install(packages);
  const still = missing();
  if (still.length > 0) {
    throw new MissingPackages(`apt-get did not install ${still.join(', ')}: ${remedy}`);
  }
}

/** httpd and its like lie where the path of a user does not always lead. */
process.env['PATH'] = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin:/sbin`;
const INSTALL_AT_MOST_MS = 600_000;

function apt(...args: string[]): void {
  // It says by itself what went wrong; whether all is there is looked at afterwards.
  spawnSync('apt-get', ['-qq', ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: INSTALL_AT_MOST_MS,
    // RUNLEVEL: no service of the system is started.
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  });
}

const debian: System = {
  has: (file) =>
    file.startsWith('/')
      ? existsSync(file)
      : (process.env['PATH'] ?? '').split(':').some((path) => existsSync(join(path, file))),
  canInstall: isRoot && existsSync('/usr/bin/apt-get'),
  install(packages) {
    // Lists that cannot be refreshed may still be good enough to install from.
    apt('update');
    apt('install', '-y', '--no-install-recommends', ...packages);
  },
};
