/** Large bodies up and down, by HTTP/1.1, the same over TLS, and HTTP/2; hashed, never kept. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as http2Connect } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export type Transport = 'http' | 'tls' | 'h2c' | 'h2';

const BLOCK = 64 * 1024;

/** What test/apps/bulk.cjs sends, and what is sent to it. */
export function* blocks(bytes: number): Generator<Buffer> {
  for (let i = 0; i * BLOCK < bytes; i++) {
    yield Buffer.alloc(Math.min(BLOCK, bytes - i * BLOCK), `block ${String(i)}\n`);
  }
}

/** `<bytes> <SHA-256>` of what comes. */
export async function sum(pieces: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of pieces) {
    hash.update(piece);
    bytes += piece.length;
  }
  return `${String(bytes)} ${hash.digest('hex')}`;
}

export interface Route {
  readonly transport: Transport;
  readonly port: number;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function overHttp2(
  { transport, port, path, headers }: Route,
  body: Iterable<Buffer> | undefined,
): Promise<AsyncIterable<Buffer>> {
  const origin = `${transport === 'h2' ? 'https' : 'http'}://127.0.0.1:${String(port)}`;
  const session = http2Connect(origin, {
    rejectUnauthorized: false,
    settings: { initialWindowSize: 1024 * 1024 },
  });
  session.on('connect', () => {
    session.setLocalWindowSize(1024 * 1024);
  });
  const stream = session.request({ ...headers, ':path': path, ':method': body ? 'POST' : 'GET' });
  stream.on('close', () => {
    session.close();
  });
  const answered = once(stream, 'response');
  if (body === undefined) stream.end();
  else await pipeline(Readable.from(body, { objectMode: false, highWaterMark: BLOCK }), stream);
  await answered;
  return stream as AsyncIterable<Buffer>;
}

async function overHttp1(
  { transport, port, path, headers = {} }: Route,
  body: Iterable<Buffer> | undefined,
): Promise<AsyncIterable<Buffer>> {
  const method = body ? 'POST' : 'GET';
  const where = { host: '127.0.0.1', port, path, method, agent: false as const, headers };
  const req =
    transport === 'tls'
      ? httpsRequest({ ...where, rejectUnauthorized: false })
      : httpRequest(where);
  const answered = once(req, 'response') as Promise<[IncomingMessage]>;
  if (body === undefined) req.end();
  else await pipeline(Readable.from(body, { objectMode: false, highWaterMark: BLOCK }), req);
  const [res] = await answered;
  return res as AsyncIterable<Buffer>;
}

function exchange(route: Route, body?: Iterable<Buffer>): Promise<AsyncIterable<Buffer>> {
  return route.transport === 'http' || route.transport === 'tls'
    ? overHttp1(route, body)
    : overHttp2(route, body);
}

/** `<bytes> <SHA-256>` of what the app sent. */
export async function download(route: Route): Promise<string> {
  return sum(await exchange(route));
}

/** What the app says that it got of so many bytes: `<bytes> <SHA-256>`. */
export async function upload(route: Route, bytes: number): Promise<string> {
  let text = '';
  for await (const chunk of await exchange(route, blocks(bytes))) text += chunk.toString();
  return text;
}
