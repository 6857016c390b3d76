/**
 * Bodies of Responses that are known when the Response is made: text and bytes. Node makes a stream for each,
 * which costs more than the rest of a short answer (npm run bench -- worker); here it is made when somebody
 * looks at the body. In a worker that serves a fetch handler such a Response is Node's own, made without a
 * body, with the body in a private field; what concerns the body is asked of a second Response that has it.
 *
 * Class and prototype stay Node's own, so that `instanceof`, subclasses, statics and the Responses of fetch()
 * are what they were; only `globalThis.Response` becomes a Proxy, which sees what a Response is made of.
 */
import { replaceGlobal } from './globals.ts';

export type KnownBody = string | Uint8Array;

type ResponseClass = typeof globalThis.Response;
type Method = (this: unknown, ...args: unknown[]) => unknown;

/** Members of a Response that say nothing of its body, or ask others for it. */
const BODILESS: ReadonlySet<PropertyKey> = new Set<PropertyKey>([
  ...['constructor', 'headers', 'ok', 'redirected', 'status', 'statusText', 'type', 'url'],
  Symbol.for('nodejs.util.inspect.custom'),
  Symbol.toStringTag,
]);
/** By members of these names of its own one knows a class that is made as Node's is. */
const EXPECTED = [
  ...['body', 'bodyUsed', 'clone'],
  ...['arrayBuffer', 'blob', 'formData', 'json', 'text'],
];

/** Statuses with which a body is an error. */
const NULL_BODY: ReadonlySet<number> = new Set([204, 205, 304]);
const TEXT_TYPE = 'text/plain;charset=UTF-8';
const JSON_TYPE = 'application/json';

/** Node's own class, and members as they were before anybody could override them. */
interface Native {
  readonly Response: ResponseClass;
  readonly status: (response: Response) => number;
  readonly headers: (response: Response) => Headers;
}

/** Its constructor gives back what it gets: by it a subclass puts private fields on any object. */
// eslint-disable-next-line @typescript-eslint/no-extraneous-class -- the constructor is all there is to it
class Given {
  constructor(object: object) {
    return object;
  }
}

/** What a Response with a known body bears. */
class Known extends Given {
  /** Until somebody looks at the body, or it is sent. */
  #body: KnownBody | undefined;
  /** Has the body since then. */
  #full: Response | undefined;

  constructor(response: object, body: KnownBody | undefined, full?: Response) {
    super(response);
    this.#body = body;
    this.#full = full;
  }

  static bears(value: unknown): value is Known & Response {
    return typeof value === 'object' && value !== null && #body in value;
  }

  /** @returns undefined if somebody has looked at it. It counts as read from now on. */
  static take(response: Known): KnownBody | undefined {
    const body = response.#body;
    response.#body = undefined;
    return body;
  }

  static isUnseen(response: Known): boolean {
    return response.#body !== undefined;
  }

