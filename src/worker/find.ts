/**
 * How the app is found among a script's exports. A listen() that was called
 * already comes first and is not this file's business.
 */
import { createServer, Server, type RequestListener } from 'node:http';
import { Server as NetServer } from 'node:net';
import { TsgiError } from '../errors.ts';
import type { App } from '../http/app.ts';

/** What a script exports. For CommonJS both come from module.exports. */
export interface Exports {
  readonly application: unknown;
  readonly default: unknown;
  /** Names, for messages. */
  readonly names: readonly string[];
}

type Shape = Readonly<Record<PropertyKey, unknown>>;
type Callback = (...args: never[]) => unknown;

function isFunction(value: unknown): value is Callback {
  return typeof value === 'function';
}

function isClass(value: Callback): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}

function asShape(value: unknown): Shape | undefined {
  const isShape = (typeof value === 'object' && value !== null) || isFunction(value);
  return isShape ? (value as Shape) : undefined;
}

/** Of HTTP/2, plain or secure: Node exports no class that could be asked. */
function isHttp2Server(value: unknown): boolean {
  return value instanceof NetServer && isFunction((value as unknown as Shape)['updateSettings']);
}

/**
 * `https.Server` is no subclass of `http.Server`; both keep what node:http set on them. Servers of
 * HTTP/2 emit 'request' as well, where they fall back to HTTP/1.
 */
export function isHttpServer(value: unknown): value is Server {
  if (value instanceof Server) return true;
  const shape = asShape(value);
  if (shape === undefined || !isFunction(shape['listen'])) return false;
  return 'httpAllowHalfOpen' in shape || isHttp2Server(value);
}

/** @throws TsgiError 0622 if only streams of HTTP/2 are handled: there are none below Apache. */
export function checkHandlers(server: Server, script: string): void {
  if (!isHttp2Server(server) || server.listenerCount('request') > 0) return;
  if (server.listenerCount('stream') > 0) throw new TsgiError(622, { script });
}

/** One line about a value, for people. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (isFunction(value)) {
    if (isClass(value)) return `the class ${value.name || '(no name)'}`;
    return `a function of ${String(value.length)} parameter${value.length === 1 ? '' : 's'}`;
  }
  if (typeof value !== 'object') return `a ${typeof value}`;
  if (Array.isArray(value)) return 'an array';
  const keys = Object.keys(value).slice(0, 5);
  return keys.length === 0 ? 'an empty object' : `an object with ${keys.join(', ')}`;
}

/** What the script exports, in a few words. */
export function describeExports(exports: Exports | undefined): string {
  if (!exports || (exports.names.length === 0 && !isFunction(exports.default))) return 'none';
  const named = exports.names.filter((name) => name !== 'default').slice(0, 10);
  const byDefault = exports.default === undefined ? [] : [`default (${describe(exports.default)})`];
  return [...byDefault, ...named].join(', ');
}

/** Makes the exports of a CommonJS module look like those of an ES module. */
export function exportsOfCommonJs(exported: unknown): Exports {
  const shape = asShape(exported);
  const isTranspiled = shape?.['__esModule'] === true;
  const isEmpty = !isFunction(exported) && shape !== undefined && Object.keys(shape).length === 0;
  const isPlain = isEmpty && Object.getPrototypeOf(exported) === Object.prototype;
  return {
    application: shape?.['application'],
    default: isTranspiled ? shape['default'] : isPlain ? undefined : exported,
    names: shape ? Object.keys(shape) : [],
  };
}

export function exportsOfModule(namespace: object): Exports {
  const shape = namespace as Shape;
  return {
    application: shape['application'] ?? asShape(shape['default'])?.['application'],
    default: shape['default'],
    names: Object.keys(shape),
  };
}

function serve(listener: Callback): App {
  // What the app exported takes (req, res); Node calls it exactly as its own listeners.
  return { kind: 'server', server: createServer(listener as unknown as RequestListener) };
}

async function fromFastify(shape: Shape): Promise<App | undefined> {
  if (!isFunction(shape['ready'])) return undefined;
  if (isHttpServer(shape['server'])) {
    await Reflect.apply(shape['ready'], shape, []);
    return { kind: 'server', server: shape['server'] };
  }
  if (!isFunction(shape['routing'])) return undefined;
  await Reflect.apply(shape['ready'], shape, []);
  return serve(shape['routing']);
}

/** Recognises what frameworks export. @returns undefined if it is none of them. */
async function byShape(value: unknown): Promise<App | undefined> {
  if (isHttpServer(value)) return { kind: 'server', server: value };
  const shape = asShape(value);
  if (!shape) return undefined;
  if (isFunction(shape['fetch'])) {
    const { fetch } = shape;
    return {
      kind: 'fetch',
      fetch: (request, environment) =>
        Reflect.apply(fetch, shape, [request, environment]) as Response | Promise<Response>,
    };
  }
  if (isFunction(shape['callback']) && isFunction(shape['use'])) {
    return serve(Reflect.apply(shape['callback'], shape, []) as Callback); // Koa
  }
  const fastify = await fromFastify(shape);
  if (fastify) return fastify;
  if (isFunction(value) && isFunction(shape['handle']) && isFunction(shape['use'])) {
    return serve(value); // Express, connect
  }
  return undefined;
}

/**
 * @returns the app, or undefined if none was recognised: a listen() may still come.
 * @throws TsgiError 0613 if `application` is exported and is nothing that can be called. What a
 * framework's own start throws passes through.
 */
export async function findApp(exports: Exports, script: string): Promise<App | undefined> {
  const { application } = exports;
  if (application !== undefined) {
    const framework = await byShape(application);
    if (framework) return framework;
    if (!isFunction(application) || isClass(application)) {
      const expected = 'a function (environ, startResponse)';
      throw new TsgiError(613, {
        script,
        came: describe(application),
        name: 'application',
        expected,
      });
    }
    // The interface is checked call by call: src/http reports what breaks it.
    const callable = application as unknown as Extract<App, { kind: 'callable' }>['application'];
    return { kind: 'callable', application: callable };
  }
  const framework = await byShape(exports.default);
  if (framework) return framework;
  const value = exports.default;
  const isListener =
    isFunction(value) && !isClass(value) && (value.length === 2 || value.length === 3);
  return isListener ? serve(value) : undefined;
}
