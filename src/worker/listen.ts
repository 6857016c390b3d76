/**
 * The hook on net.Server.prototype.listen: an http server that the app lets listen is served by
 * Apache instead. Nothing is bound; to the app all looks as if it were.
 */
import { isIP, Server as NetServer } from 'node:net';
import type { Server } from 'node:http';
import { isHttpServer } from './find.ts';

/** Members of net.Server that Node's own code works with (lib/net.js). */
interface ServerInternals {
  _handle: object | null;
  _pipeName?: string;
  _connections: number;
  _emitCloseIfDrained(): void;
}

interface ListenOptions {
  readonly port?: number | string;
  readonly path?: string;
  readonly host?: string;
  readonly fd?: number;
  readonly signal?: AbortSignal;
}

type Listen = (...args: unknown[]) => NetServer;

/** What becomes of an http server that is about to listen. */
export type Decision = 'adopt' | 'real';

export interface ListenHook {
  /** Called before anything happens. */
  decide(server: Server, where: string): Decision;
  onAdopted(server: Server): void;
  /**
   * The app closes an adopted server. Its 'close' comes when `finish` is called, which is to be
   * when nothing is in hand any more.
   */
  onClose(server: Server, finish: () => void): void;
  /** Port that address() tells where the app asked for any. */
  readonly anyPort: number;
}

/** The arguments of listen() in all their forms, as net.Server takes them. */
export function parseListenArguments(args: readonly unknown[]): {
  options: ListenOptions;
  callback: ((...args: unknown[]) => void) | undefined;
} {
  const [first, second] = args;
  const last = args.at(-1);
  const callback = typeof last === 'function' ? (last as (...args: unknown[]) => void) : undefined;
  if (typeof first === 'object' && first !== null) return { options: first, callback };
  const isPath = typeof first === 'string' && !/^\s*\d+\s*$/.test(first);
  if (isPath) return { options: { path: first }, callback };
  const port = typeof first === 'number' || typeof first === 'string' ? first : 0;
  const host = typeof second === 'string' ? { host: second } : {};
  return { options: { port, ...host }, callback };
}

/** @returns false where Node's own listen() would throw, and shall. */
function isAcceptable({ port, path, fd }: ListenOptions): boolean {
  if (path !== undefined || fd !== undefined) return true;
  const number = Number(port ?? 0);
  return Number.isInteger(number) && number >= 0 && number <= 65_535;
}

/** Where the app wanted to listen, for messages. */
function describeWhere({ port, path, host, fd }: ListenOptions): string {
  if (path !== undefined) return path;
  if (fd !== undefined) return `fd ${String(fd)}`;
  return `${host ?? '*'}:${String(port ?? 0)}`;
}

/**
 * Stands in for the handle of a listening socket, so that Node's own close(), address(), ref(),
 * unref() and `listening` work without a change.
 */
class AdoptedHandle {
  readonly #address: object | undefined;
  readonly #onClose: () => void;

  constructor(address: object | undefined, onClose: () => void) {
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

function addressOf({ port, host }: ListenOptions, anyPort: number): object {
  const asked = Number(port ?? 0);
  const shown = { port: asked === 0 ? anyPort : asked };
  if (host === undefined || host === '' || host === '::') {
    return { address: '::', family: 'IPv6', ...shown };
  }
  const family = isIP(host);
  if (family === 6) return { address: host, family: 'IPv6', ...shown };
  return { address: family === 4 ? host : '127.0.0.1', family: 'IPv4', ...shown };
}

function adopt(server: Server, args: readonly unknown[], hook: ListenHook): void {
  const { options, callback } = parseListenArguments(args);
  const internals = server as unknown as ServerInternals;
  if (callback) server.once('listening', callback);
  const { path } = options;
  if (path !== undefined) internals._pipeName = path;
  const address = path === undefined ? addressOf(options, hook.anyPort) : undefined;
  const handle = new AdoptedHandle(address, () => {
    // Counted as a connection until all is done, so that Node waits with 'close'.
    internals._connections++;
    hook.onClose(server, () => {
      internals._connections--;
      internals._emitCloseIfDrained();
    });
  });
  // address() of a path takes the name only from a handle that has no getsockname.
  if (path !== undefined) Object.defineProperty(handle, 'getsockname', { value: undefined });
  internals._handle = handle;
  const { signal } = options;
  signal?.addEventListener('abort', () => server.close(), { once: true });
  if (signal?.aborted === true) process.nextTick(() => server.close());
  hook.onAdopted(server);
  process.nextTick(() => {
    if (internals._handle === handle) server.emit('listening');
  });
}

/** Installs the hook for the life of the process. Servers that are not http's are left alone. */
export function hookListen(hook: ListenHook): void {
  const prototype = NetServer.prototype as unknown as { listen: Listen };
  const original = prototype.listen;
  prototype.listen = function listen(this: NetServer, ...args: unknown[]): NetServer {
    if (!this.listening && isHttpServer(this)) {
      const { options } = parseListenArguments(args);
      if (isAcceptable(options) && hook.decide(this, describeWhere(options)) === 'adopt') {
        adopt(this, args, hook);
        return this;
      }
    }
    return Reflect.apply<NetServer, unknown[], NetServer>(original, this, args);
  };
}
