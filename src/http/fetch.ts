/**
 * Serves `export default { fetch }`: srvx makes a Request of (req, res) and sends the Response. The
 * package is loaded when the first such app is served.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { ErrorDetails, ErrorNumber } from '../errors.ts';
import { TsgiError } from '../errors.ts';
import type { FetchHandler } from './app.ts';
import type { KnownBody } from './bodies.ts';
import { installKnownBodies, takeKnownBody } from './bodies.ts';
import { reasonOf } from './exchange.ts';
import { installRequests } from './globals.ts';
import { exchangeOf } from './incoming.ts';
import { describe } from './start.ts';

/** The part of srvx that is used here. */
interface Srvx {
  NodeRequest: {
    new (context: { req: IncomingMessage; res: ServerResponse }): Request;
    readonly prototype: Request;
  };
  sendNodeResponse(res: ServerResponse, response: Response): Promise<void>;
}

/** Statuses of answers that have no length either. */
const BODILESS: ReadonlySet<number> = new Set([204, 304]);

const servers = new WeakMap<FetchHandler, Server | Promise<Server>>();

/**
 * @returns the hidden server behind a handler; at first a promise of it.
 * @throws TsgiError TSGI0711, as a rejection, if srvx is not installed.
 */
export function serverOfFetch(handler: FetchHandler): Server | Promise<Server> {
  const known = servers.get(handler);
  if (known !== undefined) return known;
  const server = makeServer(handler);
  servers.set(handler, server);
  server.then(
    (made) => servers.set(handler, made),
    // Somebody may install it: the next request tries again.
    () => servers.delete(handler),
  );
  return server;
}

async function makeServer(handler: FetchHandler): Promise<Server> {
  let srvx: Srvx;
  try {
    srvx = await import('srvx/node');
  } catch (error) {
    throw new TsgiError(711, { reason: reasonOf(error) }, { cause: error });
  }
  installRequests(srvx.NodeRequest.prototype);
  installKnownBodies();
  return createServer((req, res) => {
    serve(srvx, handler, req, res);
  });
}

function serve(srvx: Srvx, handler: FetchHandler, req: IncomingMessage, res: ServerResponse): void {
  let result: Response | Promise<Response>;
  try {
    result = handler(new srvx.NodeRequest({ req, res }), { incoming: req, outgoing: res });
  } catch (error) {
    fail(req, 709, { reason: reasonOf(error) }, error);
    return;
  }
  if (result instanceof Promise) {
    result.then(
      (response) => {
        send(srvx, req, res, response);
      },
      (error: unknown) => {
        fail(req, 709, { reason: reasonOf(error) }, error);
      },
    );
  } else {
    send(srvx, req, res, result);
  }
}

/** A Response, also of another realm or of srvx's own faster kind. */
function isResponse(value: unknown): value is Response {
  return (
    typeof value === 'object' &&
    value !== null &&
    'status' in value &&
    typeof value.status === 'number' &&
    'headers' in value
  );
}

function send(srvx: Srvx, req: IncomingMessage, res: ServerResponse, response: unknown): void {
  if (!isResponse(response)) {
    fail(req, 710, { came: describe(response) });
    return;
  }
  try {
    const body = takeKnownBody(response);
    if (body !== undefined) {
      sendWhole(req, res, response, body);
      return;
    }
  } catch (error) {
    fail(req, 709, { reason: reasonOf(error) }, error);
    return;
  }
  srvx.sendNodeResponse(res, response).catch((error: unknown) => {
    fail(req, 709, { reason: reasonOf(error) }, error);
  });
}

/** Sends what would come out of the stream in one piece, and with its length. */
function sendWhole(
  req: IncomingMessage,
  res: ServerResponse,
  response: Response,
  body: KnownBody | null,
): void {
  // The app may have answered by hand.
  if (res.writableEnded) return;
  // Bytes, since Node would write the head in UTF-8 together with text.
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  if (!res.headersSent) {
    const { status, statusText, headers } = response;
    const list: string[] = [];
    let isLengthTold = bytes === null && (req.method === 'HEAD' || BODILESS.has(status));
    for (const [name, value] of headers) {
      list.push(name, value);
      // Node takes a Trailer with chunks only.
      isLengthTold ||= name === 'content-length' || name === 'trailer';
    }
    if (!isLengthTold) list.push('content-length', String(bytes?.length ?? 0));
    res.writeHead(status, statusText, list);
  }
  if (bytes === null) res.end();
  else res.end(bytes);
}

/** As for a callable: 500 by the host, or a truncation if the head has left. */
function fail(
  req: IncomingMessage,
  number: ErrorNumber,
  details: ErrorDetails,
  error?: unknown,
): void {
  exchangeOf(req)?.fail(number, details, error);
  req.socket.destroy();
}
