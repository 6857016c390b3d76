/**
 * node:cluster inside a worker. An entry that forks a cluster is served by the group's own workers:
 * the first fork() ends this worker, and the next one is told that it is a cluster's worker, so
 * that the app takes that branch and listens. Apps that do not fork see what `node app.js` shows:
 * some (log4js) send their output to a primary that is not there when they think they are workers.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';
import type * as Dgram from 'node:dgram';

type ListenQuery = Readonly<{ address: string | null; port: number; addressType: string | number }>;
type ListenReply = (error: Error | number, handle: object | null) => void;

/** Members of the cluster module that its types do not show (lib/internal/cluster/child.js). */
interface ClusterInternals {
  fork: (env?: object) => never;
  _setupWorker: () => void;
  _getServer: (owner: unknown, query: ListenQuery, reply: ListenReply) => void;
}

const require = createRequire(__filename);

function loadCluster(): ClusterInternals {
  return require('node:cluster') as ClusterInternals;
}

/** Calls `onFork` instead of forking. It must not return. */
export function interceptFork(onFork: () => never): void {
  const cluster = loadCluster();
  cluster.fork = onFork;
  syncBuiltinESMExports();
}

/** @returns the native handle of a bound UDP socket. */
function handleOf(socket: Dgram.Socket): object {
  const state = Object.getOwnPropertySymbols(socket).find((s) => s.description === 'state symbol');
  return (socket as unknown as Record<symbol, { handle: object }>)[state ?? Symbol()]?.handle ?? {};
}

/** Real servers and UDP sockets of the app listen for themselves; there is no primary to ask. */
function listenAlone(_owner: unknown, query: ListenQuery, reply: ListenReply): void {
  const { addressType, address, port } = query;
  if (addressType !== 'udp4' && addressType !== 'udp6') {
    reply(0, null); // Node then makes the handle itself.
    return;
  }
  const { createSocket } = require('node:dgram') as typeof Dgram;
  const socket = createSocket({ type: addressType });
  socket.once('error', (error) => {
    reply(error, null);
  });
  socket.bind({ port, exclusive: true, ...(address !== null && { address }) }, () => {
    reply(0, handleOf(socket));
  });
}

/**
 * From here on `cluster.isPrimary` is false and `cluster.worker` exists. Messages to the primary
 * go nowhere.
 * @param id cluster.worker.id, from 1.
 */
export function becomeClusterWorker(id: number): void {
  process.env['NODE_UNIQUE_ID'] = String(id);
  const cluster = loadCluster(); // Looks at the variable when it is loaded for the first time.
  cluster._setupWorker();
  delete process.env['NODE_UNIQUE_ID'];
  cluster._getServer = listenAlone;
  if (!process.connected) process.send = () => true;
  syncBuiltinESMExports();
}
