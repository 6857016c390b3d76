/**
 * Globals in a worker that serves a fetch handler. Its Requests are srvx's, which become Node's own only
 * when that is needed: `new Request(request)` and `fetch(request)` look inside, and need it.
 */

/** What srvx makes Node's own Request of. */
interface LazyRequest {
  readonly _request: Request;
}

/** As Node defines it, so that others may replace it in turn; one that the app has frozen stays. */
export function replaceGlobal(name: 'Request' | 'Response' | 'fetch', value: unknown): void {
  const { enumerable } = Object.getOwnPropertyDescriptor(globalThis, name) ?? { enumerable: false };
  Reflect.defineProperty(globalThis, name, {
    value,
    configurable: true,
    writable: true,
    enumerable: enumerable ?? false,
  });
}

let isInstalled = false;

/** @param prototype of the Requests that handlers get. */
export function installRequests(prototype: object): void {
  if (isInstalled) return;
  isInstalled = true;
  const { Request, fetch } = globalThis;
  const isLazy = (input: unknown): input is LazyRequest =>
    typeof input === 'object' && input !== null && Object.getPrototypeOf(input) === prototype;

  const proxy: typeof Request = new Proxy(Request, {
    construct(target, args: unknown[], newTarget) {
      if (isLazy(args[0])) args[0] = args[0]._request;
      return Reflect.construct(target, args, newTarget === proxy ? target : newTarget) as Request;
    },
  });
  Reflect.defineProperty(Request.prototype, 'constructor', { value: proxy });
  replaceGlobal('Request', proxy);

  replaceGlobal(
    'fetch',
    new Proxy(fetch, {
      apply(target, self: unknown, args: Parameters<typeof fetch>) {
        // Inside of a promise: fetch() never throws.
        const [input, init] = args;
        if (!isLazy(input)) return Reflect.apply(target, self, args);
        return Promise.resolve(input).then(({ _request }) => target.call(self, _request, init));
      },
    }),
  );
}
