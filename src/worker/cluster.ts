/**
 * node:cluster inside a worker. An entry that forks a cluster is served by the group's own workers:
 * the first fork() ends this worker, and the next one is told that it is a cluster's worker, so
 * that the app takes that branch and listens. Where the primary names another script, that one runs. Apps that do not fork see what `node app.js` shows:
 * some (log4js) send their output to a primary that is not there when they think they are workers.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { resolve } from 'node:path';
import type * as Dgram from 'node:dgram';
import type { ClusterFork } from '../ipc/messages.ts';
import { noHandle } from './listen.ts';

type ListenQuery = Readonly<{ address: string | null; port: number; addressType: string | number }>;
type ListenReply = (error: Error | number, handle: object | null) => void;

/** Members of the cluster module that its types do not show (lib/internal/cluster/child.js). */
interface ClusterInternals {
  fork: (env?: object) => never;
  readonly settings: { readonly exec?: string; readonly args?: readonly unknown[] };
  readonly worker: { disconnect(): unknown };
  _setupWorker: () => void;
  _getServer: (owner: unknown, query: ListenQuery, reply: ListenReply) => void;
}

const require = createRequire(__filename);

function loadCluster(): ClusterInternals {
  return require('node:cluster') as ClusterInternals;
}

/** The script that child_process.fork() would run. */
function resolveExec(exec: string): string {
  const path = resolve(exec);
  try {
    return require.resolve(path); // `node file` finds file.js as well.
  } catch {
    return path;
  }
}

function textsOf(values: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, String(value)] as const),
  );
}

/** Calls `onFork` instead of forking. It must not return. */
export function interceptFork(onFork: (fork: ClusterFork) => never): void {
  const cluster = loadCluster();
  cluster.fork = (env = {}) => {
    const { exec, args } = cluster.settings;
    const entry = process.argv[1] ?? '';
    const path = exec === undefined ? entry : resolveExec(exec);
    return onFork({
      ...(path !== entry && { exec: path }),
      args: (args ?? process.argv.slice(2)).map(String),
      env: textsOf(env),
    });
  };
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
    reply(0, noHandle); // _listen2() then makes the handle itself.
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

/** A message of the cluster module to the primary. */
interface InternalMessage {
  readonly cmd?: unknown;
  readonly seq?: unknown;
}

interface InternalEmitter {
  emit(event: 'internalMessage', message: object): boolean;
}

/** Says that the primary has got a message, as the cluster module waits for. */
function acknowledge(message: unknown): void {
  const { cmd, seq } = (message ?? {}) as InternalMessage;
  if (cmd !== 'NODE_CLUSTER' || seq === undefined) return;
  process.nextTick(() => {
    (process as unknown as InternalEmitter).emit('internalMessage', { cmd, ack: seq });
  });
}

/** The channel to a primary, as far as one end of it can be had: what is sent goes nowhere. */
function connectToNobody(): void {
  let isConnected = true;
  const send = (...args: readonly unknown[]): boolean => {
    const callback = args.findLast((arg) => typeof arg === 'function');
    if (callback !== undefined) process.nextTick(callback, null);
    acknowledge(args[0]);
    return isConnected;
  };
  const disconnect = (): void => {
    if (!isConnected) return;
    isConnected = false;
    process.nextTick(() => process.emit('disconnect'));
  };
  Object.assign(process, { send, disconnect });
  Object.defineProperty(process, 'connected', { get: () => isConnected, configurable: true });
}

/**
 * From here on `cluster.isPrimary` is false and `cluster.worker` exists.
 * @param id cluster.worker.id, from 1.
 * @param closeServers called when the app lets the worker disconnect; Node would close them.
 */
export function becomeClusterWorker(
  id: number,
  fork: ClusterFork,
  closeServers: () => Promise<void>,
): void {
  Object.assign(process.env, fork.env, { NODE_UNIQUE_ID: String(id) });
  process.argv.splice(2, Infinity, ...fork.args);
  connectToNobody();
  const cluster = loadCluster(); // Looks at the variable when it is loaded for the first time.
  cluster._setupWorker();
  delete process.env['NODE_UNIQUE_ID'];
  cluster._getServer = listenAlone;
  const { worker } = cluster;
  const disconnect = worker.disconnect.bind(worker);
  worker.disconnect = () => {
    void closeServers().then(disconnect);
    return worker;
  };
  syncBuiltinESMExports();
}
