/** A client of a worker's socket, enough of docs/wire.md for one GET, and no more. */
import { createConnection, type Socket } from 'node:net';

const HEADER = 8;
const TYPE = {
  auth: 0x01,
  request: 0x02,
  hello: 0x41,
  response: 0x45,
  data: 0x46,
  end: 0x47,
  abort: 0x48,
  goaway: 0x4c,
  unavailable: 0x4d,
};
const FIN = 1;

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly payload: Buffer;
}

export interface Answer {
  /** 0: the answer was no response but `unavailable` or an `abort`. */
  readonly status: number;
  readonly body: string;
  readonly unavailable?: { readonly code: number; readonly retryAfter: number };
  readonly abort?: { readonly code: number; readonly text: string };
}

function frame(type: number, flags: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(payload.length, 0);
  header.writeUInt8(type, 4);
  header.writeUInt8(flags, 5);
  return Buffer.concat([header, payload]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  if (bytes.length < 254) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = Buffer.alloc(3, 254);
  length.writeUInt16LE(bytes.length, 1);
  return Buffer.concat([length, bytes]);
}

function request(script: string, path: string): Buffer {
  const fixed = Buffer.alloc(32);
  fixed.writeUInt8(1, 0);
  fixed.writeUInt8(1, 1);
  fixed.writeUInt16LE(80, 2);
  fixed.writeBigInt64LE(-1n, 20);
  fixed.writeUInt16LE(1, 28);
  const host = [Buffer.alloc(1), text('Host'), text('localhost')];
  const strings = [
    'GET',
    path,
    'HTTP/1.1',
    'http',
    script,
    '',
    path,
    '',
    'localhost',
    'test',
    '/',
    '127.0.0.1',
    '127.0.0.1',
    '',
    '',
    'request-id',
  ];
  return frame(TYPE.request, FIN, Buffer.concat([fixed, ...strings.map(text), ...host]));
}

function auth(secret: string): Buffer {
  return frame(
    TYPE.auth,
    0,
    Buffer.concat([Buffer.from([1, 0, 0, 0]), Buffer.from(secret, 'hex')]),
  );
}

/** Reads frames one by one; null at the end of the stream. */
class Frames {
  #buffer = Buffer.alloc(0);
  readonly #chunks: AsyncIterator<Buffer>;

  constructor(socket: Socket) {
    this.#chunks = (socket as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  async next(): Promise<Frame | null> {
    for (;;) {
      const size = this.#buffer.length >= HEADER ? this.#buffer.readUInt32LE(0) + HEADER : Infinity;
      if (this.#buffer.length >= size) {
        const head = this.#buffer.subarray(0, HEADER);
        const payload = this.#buffer.subarray(HEADER, size);
        this.#buffer = this.#buffer.subarray(size);
        return { type: head.readUInt8(4), flags: head.readUInt8(5), payload };
      }
      const result = await this.#chunks.next();
      if (result.done === true) return null;
      this.#buffer = Buffer.concat([this.#buffer, result.value]);
    }
  }
}

async function readAnswer(frames: Frames): Promise<Answer> {
  let status = 0;
  let body = '';
  for (;;) {
    const got = await frames.next();
    if (!got) throw new Error(`the worker closed the connection after ${String(status)} ${body}`);
    const { type, flags, payload } = got;
    if (type === TYPE.unavailable) {
      const unavailable = { code: payload.readUInt16LE(0), retryAfter: payload.readUInt16LE(2) };
      return { status, body, unavailable };
    }
    if (type === TYPE.abort) {
      return {
        status,
        body,
        abort: { code: payload.readUInt16LE(0), text: payload.toString('utf8', 4) },
      };
    }
    if (type === TYPE.response) status = payload.readUInt16LE(0);
    if (type === TYPE.data) body += payload.toString();
    if (type === TYPE.end || (flags & FIN) !== 0) return { status, body };
  }
}

/**
 * One GET over a connection of its own. Waits in the backlog until a worker accepts.
 * @param onSent called when a worker has said HELLO and the request is written.
 */
export async function ask(
  socketPath: string,
  {
    secret,
    script,
    path = '/',
    onSent,
  }: { secret: string; script: string; path?: string; onSent?: () => void },
): Promise<Answer> {
  const socket = createConnection(socketPath);
  try {
    const frames = new Frames(socket);
    const hello = await frames.next();
    if (hello?.type === TYPE.hello) {
      socket.write(Buffer.concat([auth(secret), request(script, path)]));
      onSent?.();
      return await readAnswer(frames);
    }
    if (hello?.type !== TYPE.unavailable) throw new Error('expected HELLO or UNAVAILABLE');
    const unavailable = {
      code: hello.payload.readUInt16LE(0),
      retryAfter: hello.payload.readUInt16LE(2),
    };
    return { status: 0, body: '', unavailable };
  } finally {
    socket.destroy();
  }
}