  /** The Response that has the body. */
  static full(response: Known & Response, { Response, headers }: Native): Response {
    if (response.#full === undefined) {
      response.#full = new Response(response.#body ?? '');
      // It was sent, by a reader that kept it locked, as if by streaming.
      if (response.#body === undefined) void response.#full.body?.getReader().cancel();
      response.#body = undefined;
    }
    // blob() and formData() go by it.
    const type = headers(response).get('content-type');
    if (type === null) headers(response.#full).delete('content-type');
    else headers(response.#full).set('content-type', type);
    return response.#full;
  }

  /** Makes `copy`, a clone without a body, whole. @throws TypeError if the body has been read. */
  static clone(response: Known & Response, copy: object, native: Native, clone: Method): void {
    const body = response.#body;
    if (body !== undefined) new Known(copy, body);
    else new Known(copy, undefined, clone.call(Known.full(response, native)) as Response);
  }
}

/** @returns undefined for bodies that Node shall look at. Bytes are copied, as Node does it. */
function knownBody(body: unknown): KnownBody | undefined {
  if (typeof body === 'string') return body;
  if (!(body instanceof Uint8Array) || !(body.buffer instanceof ArrayBuffer)) return undefined;
  // Also of no length are those of a detached buffer, which Node refuses.
  return body.byteLength === 0 ? undefined : Buffer.from(body);
}

/** @returns undefined where Node refuses a body. @throws what Node's constructor throws. */
function make(
  native: Native,
  newTarget: NewableFunction,
  body: KnownBody,
  type: string | undefined,
  init: unknown,
): Response | undefined {
  const { Response, status, headers } = native;
  const response =
    newTarget === Response
      ? new Response(null, init as ResponseInit)
      : (Reflect.construct(Response, [null, init], newTarget) as Response);
  if (NULL_BODY.has(status(response))) return undefined;
  if (type !== undefined) {
    const list = headers(response);
    if (!list.has('content-type')) list.append('content-type', type);
  }
  new Known(response, body);
  return response;
}

/** Own members, but the one that classes never let go of. */
function isChangeable(object: object): boolean {
  return Object.entries(Object.getOwnPropertyDescriptors(object)).every(
    ([name, { configurable }]) => configurable === true || name === 'prototype',
  );
}

/** @returns undefined for a class that is not made as Node's is: an app has brought its own, or has frozen it. */
function nativeOf(Response: ResponseClass): Native | undefined {
  const prototype: object = Response.prototype;
  const getter = (name: string): Method | undefined =>
    (Object.getOwnPropertyDescriptor(prototype, name) as { get?: Method } | undefined)?.get;
  const [status, headers] = [getter('status'), getter('headers')];
  const isAsNode =
    Object.getPrototypeOf(prototype) === Object.prototype &&
    EXPECTED.every((name) => Object.hasOwn(prototype, name));
  if (!isAsNode || !status || !headers) return undefined;
  if (!isChangeable(prototype) || !isChangeable(Response)) return undefined;
  return {
    Response,
    status: (response) => status.call(response) as number,
    headers: (response) => headers.call(response) as Headers,
  };
}

/** What concerns a body is asked of the Response that has it. Proxies keep a function's name and length. */
function redirected(native: Native, name: PropertyKey, method: Method): Method {
  return new Proxy(method, {
    apply(target, self: unknown, args) {
      if (!Known.bears(self)) return Reflect.apply(target, self, args);
      if (name === 'bodyUsed' && Known.isUnseen(self)) return false;
      if (name !== 'clone') return Reflect.apply(target, Known.full(self, native), args);
      const copy = target.call(self) as Response;
      Known.clone(self, copy, native, target);
      return copy;
    },
  });
}

function redirectBodies(native: Native): void {
  const prototype: object = native.Response.prototype;
  for (const name of Reflect.ownKeys(prototype)) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
    if (descriptor === undefined || BODILESS.has(name)) continue;
    const { get, value } = descriptor as { get?: Method; value?: unknown };
    if (get !== undefined) descriptor.get = redirected(native, name, get);
    else if (typeof value === 'function') {
      descriptor.value = redirected(native, name, value as Method);
    }
    Object.defineProperty(prototype, name, descriptor);
  }
}

function replaceClass(native: Native): void {
  const { Response } = native;
  const proxy: ResponseClass = new Proxy(Response, {
    construct(target, args: [unknown?, unknown?], newTarget) {
      const body = knownBody(args[0]);
      const type = typeof body === 'string' ? TEXT_TYPE : undefined;
      const own = newTarget === proxy ? target : newTarget;
      const made = body === undefined ? undefined : make(native, own, body, type, args[1]);
      return made ?? (Reflect.construct(target, args, own) as Response);
    },
  });
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with whatever it was called with
  const json = new Proxy(Response.json, {
    apply(target, self, args: [unknown, (ResponseInit | null)?]) {
      const [data, init] = args;
      // Some versions of Node do not take null.
      const text = init === null ? undefined : (JSON.stringify(data) as string | undefined);
      const made = text === undefined ? undefined : make(native, Response, text, JSON_TYPE, init);
      return made ?? (Reflect.apply(target, self, args) as Response);
    },
  });
  Object.defineProperty(Response, 'json', { value: json });
  Object.defineProperty(Response.prototype, 'constructor', { value: proxy });
  replaceGlobal('Response', proxy);
}

/** Node's own, once its bodies are known. */
let plain: object | undefined;

/** For a worker that serves a fetch handler. A Response that the app has brought along is left as it is. */
export function installKnownBodies(): void {
  const native = plain === undefined ? nativeOf(globalThis.Response) : undefined;
  if (native === undefined) return;
  plain = native.Response.prototype;
  redirectBodies(native);
  replaceClass(native);
}

/**
 * The whole body of a Response, without reading a stream; it counts as read from now on. null: it has none.
 * @returns undefined if that cannot be told: somebody has looked at it, or it is a stream, or a subclass' own.
 */
export function takeKnownBody(response: Response): KnownBody | null | undefined {
  if (plain === undefined || Object.getPrototypeOf(response) !== plain) return undefined;
  if (Known.bears(response)) return Known.take(response);
  return response.body === null ? null : undefined;
}
