/**
 * What a server knows of its connections. Each request has a socket of its own, so each is a
 * connection to its server: it is counted, 'connection' tells of it, and 'close' of the server
 * waits for it. That is what packages for a graceful shutdown work with.
 */
import { createServer, Server as HttpServer, type Server } from 'node:http';
import type * as Http2 from 'node:http2';
import type * as Https from 'node:https';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';

/** Members of net.Server that Node's own code works with (lib/net.js). */
interface ServerInternals {
  _connections: number;
  _emitCloseIfDrained(): void;
}

type Listener = (...args: unknown[]) => unknown;
type EventName = 'connection' | 'secureConnection';

/** Listeners that Node itself has put there: they would read HTTP from the socket. */
type OwnListeners = Readonly<Record<EventName, readonly unknown[]>>;

const closing = new WeakSet<Server>();
const ownListeners = new WeakMap<Server, OwnListeners>();
const require = createRequire(__filename);

function internalsOf(server: Server): ServerInternals {
  return server as unknown as ServerInternals;
}

export function enterConnection(server: Server): void {
  internalsOf(server)._connections++;
}

export function leaveConnection(server: Server): void {
  const internals = internalsOf(server);
  if (--internals._connections === 0 && closing.has(server)) internals._emitCloseIfDrained();
}

/** The server is being closed: its 'close' waits for endClose(), and for its connections. */
export function beginClose(server: Server): void {
  closing.add(server);
  // What Node's close() calls, and each connection at its end.
  const value = (): void => undefined;
  Object.defineProperty(server, '_emitCloseIfDrained', { value, configurable: true });
}

export function endClose(server: Server): void {
  Reflect.deleteProperty(server, '_emitCloseIfDrained');
  internalsOf(server)._emitCloseIfDrained();
}

/** The server listens, perhaps again. */
export function reopen(server: Server): void {
  closing.delete(server);
}

/** A server of the same class as Node makes it: the modules are loaded, since the app has used them. */
function freshServerLike(server: Server): Server {
  if (server instanceof HttpServer) return createServer();
  if ('httpAllowHalfOpen' in server) {
    return (require('node:https') as typeof Https).createServer();
  }
  const http2 = require('node:http2') as typeof Http2;
  const made = 'setSecureContext' in server ? http2.createSecureServer() : http2.createServer();
  return made as unknown as Server;
}

function ownListenersOf(server: Server): OwnListeners {
  let listeners = ownListeners.get(server);
  if (listeners === undefined) {
    const fresh = freshServerLike(server);
    listeners = {
      connection: fresh.rawListeners('connection'),
      secureConnection: fresh.rawListeners('secureConnection'),
    };
    ownListeners.set(server, listeners);
  }
  return listeners;
}

function tell(server: Server, event: EventName, own: OwnListeners, socket: Socket): void {
  if (server.listenerCount(event) <= own[event].length) return;
  for (const listener of server.rawListeners(event) as Listener[]) {
    if (!own[event].includes(listener)) Reflect.apply(listener, server, [socket]);
  }
}

/**
 * Tells the app's own listeners of a connection. A server for TLS is told that it is secure as well.
 * @returns false if one of them has destroyed it.
 */
export function tellConnection(server: Server, socket: Socket): boolean {
  // Node has one listener for each event at most; with those alone there is nobody to tell.
  if (server.listenerCount('connection') <= 1 && server.listenerCount('secureConnection') <= 1) {
    return true;
  }
  const listeners = ownListenersOf(server);
  tell(server, 'connection', listeners, socket);
  tell(server, 'secureConnection', listeners, socket);
  return !socket.destroyed;
}
