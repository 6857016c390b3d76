/**
 * Reads HTTP text that an app writes to `res.socket` by hand, and turns it into what the wire knows:
 * interim responses, a head, pieces of body. Nothing of it is passed on as text.
 */

/** Where the parts go. Each returns how many bytes wait, as Channel.write(). */
export interface RawSink {
  /** 100..199 but 101. Headers as `Name: value\r\n…`. */
  interim(status: number, headers: string): void;
  /** @param isLast no body follows. */
  rawHead(status: number, reason: string, headers: string, isLast: boolean): number;
  rawBody(chunk: Uint8Array, isLast: boolean): number;
  /**
   * 101, or 2xx to a CONNECT: everything that follows is body. Without this method it is no response.
   */
  rawSwitch?(reason: string, headers: string): number;
  /** What came is no HTTP response; the reader takes nothing more. */
  rawInvalid(reason: string): void;
}

/** A head that is longer than this is a mistake. */
const MAX_HEAD = 64 * 1024;
/** Longest line between two chunks: a size, extensions, a trailer. */
const MAX_LINE = 16 * 1024;

const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/;
// eslint-disable-next-line no-control-regex -- control characters are what may not be in a value
const FIELD = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*$/;
const EMPTY = new Uint8Array(0);

type State =
  | 'head'
  | 'counted'
  | 'until-close'
  | 'chunk-size'
  | 'chunk-data'
  | 'chunk-end'
  | 'trailers'
  | 'done';

/** How a body ends. */
export type Framing = 'chunked' | 'until-close' | number;

/** A head of HTTP text, taken apart. `headers` as `Name: value\r\n…`. */
export interface ParsedHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: string;
  readonly framing: Framing;
}

/** @returns the head, or what is wrong with it. */
export function parseHead(text: string): ParsedHead | string {
  const lines = text.split('\r\n');
  const match = STATUS_LINE.exec(lines[0] ?? '');
  if (match === null)
    return `expected a status line, came ${JSON.stringify(lines[0]?.slice(0, 80))}`;
  let framing: Framing = 'until-close';
  let headers = '';
  for (const line of lines.slice(1)) {
    const field = FIELD.exec(line);
    if (field === null) return `expected "Name: value", came ${JSON.stringify(line.slice(0, 80))}`;
    const [, name = '', value = ''] = field;
    headers += `${name}: ${value}\r\n`;
    const lower = name.toLowerCase();
    if (lower === 'transfer-encoding' && /\bchunked\s*$/i.test(value)) framing = 'chunked';
    if (lower === 'content-length' && framing !== 'chunked') {
      if (!/^\d{1,15}$/.test(value)) return `expected a number as Content-Length, came ${value}`;
      framing = Number(value);
    }
  }
  return { status: Number(match[1]), reason: match[2] ?? '', headers, framing };
}

export class RawResponse {
  readonly #sink: RawSink;
  /** Of the request: after HEAD a head is all of the response, after CONNECT 2xx begins a tunnel. */
  readonly #method: string;
  #state: State = 'head';
  /** Text that is not complete yet. */
  #pending = '';
  /** Bytes of the body, or of the chunk, that are still to come. */
  #left = 0;

  constructor(sink: RawSink, method: string) {
    this.#sink = sink;
    this.#method = method;
  }

  /** A final head or a part of the body has been read. */
  get hasBegun(): boolean {
    return this.#state !== 'head';
  }

  /** The head has left through `res` already: what follows is body, in the framing that `res` chose. */
  skipHead(framing: Framing): void {
    this.#expect(framing);
  }

