/** How a check reaches the app: as a browser would, by HTTP/1.1, the same over TLS, or HTTP/2. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { connect } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import type { Served } from './framework.ts';

/** Builds of frameworks share the machine with what else runs on it. */
export const PATIENCE_MS = 30_000;

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** A response whose head is there. */
export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
  /** The body has come, and was not cut off. */
  readonly isWhole: () => boolean;
  readonly close: () => void;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

async function overHttp2({ origin, ca }: Served, path: string, options: Ask): Promise<Reply> {
  const { method = 'GET', headers = {}, body } = options;
  const { Host: authority, ...others } = headers;
  const host = authority === undefined ? {} : { ':authority': authority };
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  const session = connect(origin, { ca });
  session.on('error', () => undefined); // the stream has it as well
  const stream = session.request({
    ...others,
    ...host,
    ...length,
    ':method': method,
    ':path': path,
  });
  stream.on('close', () => {
    session.close();
  });
  const responded = once(stream, 'response') as Promise<[Record<string, string> & object]>;
  stream.end(body);
  const [{ ':status': status, ...rest }] = await responded;
  let isEnded = false;
  stream.on('end', () => (isEnded = true));
  return {
    status: Number(status),
    headers: rest,
    body: stream,
    isWhole: () => isEnded && stream.rstCode === 0,
    close: () => {
      session.destroy();
    },
  };
}

async function overHttp1({ origin, ca }: Served, path: string, options: Ask): Promise<Reply> {
  const { body, ...rest } = options;
  const { protocol, hostname: host, port } = new URL(origin);
  const request = protocol === 'https:' ? httpsRequest : httpRequest;
  // The certificate is that of the address, whatever `Host` says.
  const req = request({ host, port, path, agent: false, ca, servername: '', ...rest });
  const responded = once(req, 'response') as Promise<[IncomingMessage]>;
  req.end(body);
  const [res] = await responded;
  return {
    status: res.statusCode ?? 0,
    headers: res.headers,
    body: res,
    isWhole: () => res.complete,
    close: () => {
      req.destroy();
    },
  };
}

/** Asks for a path of the site, the app's base path included; resolves with the head. */
export function begin(served: Served, path: string, options: Ask = {}): Promise<Reply> {
  return served.way === 'h2' ? overHttp2(served, path, options) : overHttp1(served, path, options);
}

/** @throws Error for a response that is cut off. */
export async function ask(served: Served, path: string, options: Ask = {}): Promise<Answer> {
  const { status, headers, body, isWhole, close } = await begin(served, path, options);
  const patience = setTimeout(close, PATIENCE_MS);
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk);
  } finally {
    clearTimeout(patience);
  }
  if (!isWhole()) throw new Error(`the answer to ${path} was cut off`);
  return { status, headers, body: Buffer.concat(chunks).toString('utf8') };
}
