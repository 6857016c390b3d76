/** Clients that ask for another protocol: byte by byte, over plain TCP or TLS. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { waitFor } from './wait.ts';

export interface UpgradeOptions {
  readonly path: string;
  /** CONNECT: the path is a host. */
  readonly method?: 'GET' | 'CONNECT';
  /** Accepts this certificate and speaks TLS. */
  readonly ca?: Buffer | undefined;
  /** A connection that is used for TLS. */
  readonly over?: Socket;
  readonly headers?: readonly string[];
  /** Sent in the same write as the head. */
  readonly early?: string;
}

export interface Upgraded {
  readonly socket: Socket;
  readonly status: number;
  /** The response head, as it came. */
  readonly head: string;
  /** What came behind it so far. */
  readonly received: () => Buffer;
  /** The peer has ended its half. */
  readonly hasEnded: () => boolean;
  /** Resolves when nothing more can come. */
  readonly closed: Promise<unknown>;
}

/** Asks for the protocol `raw` and waits for the head of the answer. */
export async function upgrade(
  port: number,
  { path, ca, over, headers = [], early = '', method = 'GET' }: UpgradeOptions,
): Promise<Upgraded> {
  const where = { host: '127.0.0.1', port, allowHalfOpen: true };
  const socket = ca
    ? connectTls({ ...where, ca, ALPNProtocols: ['http/1.1'], ...(over && { socket: over }) })
    : connect(where);
  socket.on('error', () => undefined); // a reset shows as closed
  const chunks: Buffer[] = [];
  let ended = false;
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('end', () => (ended = true));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, ca ? 'secureConnect' : 'connect');
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: localhost',
    ...(method === 'CONNECT' ? [] : ['Connection: keep-alive, Upgrade', 'Upgrade: raw']),
    ...headers,
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n${early}`);
  const all = (): Buffer => Buffer.concat(chunks);
  await waitFor(() => ended || socket.destroyed || all().includes('\r\n\r\n'), {
    what: `an answer to ${path}`,
  });
  const end = all().indexOf('\r\n\r\n');
  const head = end < 0 ? '' : all().toString('latin1', 0, end);
  return {
    socket,
    head,
    status: Number(head.slice(9, 12)),
    received: () => all().subarray(end < 0 ? 0 : end + 4),
    hasEnded: () => ended || socket.destroyed,
    closed,
  };
}
