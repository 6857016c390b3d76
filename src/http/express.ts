/**
 * Requests and responses that have an Express app's prototypes from the start.
 *
 * Express gives each `req` and `res` prototypes of its own, `app.request` and `app.response`. The V8 of Node 20 and
 * 22 remembers no transitions of an object whose prototype was changed when it already had properties: each property
 * that comes later makes one more hidden class, ten for each request, and all code that touches such objects stays
 * slow. That is more than half of Express's time (docs/performance.md); later ones lose little by it. What was made
 * with that prototype is not changed by setting it.
 *
 * Only where nobody but Express can see it: its app is the one listener of a server with Node's own classes.
 */
import type { Server } from 'node:http';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { RequestClass, ResponseClass, ServerPlan } from './internals.ts';
import { planOf } from './internals.ts';

/** What express() returns, versions 3 to 5, as far as it matters here. */
interface ExpressApp {
  readonly handle?: unknown;
  readonly request?: unknown;
  readonly response?: unknown;
}

interface ListeningServer extends Server {
  readonly _events: { readonly request?: ExpressApp | readonly unknown[] };
}

/** The plan for a pair of prototypes; the server's own one if they are not to be had from the start. */
interface Prepared {
  readonly request: unknown;
  readonly response: unknown;
  readonly plan: ServerPlan;
}

// eslint-disable-next-line @typescript-eslint/unbound-method -- called with what it is asked about
const { isPrototypeOf } = Object.prototype;
const prepared = new WeakMap<Server, Prepared>();

/**
 * @param sample an object that Node has made
 * @returns whether Node would make the same of one that has `value` for a prototype: that is below Node's own one,
 * and nothing on the way takes for itself what is assigned to a property of the sample.
 */
function isFit(sample: object, value: unknown): value is object {
  const own = Object.getPrototypeOf(sample) as object;
  if (typeof value !== 'object' || value === null || !isPrototypeOf.call(own, value)) return false;
  const names = Reflect.ownKeys(sample);
  let prototype = value;
  while (prototype !== own) {
    const owner = prototype;
    const isTaken = names.some((name) => {
      const property = Object.getOwnPropertyDescriptor(owner, name);
      return property !== undefined && property.writable !== true;
    });
    if (isTaken) return false;
    prototype = Object.getPrototypeOf(prototype) as object;
  }
  return true;
}

/** Functions and not classes, since a class cannot be given a prototype; Node's are functions too. */
function withPrototypes(plan: ServerPlan, request: object, response: object): ServerPlan {
  function Request(this: unknown, ...args: ConstructorParameters<RequestClass>): void {
    Reflect.apply(IncomingMessage, this, args);
  }
  function Response(this: unknown, ...args: ConstructorParameters<ResponseClass>): void {
    Reflect.apply(ServerResponse, this, args);
  }
  Request.prototype = request;
  Response.prototype = response;
  return {
    ...plan,
    Request: Request as unknown as RequestClass,
    Response: Response as unknown as ResponseClass,
  };
}

function prepare(server: Server, { request, response }: ExpressApp): Prepared {
  const own = planOf(server);
  const isNodes =
    (own.Request as unknown) === IncomingMessage && (own.Response as unknown) === ServerResponse;
  const sample = new IncomingMessage(new Socket());
  const isReady = isNodes && isFit(sample, request) && isFit(new ServerResponse(sample), response);
  const plan = isReady ? withPrototypes(own, request, response) : own;
  return { request, response, plan };
}

/** @returns what the `req` and `res` of a 'request' event are made by. */
export function planOfRequest(server: Server): ServerPlan {
  const listener = (server as ListeningServer)._events.request;
  if (typeof listener !== 'function') return planOf(server);
  const app: ExpressApp = listener;
  const isExpress = app.request !== undefined && typeof app.handle === 'function';
  if (!isExpress || Object.hasOwn(server, 'emit')) return planOf(server);
  let known = prepared.get(server);
  if (known?.request !== app.request || known.response !== app.response) {
    known = prepare(server, app);
    prepared.set(server, known);
  }
  return known.plan;
}
