/**
 * The Apache side of the wire, byte by byte from docs/wire.md and independent of the codec, so that
 * a mistake in the codec is not made here again.
 */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { waitFor } from '../harness/wait.ts';

export const T = {
  AUTH: 0x01,
  REQUEST: 0x02,
  BODY: 0x03,
  BODY_END: 0x04,
  SOCKET: 0x05,
  HELLO: 0x41,
  STARTED: 0x42,
  CONTINUE: 0x43,
  INFORM: 0x44,
  RESPONSE: 0x45,
  DATA: 0x46,
  END: 0x47,
  ABORT: 0x48,
  UPGRADE: 0x49,
  LOG: 0x4a,
  REFUSED: 0x4b,
  GOAWAY: 0x4c,
  UNAVAILABLE: 0x4d,
} as const;

export const FIN = 1;
export const R_BODY = 0x02;
export const R_EXPECT = 0x08;
export const R_STARTED = 0x10;
export const R_UPGRADE = 0x20;
export const R_PASS = 0x40;
const HEADER = 8;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly payload: Buffer;
}

export function frame(type: number, payload: Uint8Array = Buffer.alloc(0), flags = 0): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(payload.length, 0);
  header.writeUInt8(type, 4);
  header.writeUInt8(flags, 5);
  return Buffer.concat([header, payload]);
}

/** A string of the wire. */
function str(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  if (bytes.length < 254) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const isShort = bytes.length <= 0xffff;
  const length = Buffer.alloc(isShort ? 3 : 5, isShort ? 254 : 255);
  if (isShort) length.writeUInt16LE(bytes.length, 1);
  else length.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([length, bytes]);
}

export function auth(secret = Buffer.alloc(32, 9), major = 1, minor = 1): Buffer {
  return frame(T.AUTH, Buffer.concat([Buffer.from([major, minor, 0, 0]), secret]));
}

export interface RequestParts {
  readonly flags?: number;
  readonly method?: string;
  readonly uri?: string;
  readonly contentLength?: bigint;
  /** A name that is a number travels as that token. */
  readonly headers?: readonly (readonly [string | number, string])[];
  readonly vars?: readonly (readonly [string, string])[];
  /** Of the frame; by default as the flags demand. */
  readonly frameFlags?: number;
}

export function request(parts: RequestParts = {}): Buffer {
  const { flags = 0, method = 'GET', uri = '/', headers = [], vars = [] } = parts;
  const fixed = Buffer.alloc(32);
  fixed.writeUInt8(1, 0);
  fixed.writeUInt8(1, 1);
  fixed.writeUInt16LE(443, 2);
  fixed.writeUInt16LE(50001, 4);
  fixed.writeUInt16LE(8443, 6);
  fixed.writeUInt32LE(flags, 8);
  fixed.writeUInt32LE(0, 12);
  fixed.writeUInt32LE(30_000, 16);
  fixed.writeBigInt64LE(parts.contentLength ?? -1n, 20);
  fixed.writeUInt16LE(headers.length, 28);
  fixed.writeUInt16LE(vars.length, 30);
  const texts = [
    ...[method, uri, 'HTTP/1.1', 'https', '/srv/app.js', '', uri, '', 'example.org', 'Apache'],
    ...['/srv/www', '192.0.2.1', '192.0.2.2', '', '', 'id-1'],
  ];
  const fields = headers.flatMap(([name, value]) =>
    typeof name === 'number'
      ? [Buffer.from([name]), str(value)]
      : [Buffer.alloc(1), str(name), str(value)],
  );
  const variables = vars.flatMap(([name, value]) => [Buffer.alloc(1), str(name), str(value)]);
  const payload = Buffer.concat([fixed, ...texts.map(str), ...fields, ...variables]);
  return frame(T.REQUEST, payload, parts.frameFlags ?? ((flags & R_BODY) === 0 ? FIN : 0));
}

export const body = (bytes: string | Buffer): Buffer => frame(T.BODY, Buffer.from(bytes as string));
export const bodyEnd = (): Buffer => frame(T.BODY_END);

/** A RESPONSE or INFORM as an object; names of tokens are given by the caller's table. */
export function readHead(
  payload: Buffer,
  tokenNames: readonly string[],
): {
  status: number;
  reason: string;
  headers: [string, string][];
} {
  let at = 4;
  const string = (): string => {
    const first = payload.readUInt8(at);
    at += 1;
    let length = first;
    if (first === 254) length = payload.readUInt16LE(at);
    if (first === 255) length = payload.readUInt32LE(at);
    at += first === 254 ? 2 : first === 255 ? 4 : 0;
    at += length;
    return payload.toString('latin1', at - length, at);
  };
  const reason = string();
  const headers: [string, string][] = [];
  for (let i = 0; i < payload.readUInt16LE(2); i++) {
    const token = payload.readUInt8(at);
    at += 1;
    headers.push([token === 0 ? string() : (tokenNames[token] ?? ''), string()]);
  }
  return { status: payload.readUInt16LE(0), reason, headers };
}

export class WireClient {
  readonly socket: Socket;
  readonly #frames: Frame[] = [];
  #rest = Buffer.alloc(0);
  /** Set when the connection has ended: an error's code, or 'end'. */
  ended: string | undefined;

  constructor(path: string) {
    this.socket = createConnection({ path, allowHalfOpen: true });
    this.socket.on('data', (chunk) => {
      this.#take(chunk);
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.ended ??= error.code ?? error.message;
    });
    this.socket.on('end', () => {
      this.ended ??= 'end';
    });
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= HEADER) {
      const length = this.#rest.readUInt32LE(0);
      if (this.#rest.length < HEADER + length) break;
      this.#frames.push({
        type: this.#rest.readUInt8(4),
        flags: this.#rest.readUInt8(5),
        payload: this.#rest.subarray(HEADER, HEADER + length),
      });
      this.#rest = this.#rest.subarray(HEADER + length);
    }
  }

  /** Frames that have come and were not taken by next(). */
  get pending(): readonly Frame[] {
    return this.#frames;
  }

  /** The next frame. */
  async next(): Promise<Frame> {
    const found = await waitFor(() => this.#frames.length > 0 || this.ended, { what: 'a frame' });
    const next = this.#frames.shift();
    if (next === undefined) throw new Error(`expected a frame, the connection ended: ${found}`);
    return next;
  }

  /** The next frame, which must be of this type. */
  async expect(type: number): Promise<Frame> {
    const next = await this.next();
    if (next.type === type) return next;
    throw new Error(
      `expected a frame of type ${type}, got ${next.type}: ${next.payload.toString()}`,
    );
  }

  /** All bytes of DATA frames until FIN or END. */
  async readBody(): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (;;) {
      const { type, flags, payload } = await this.next();
      if (type === T.END) break;
      if (type !== T.DATA) throw new Error(`expected DATA or END, got type ${type}`);
      pieces.push(payload);
      if ((flags & FIN) !== 0) break;
    }
    return Buffer.concat(pieces);
  }

  send(...pieces: Uint8Array[]): void {
    this.socket.write(Buffer.concat(pieces));
  }

  /** @returns 'end', or the code of the error that ended the connection. */
  async waitForEnd(): Promise<string> {
    return await waitFor(() => this.ended, { what: 'the end of the connection' });
  }

  async close(): Promise<void> {
    if (this.socket.destroyed) return;
    const closed = once(this.socket, 'close');
    this.socket.destroy();
    await closed;
  }
}
