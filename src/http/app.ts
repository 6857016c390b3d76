/**
 * What the loader finds in an entry and the host calls: the boundary between src/worker (finds it)
 * and src/http (serves it).
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Application } from '../types.ts';

export type App =
  /** An http.Server or https.Server: the app's own, or a hidden one behind an exported function. */
  | { readonly kind: 'server'; readonly server: Server }
  /** A TSGI callable, `exports.application`. */
  | { readonly kind: 'callable'; readonly application: Application }
  /** A WHATWG fetch handler, `export default { fetch }`. */
  | { readonly kind: 'fetch'; readonly fetch: FetchHandler };

/** As the node servers of Hono and others pass it beside the request: what getConnInfo() reads. */
export interface FetchEnvironment {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

export type FetchHandler = (
  request: Request,
  environment: FetchEnvironment,
) => Response | Promise<Response>;

/** Finds the app of a script. A script that may not run or cannot be loaded rejects with a TsgiError. */
export type Resolve = (script: string) => App | Promise<App>;

export interface HostOptions {
  readonly fd: number;
  readonly generation: Uint8Array;
  readonly secret: Uint8Array;
  readonly concurrency: number;
  readonly peerUid: number;
  readonly processGroup: string;
  readonly applicationGroup: string;
  /** More than one worker serves the application group. */
  readonly multiprocess: boolean;
  readonly resolve: Resolve;
  /** Most connections that apps have taken over at once; 0: as many as the process can bear. */
  readonly maxUpgrades: number;
  /** How long no byte may move on one of them; 0: for ever. */
  readonly upgradeIdleTimeoutMs: number;
  /** A line for the error log that belongs to no request. Level as in syslog(3). */
  log(level: number, text: string): void;
}
