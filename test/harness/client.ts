/** HTTP clients for tests: one that speaks HTTP/1.1 properly, one that sends what it is told. */
import { request as httpRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';

export interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: string[];
  readonly trailers: NodeJS.Dict<string>;
  readonly body: string;
  /** The body came whole: not cut off. */
  readonly complete: boolean;
}

export interface Ask extends RequestOptions {
  readonly body?: string | Uint8Array | AsyncIterable<string | Uint8Array>;
}

/** One request on a connection of its own. Rejects only if no head arrives. */
export async function ask(
  port: number,
  path: string,
  { body, ...options }: Ask = {},
): Promise<Answer> {
  const req = httpRequest({ host: '127.0.0.1', port, path, agent: false, ...options });
  const answered = new Promise<Answer>((resolve, reject) => {
    req.on('error', reject);
    req.on('response', (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('error', () => undefined); // a cut-off body shows in `complete`
      res.on('close', () => {
        resolve({
          status: res.statusCode ?? 0,
          reason: res.statusMessage ?? '',
          headers: res.headers,
          rawHeaders: res.rawHeaders,
          trailers: res.trailers,
          body: Buffer.concat(chunks).toString('utf8'),
          complete: res.complete,
        });
      });
    });
  });
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) req.end(body);
  else {
    for await (const chunk of body) {
      // Answered and closed meanwhile: neither 'drain' nor another 'close' would come.
      if (req.destroyed) break;
      if (!req.write(chunk)) {
        const waiting = new AbortController(); // Takes the listeners away that are left over.
        const { signal } = waiting;
        await Promise.race([once(req, 'drain', { signal }), once(req, 'close', { signal })]);
        waiting.abort();
      }
    }
    req.end();
  }
  return answered;
}

/** A raw connection; `received` grows as bytes arrive. */
export interface RawConnection {
  readonly socket: Socket;
  received(): string;
  /** Resolves when the peer has closed. */
  readonly closed: Promise<void>;
}

/** Connects and sends the bytes as they are. */
export async function raw(port: number, bytes: string | Uint8Array): Promise<RawConnection> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  await once(socket, 'connect');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined); // a reset shows as closed
  const closed = new Promise<void>((resolve) => {
    socket.on('end', resolve);
    socket.on('close', () => {
      resolve();
    });
  });
  if (bytes.length > 0) socket.write(bytes);
  return { socket, received: () => Buffer.concat(chunks).toString('latin1'), closed };
}
