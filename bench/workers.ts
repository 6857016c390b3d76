/** A worker without Apache, and node:http in its place: the same requests on the same kind of socket. */
import type { Contender } from './contenders.ts';
import type { Running, Setting } from './servers/running.ts';
import { serveByNodeOnUnix, serveByWorker } from './servers/worker.ts';

function alone(
  name: string,
  title: string,
  file: string,
  serve: (setting: Setting, file: string) => Promise<Running>,
): Contender {
  return { name, title, loads: ['worker'], needs: [], start: (setting) => serve(setting, file) };
}

export const workers: readonly Contender[] = [
  alone('worker-callable', 'worker, callable', 'callable.js', serveByWorker),
  alone('worker-server', 'worker, (req, res)', 'server.js', serveByWorker),
  alone('worker-fetch', 'worker, fetch', 'fetch.mjs', serveByWorker),
  alone('worker-node', 'node:http', 'server.js', serveByNodeOnUnix),
  alone('worker-srvx', 'node:http, srvx', 'srvx.mjs', serveByNodeOnUnix),
];
