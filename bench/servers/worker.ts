/** One worker without Apache and without a supervisor, or node:http, on a unix socket. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { spawnWorker } from '../../src/supervisor/spawn.ts';
import { listenAt } from '../../test/harness/listener.ts';
import { place } from '../../test/harness/place.ts';
import { waitFor } from '../../test/harness/wait.ts';
import { end, killGroupAtEnd } from '../ending.ts';
import { toUrl } from '../generators/wire.ts';
import { appFile, scratch, startNode } from './backend.ts';
import { until, type Running, type Setting } from './running.ts';

const SECOND = 1000;
/** What mod_tsgi's own configuration is without options. */
const DEFAULTS = {
  concurrency: 1000,
  maxUpgrades: 0,
  upgradeIdleTimeoutMs: 0,
  startupTimeoutMs: 30 * SECOND,
  shutdownTimeoutMs: 5 * SECOND,
  gracefulTimeoutMs: 15 * SECOND,
  evictionTimeoutMs: 15 * SECOND,
  deadlockTimeoutMs: 60 * SECOND,
  ready: 'listen',
  maximumRequests: 0,
  statsIntervalMs: 0,
  forceTsx: false,
  clusterWorker: false,
} as const;

export async function serveByWorker({ app, node }: Setting, file: string): Promise<Running> {
  const socket = join(scratch(), 'socket');
  const script = appFile(app, file);
  const secret = randomBytes(32).toString('hex');
  const listener = await listenAt(socket);
  let isReady = false;
  let ended: string | undefined;
  const said: string[] = [];
  const startedAt = performance.now();
  const worker = spawnWorker(
    {
      node,
      args: [join(place(), 'dist', 'worker.cjs'), script],
      cwd: dirname(script),
      environment: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'production', TSGI_HOSTED: '1' },
      listenFd: listener.fd,
      boot: {
        ...DEFAULTS,
        ...{ group: 'bench', application: 'bench', slot: 0, processes: 1, secret },
        generation: '0'.repeat(32),
        peerUid: -1,
        port: 80,
        scripts: { mode: 'exact', paths: [script] },
        supervisor: process.pid,
        apache: process.pid,
        title: 'tsgi: worker bench/0',
      },
    },
    {
      onLine(line) {
        said.push(line);
        isReady ||= line.startsWith('{"type":"ready"');
      },
      onOutput: (_source, line) => said.push(line),
      onExit(status, signal, error) {
        ended = error?.message ?? signal ?? `status ${String(status)}`;
      },
    },
  );
  listener.release();
  const release = worker.pid === undefined ? () => undefined : killGroupAtEnd(worker.pid);
  const stop = async (): Promise<void> => {
    worker.killGroup();
    await waitFor(() => ended !== undefined, { what: 'the end of the worker' });
    release();
  };
  await until(() => isReady || ended !== undefined, 'the start of the worker');
  if (ended !== undefined) throw new Error(`the worker has ended, ${ended}:\n${said.join('\n')}`);
  return {
    startedAt,
    url: toUrl({ socket, worker: { secret, script } }),
    processes: () => ({ front: [], back: [worker.pid ?? 0] }),
    stop,
  };
}

export async function serveByNodeOnUnix(setting: Setting, file: string): Promise<Running> {
  const socket = join(scratch(), 'socket');
  const startedAt = performance.now();
  const child = startNode(setting, file, socket);
  await once(child, 'spawn');
  return {
    startedAt,
    url: toUrl({ socket }),
    processes: () => ({ front: [], back: [child.pid ?? 0] }),
    stop: () => end(child),
  };
}
