/**
 * A client's own descriptor, handed over by Apache, as the net.Socket that an 'upgrade' listener gets.
 * Node itself reads and writes it; Apache has no part in it any more.
 */
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Head } from './head.ts';
import { S_LOCAL_ADDR, S_REMOTE_ADDR } from './head.ts';
import type { ParsedHead } from './raw.ts';
import { parseHead } from './raw.ts';
import { familyOf } from './socket.ts';

/** What of net.Socket is used beneath its public surface; the names are the same from Node 20 to 26. */
interface SocketInternals {
  server: unknown;
  /** Kept from the first look at the descriptor; here what Apache says, which knows of proxies. */
  _peername: object;
  _sockname: object;
  _writeGeneric(isVector: boolean, data: unknown, encoding: unknown, callback: unknown): void;
}

/** A head that is longer than this is not looked at for the access log. */
const MAX_HEAD = 16 * 1024;

/** What the access log tells of an app that took the connection over without an HTTP response. */
const SWITCHED: ParsedHead = { status: 101, reason: '', headers: '', framing: 0 };

/**
 * @param fd is the socket's from here on, and closed if it throws.
 * @param server that emits 'upgrade'.
 * @throws Error if Node cannot use the descriptor.
 */
export function openPassed(fd: number, head: Head, server: unknown): Socket {
  let socket: Socket;
  try {
    socket = new Socket({ fd, allowHalfOpen: true, readable: true, writable: true });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  const internals = socket as unknown as SocketInternals;
  const remote = head.string(S_REMOTE_ADDR);
  const local = head.string(S_LOCAL_ADDR);
  internals.server = server;
  internals._peername = { address: remote, family: familyOf(remote), port: head.remotePort };
  internals._sockname = { address: local, family: familyOf(local), port: head.localPort };
  return socket;
}

/** Calls `onHead` once, with the head that the app writes first. */
export function watchHead(socket: Socket, onHead: (head: ParsedHead) => void): void {
  const internals = socket as unknown as SocketInternals;
  internals._writeGeneric = (isVector, data, encoding, callback) => {
    // What was inherited is there again.
    Reflect.deleteProperty(socket, '_writeGeneric');
    onHead(headOf(isVector ? data : [{ chunk: data, encoding }]));
    internals._writeGeneric(isVector, data, encoding, callback);
  };
}

function headOf(data: unknown): ParsedHead {
  let text = '';
  for (const { chunk, encoding } of data as Iterable<{ chunk: unknown; encoding: unknown }>) {
    text += typeof chunk === 'string' ? decode(chunk, encoding) : latin1(chunk);
    if (text.length > MAX_HEAD) break;
  }
  const end = text.indexOf('\r\n\r\n');
  const head = end < 0 ? undefined : parseHead(text.slice(0, end));
  return typeof head === 'object' && isFinal(head.status) ? head : SWITCHED;
}

function isFinal(status: number): boolean {
  return status === 101 || status >= 200;
}

/** The bytes of a string as latin1 text. */
function decode(text: string, encoding: unknown): string {
  return Buffer.from(text.slice(0, MAX_HEAD), encoding as BufferEncoding).toString('latin1');
}

function latin1(chunk: unknown): string {
  return chunk instanceof Uint8Array
    ? Buffer.from(chunk.buffer, chunk.byteOffset, Math.min(chunk.length, MAX_HEAD)).toString(
        'latin1',
      )
    : '';
}
