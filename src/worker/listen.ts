/**
 * The hooks on net.Server.prototype: an http server that the app lets listen is served by Apache
 * instead. Nothing is bound; to the app all looks as if it were.
 *
 * listen() itself is Node's own, with all its checks, forms and look-ups. In the end it calls
 * _listen2(), which keeps that name for those who replace it (lib/net.js): it makes the socket.
 */
import { channel as diagnosticsChannel } from 'node:diagnostics_channel';
import { errorMonitor, type EventEmitter } from 'node:events';
import type { Server } from 'node:http';
import { isIPv6, Server as NetServer } from 'node:net';
import { beginClose, endClose, reopen } from '../http/connections.ts';
import { isHttpServer } from './find.ts';
import { ANY_V6, isSamePlace, placeOf, type Place } from './place.ts';

type Listen = (...args: unknown[]) => NetServer;

type Listen2 = (
  address?: string | null,
  port?: number | null,
  addressType?: number | null,
  backlog?: number,
  fd?: number,
  flags?: number,
) => void;

/** Members of net.Server that Node's own code works with (lib/net.js). */
interface ServerInternals {
  _handle: object | null;
  _pipeName?: string;
  _connectionKey: string;
  _listen2: Listen2;
}

/**
 * What becomes of a further http server: it listens for itself (`real`), or nothing is bound since
 * the app is served there already (`beside`).
 */
export type Decision = 'real' | 'beside';

export interface ListenHook {
  /**
   * listen() is called; what it comes to may take a while (host names).
   * @param port undefined where it is no port of TCP.
   * @returns whether the server is to be adopted: then `onAdopted` or `release` follows.
   */
  claim(server: Server, port: number | undefined): boolean;
  /** Nothing came of it. */
  release(server: Server): void;
  isClaimed(server: Server): boolean;
  /** The script that lets it listen, if that is known: those of one worker are apps of their own. */
  scriptOf(server: NetServer): string | undefined;
  /** For a server that is not claimed, when it is known where it listens. */
  decide(server: Server, place: Place): Decision;
  /** The port is Apache's, or not for this user. Nothing is bound then, and the app need not know. */
  onDenied(server: Server, place: Place): void;
  onAdopted(server: Server, port: number): void;
  /**
   * The app closes a server that Apache serves, or one beside it. Its 'close' comes when `finish`
   * is called and no connection of its own is open any more.
   */
  onClose(server: Server, finish: () => void): void;
  /** server.closeAllConnections(). */
  closeConnections(server: Server): void;
  /** See NativeAddon. */
  bindShared(address: string, port: number, onlyV6: boolean): number;
  /** Port that address() tells where the app asked for any. */
  readonly anyPort: number;
  /** Where Apache listens, so that a further server of the app may not have it. */
  readonly apachePort: number;
}

const EACCES = -13;
const EADDRNOTAVAIL = -99;
const EAFNOSUPPORT = -97;
const EADDRINUSE = -98;

/** Stands for the handle that a worker of a cluster gets from its primary: there is none. */
export const noHandle = Object.freeze({});

const listenEnd = diagnosticsChannel('tracing:net.server.listen:asyncEnd');

function toPort(value: unknown): number | undefined {
  if (typeof value !== 'number' && typeof value !== 'string') return undefined;
  const port = Number(value);
  return port >= 0 ? port : undefined;
}

/** The port that listen() was asked for, as net.Server reads its arguments. */
export function portOf([first]: readonly unknown[]): number | undefined {
  if (first === undefined || first === null || typeof first === 'function') return 0;
  if (typeof first === 'object') {
    const { port, path, fd, handle, _handle } = first as Readonly<Record<string, unknown>>;
    if (handle !== undefined || _handle !== undefined || typeof fd === 'number') return undefined;
    if (port === undefined || port === null) return path === undefined ? 0 : undefined;
    return toPort(port);
  }
  return toPort(first);
}

/**
 * Stands in for the handle of a listening socket, so that Node's own close(), address(), ref(),
 * unref() and `listening` work without a change.
 */
class AdoptedHandle {
  readonly #address: object;
  readonly #onClose: () => void;

  constructor(address: object, onClose: () => void) {
    this.#address = address;
    this.#onClose = onClose;
  }

  getsockname(out: object): number {
    Object.assign(out, this.#address);
    return 0;
  }

  close(): void {
    this.#onClose();
  }

  /** The access rights of a unix socket, which is not there. */
  fchmod(): number {
    return 0;
  }

  ref(): void {
    // The channel keeps the event loop alive.
  }

  unref(): void {
    // As above.
  }

  hasRef(): boolean {
    return true;
  }
}

function internalsOf(server: NetServer): ServerInternals {
  return server as unknown as ServerInternals;
}

/** As UVExceptionWithHostPort of lib/internal/errors.js, emitted as setupListenHandle() does. */
function emitInUse(server: NetServer, place: Place): void {
  const address = place.path ?? place.address ?? ANY_V6;
  const where = place.path ?? `${address}:${String(place.port)}`;
  const error = Object.assign(new Error(`listen EADDRINUSE: address already in use ${where}`), {
    code: 'EADDRINUSE',
    errno: EADDRINUSE,
    syscall: 'listen',
    address,
    ...(place.path === undefined && { port: place.port }),
  });
  process.nextTick(() => server.emit('error', error));
}

interface Taken {
  readonly place: Place;
  readonly script: string | undefined;
}

class Listening {
  readonly #hook: ListenHook;
  /** Node's own. */
  readonly #listen2: Listen2;
  /** Where http servers of the app listen, as it sees it. */
  readonly #places = new Map<NetServer, Taken>();
  /** Listeners of the servers whose listen() has not come to its end. */
  readonly #failing = new WeakMap<NetServer, () => void>();

