/** `req.tsgi`: what Apache knows about a request, for (req, res) apps. */
import { IncomingMessage } from 'node:http';
import { inspect } from 'node:util';
import type { Mode, TsgiRequestFacts } from '../types.ts';
import type { Exchange } from './exchange.ts';
import {
  S_AUTH_TYPE,
  S_DOCUMENT_ROOT,
  S_PATH_INFO,
  S_PROTOCOL,
  S_REMOTE_USER,
  S_REQUEST_ID,
  S_SCRIPT,
  S_SCRIPT_NAME,
  S_SERVER_NAME,
  S_URI,
} from './head.ts';
import type { HostedRequest } from './incoming.ts';
import { kExchange } from './response.ts';

const kFacts = Symbol('tsgi.facts');

/** Reads everything when it is asked for. */
class RequestFacts implements TsgiRequestFacts {
  readonly mode: Mode = 'daemon';
  readonly #exchange: Exchange;
  #env: Record<string, string> | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  get processGroup(): string {
    return this.#exchange.host.options.processGroup;
  }

  get applicationGroup(): string {
    return this.#exchange.host.options.applicationGroup;
  }

  get requestId(): string {
    return this.#exchange.head.string(S_REQUEST_ID);
  }

  get scriptName(): string {
    return this.#exchange.head.text(S_SCRIPT_NAME);
  }

  get pathInfo(): string {
    return this.#exchange.head.text(S_PATH_INFO);
  }

  get scriptFilename(): string {
    return this.#exchange.head.text(S_SCRIPT);
  }

  get uri(): string {
    return this.#exchange.head.string(S_URI);
  }

  get protocol(): string {
    return this.#exchange.head.string(S_PROTOCOL);
  }

  get scheme(): 'http' | 'https' {
    return this.#exchange.head.scheme;
  }

  get serverName(): string {
    return this.#exchange.head.string(S_SERVER_NAME);
  }

  get serverPort(): number {
    return this.#exchange.head.serverPort;
  }

  get documentRoot(): string {
    return this.#exchange.head.text(S_DOCUMENT_ROOT);
  }

  get remoteUser(): string {
    return this.#exchange.head.text(S_REMOTE_USER);
  }

  get authType(): string {
    return this.#exchange.head.string(S_AUTH_TYPE);
  }

  get timeoutMs(): number {
    return this.#exchange.head.timeoutMs;
  }

  get env(): Record<string, string> {
    if (this.#env !== undefined) return this.#env;
    const { head } = this.#exchange;
    const env: Record<string, string> = Object.create(null) as Record<string, string>;
    for (let i = 0; i < head.variableCount; i++) env[head.variableName(i)] = head.variableValue(i);
    return (this.#env = env);
  }

  get signal(): AbortSignal {
    return this.#exchange.signal;
  }

  log(level: number, text: string): void {
    this.#exchange.log(level, text);
  }

  /** What JSON.stringify and console.log show: all but the functions and the signal. */
  toJSON(): Record<string, unknown> {
    const shown: Record<string, unknown> = {};
    for (const name of Object.getOwnPropertyNames(RequestFacts.prototype)) {
      const value: unknown = name === 'signal' ? undefined : Reflect.get(this, name);
      if (value !== undefined && typeof value !== 'function') shown[name] = value;
    }
    return { mode: this.mode, ...shown, env: { ...this.env } };
  }

  [inspect.custom](): Record<string, unknown> {
    return this.toJSON();
  }
}

interface RequestWithFacts extends HostedRequest {
  [kFacts]?: TsgiRequestFacts | undefined;
}

/**
 * Defines `tsgi` on IncomingMessage.prototype: an own property would be lost to nobody, but this one
 * costs a request nothing until it is read. It is undefined where Apache does not serve the request.
 */
export function installFacts(): void {
  if ('tsgi' in IncomingMessage.prototype) return;
  Object.defineProperty(IncomingMessage.prototype, 'tsgi', {
    get(this: RequestWithFacts): TsgiRequestFacts | undefined {
      const exchange = this[kExchange];
      if (exchange === undefined) return undefined;
      return (this[kFacts] ??= new RequestFacts(exchange));
    },
    configurable: true,
    enumerable: false,
  });
}
