/** An application server that listens by itself: node, uWSGI. It runs as the user as whom Apache runs. */
import type { ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, ordinary } from '../../test/harness/httpd.ts';
import { isRoot, place } from '../../test/harness/place.ts';
import { end, launch, removeAtEnd } from '../ending.ts';
import { split, urlOf, type Running, type Setting } from './running.ts';

/** Root's servers run as an ordinary user, as the harness's Apache does. */
export const asOrdinary = isRoot ? { uid: ordinary.uid, gid: ordinary.gid } : {};

/** @returns a directory that servers can write to; it is removed at the end. */
export function scratch(): string {
  const directory = removeAtEnd(mkdtempSync(join(tmpdir(), 'tsgi-bench-')));
  chmodSync(directory, 0o777);
  return directory;
}

export const appFile = (app: string, file: string): string =>
  join(place(), 'bench', 'apps', app, file);

/**
 * Starts a backend. What goes wrong is told on stderr. It has a session of its own, as Apache and mod_tsgi's workers
 * have, and any service: Linux shares the processors out among sessions first (sched_autogroup_enabled in sched(7)), and
 * it would have to share with the load generator.
 */
export function startBackend(
  command: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): ChildProcess {
  return launch(command, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env['PATH'], NODE_ENV: 'production', ...environment },
    detached: true,
    ...asOrdinary,
  });
}

/** An app by node, on a unix socket or on a port. */
export function startNode({ app, node }: Setting, file: string, listen: string): ChildProcess {
  return startBackend(node, [appFile(app, file)], { LISTEN: listen });
}

/** Nothing before node. */
export async function serveByNode(setting: Setting, file: string): Promise<Running> {
  const port = await freePort();
  const startedAt = performance.now();
  const child = startNode(setting, file, String(port));
  return {
    startedAt,
    url: urlOf(setting, port),
    processes: () => split([child.pid ?? 0], () => true),
    stop: () => end(child),
  };
}

/** Two processes of uWSGI, which mod_proxy_uwsgi asks. */
export function startUwsgi({ app }: Setting, socket: string): ChildProcess {
  return startBackend('uwsgi', [
    ...['--plugin', 'python3', '--wsgi-file', appFile(app, 'app.py'), '--socket', socket],
    ...['--chmod-socket=777', '--processes', '2', '--threads', '15', '--listen', '512'],
    ...['--master', '--disable-logging', '--die-on-term', '--need-app', '--logto', '/dev/null'],
  ]);
}