  /** @returns bytes that wait. */
  write(chunk: Uint8Array): number {
    let rest = chunk;
    let waiting = 0;
    while (rest.length > 0 && this.#state !== 'done') {
      if (this.#state === 'counted' || this.#state === 'chunk-data') {
        const piece = rest.subarray(0, this.#left);
        rest = rest.subarray(piece.length);
        waiting = this.#takeBody(piece);
      } else if (this.#state === 'until-close') {
        waiting = this.#sink.rawBody(rest, false);
        rest = EMPTY;
      } else {
        rest = this.#takeText(rest);
      }
    }
    return waiting;
  }

  /** The app has ended the socket. @returns whether the response is whole. */
  end(): boolean {
    if (this.#state === 'until-close') {
      this.#state = 'done';
      this.#sink.rawBody(EMPTY, true);
    }
    return this.#state === 'done';
  }

  #takeBody(piece: Uint8Array): number {
    this.#left -= piece.length;
    const isWhole = this.#left === 0;
    const isLast = isWhole && this.#state === 'counted';
    if (isWhole) this.#state = isLast ? 'done' : 'chunk-end';
    return this.#sink.rawBody(piece, isLast);
  }

  /** Takes one head or one line. @returns what comes after it. */
  #takeText(chunk: Uint8Array): Uint8Array {
    const isHead = this.#state === 'head';
    const before = this.#pending.length;
    const text =
      this.#pending +
      Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1');
    const mark = isHead ? '\r\n\r\n' : '\r\n';
    const end = text.indexOf(mark, Math.max(0, before - mark.length));
    if (end === -1) {
      if (text.length > (isHead ? MAX_HEAD : MAX_LINE))
        this.#refuse(`no end of ${isHead ? 'head' : 'line'} within ${text.length} bytes`);
      this.#pending = text;
      return EMPTY;
    }
    this.#pending = '';
    if (isHead) this.#takeHead(text.slice(0, end));
    else this.#takeLine(text.slice(0, end));
    return chunk.subarray(end + mark.length - before);
  }

  #takeHead(text: string): void {
    const head = parseHead(text);
    if (typeof head === 'string') this.#refuse(head);
    else if (this.#isSwitch(head.status)) this.#takeSwitch(head);
    else if (head.status < 200) this.#sink.interim(head.status, head.headers);
    else this.#takeFinalHead(head);
  }

  #isSwitch(status: number): boolean {
    return status === 101 || (this.#method === 'CONNECT' && status >= 200 && status < 300);
  }

  #takeSwitch({ reason, headers }: ParsedHead): void {
    if (this.#sink.rawSwitch === undefined) {
      this.#refuse("status 101: connections are handed over to listeners of 'upgrade' only");
      return;
    }
    this.#expect('until-close');
    this.#sink.rawSwitch(reason, headers);
  }

  #takeFinalHead({ status, reason, headers, framing }: ParsedHead): void {
    const isLast = this.#method === 'HEAD' || status === 204 || status === 304 || framing === 0;
    this.#expect(isLast ? 0 : framing);
    this.#sink.rawHead(status, reason, headers, isLast);
  }

  /** A line of the chunked coding (RFC 9112 section 7.1). */
  #takeLine(line: string): void {
    if (this.#state === 'chunk-end') {
      if (line === '') this.#state = 'chunk-size';
      else this.#refuse('a chunk is longer than its size');
    } else if (this.#state === 'chunk-size') {
      this.#takeSize(line);
    } else if (line === '') {
      this.#state = 'done';
      this.#sink.rawBody(EMPTY, true);
    }
  }

  #takeSize(line: string): void {
    const match = /^([0-9a-f]{1,12})[ \t]*(?:;|$)/i.exec(line);
    if (match === null) {
      this.#refuse(`expected the size of a chunk, came ${JSON.stringify(line.slice(0, 80))}`);
      return;
    }
    this.#left = Number.parseInt(match[1] ?? '', 16);
    this.#state = this.#left === 0 ? 'trailers' : 'chunk-data';
  }

  #expect(framing: Framing): void {
    if (framing === 'chunked') this.#state = 'chunk-size';
    else if (framing === 'until-close') this.#state = 'until-close';
    else {
      this.#left = framing;
      this.#state = framing === 0 ? 'done' : 'counted';
    }
  }

  #refuse(reason: string): void {
    this.#state = 'done';
    this.#sink.rawInvalid(reason);
  }
}