  constructor(hook: ListenHook, listen2: Listen2) {
    this.#hook = hook;
    this.#listen2 = listen2;
  }

  /** Before listen(). @returns whether the server is to be adopted. */
  claim(server: Server, args: readonly unknown[]): boolean {
    if (!this.#hook.claim(server, portOf(args))) return false;
    const release = (): void => {
      this.#hook.release(server);
    };
    this.#settle(server);
    this.#failing.set(server, release);
    (server as EventEmitter).once(errorMonitor, release);
    return true;
  }

  /** listen() has thrown. */
  release(server: Server): void {
    this.#settle(server);
    this.#hook.release(server);
  }

  /** What becomes of _listen2(). */
  listen(server: NetServer, args: Parameters<Listen2>): void {
    const [address, port, , backlog, fd, flags] = args;
    const internals = internalsOf(server);
    if (internals._handle === noHandle) internals._handle = null;
    const place = placeOf(address, port, fd, flags);
    const http = isHttpServer(server) ? server : undefined;
    this.#settle(server);
    if (http && this.#hook.isClaimed(http)) this.#adopt(http, place);
    else if (this.#isTaken(server, place)) emitInUse(server, place);
    else if (!http) Reflect.apply(this.#listen2, server, args);
    else if (this.#hook.decide(http, place) === 'beside') this.#adopt(http, place);
    else this.#listenReally(http, place, backlog, args);
  }

  #settle(server: NetServer): void {
    const release = this.#failing.get(server);
    if (release) (server as EventEmitter).removeListener(errorMonitor, release);
    this.#failing.delete(server);
  }

  #isTaken(server: NetServer, place: Place): boolean {
    const script = this.#hook.scriptOf(server);
    for (const [other, taken] of this.#places) {
      const isOfOther = (taken.script ?? script) !== (script ?? taken.script);
      if (!other.listening) this.#places.delete(other);
      else if (!isOfOther && other !== server && isSamePlace(place, taken.place)) return true;
    }
    return false;
  }

  #take(server: NetServer, place: Place): void {
    this.#places.set(server, { place, script: this.#hook.scriptOf(server) });
  }

  #adopt(server: Server, place: Place): void {
    const { anyPort } = this.#hook;
    const internals = internalsOf(server);
    const port = place.port > 0 ? place.port : anyPort;
    const address = place.address ?? ANY_V6;
    const family = isIPv6(address) ? 'IPv6' : 'IPv4';
    const handle = new AdoptedHandle({ address, family, port }, () => {
      beginClose(server);
      this.#hook.onClose(server, () => {
        endClose(server);
      });
    });
    // address() of a path takes the name only from a handle that has no getsockname.
    if (place.path !== undefined)
      Object.defineProperty(handle, 'getsockname', { value: undefined });
    internals._handle = handle;
    internals._connectionKey = `${family.slice(-1)}:${address}:${String(port)}`;
    this.#take(server, place.path === undefined ? { ...place, port } : place);
    reopen(server);
    if ('closeAllConnections' in server) {
      const value = (): void => {
        this.#hook.closeConnections(server);
      };
      Object.defineProperty(server, 'closeAllConnections', {
        value,
        writable: true,
        configurable: true,
      });
    }
    this.#hook.onAdopted(server, port);
    if (listenEnd.hasSubscribers) listenEnd.publish({ server });
    process.nextTick(() => {
      if (internals._handle === handle) server.emit('listening');
    });
  }

  /** All workers run the same code, and at a reload old and new ones do: they share the port. */
  #listenReally(
    server: Server,
    place: Place,
    backlog: number | undefined,
    args: Parameters<Listen2>,
  ): void {
    this.#take(server, place);
    const { address, port, isOnlyV6 } = place;
    if (port <= 0 || internalsOf(server)._handle) {
      Reflect.apply(this.#listen2, server, args);
      return;
    }
    let fd = this.#hook.bindShared(address ?? ANY_V6, port, isOnlyV6);
    // As Node: without IPv6, every address means those of IPv4.
    if (address === undefined && (fd === EAFNOSUPPORT || fd === EADDRNOTAVAIL)) {
      fd = this.#hook.bindShared('0.0.0.0', port, false);
    }
    if (fd >= 0) {
      Reflect.apply(this.#listen2, server, [null, null, null, backlog, fd]);
    } else if (fd === EACCES || (fd === EADDRINUSE && port === this.#hook.apachePort)) {
      this.#hook.onDenied(server, place);
      this.#adopt(server, place);
    } else {
      Reflect.apply(this.#listen2, server, args); // Says in Node's words what is wrong.
    }
  }
}

/** Installs the hooks for the life of the process. Servers that are not http's are left alone. */
export function hookListen(hook: ListenHook): void {
  const prototype = NetServer.prototype as unknown as ServerInternals & { listen: Listen };
  const { listen: ownListen, _listen2: ownListen2 } = prototype;
  const listening = new Listening(hook, ownListen2);

  prototype._listen2 = function _listen2(this: NetServer, ...args): void {
    listening.listen(this, args);
  };
  prototype.listen = function listen(this: NetServer, ...args: unknown[]): NetServer {
    const http = !this.listening && isHttpServer(this) ? this : undefined;
    const claimed = http && listening.claim(http, args) ? http : undefined;
    try {
      return Reflect.apply(ownListen, this, args);
    } catch (error) {
      if (claimed) listening.release(claimed);
      throw error;
    }
  };
}
