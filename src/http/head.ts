/**
 * A request's head as it came over the wire: numbers, and strings that are cut out of one text only
 * when somebody asks for them.
 */
import {
  FLAG_ASCII,
  FLAG_BODY,
  FLAG_PASS,
  FLAG_TLS,
  FLAG_UPGRADE,
  REQ_CONTENT_LENGTH_HIGH,
  REQ_CONTENT_LENGTH_LOW,
  REQ_FIELDS,
  REQ_FLAGS,
  REQ_HEADERS,
  REQ_HTTP_MAJOR,
  REQ_HTTP_MINOR,
  REQ_LOCAL_PORT,
  REQ_MOUNT_LENGTH,
  REQ_REMOTE_PORT,
  REQ_SERVER_PORT,
  REQ_STRINGS,
  REQ_TIMEOUT_MS,
  REQ_VARS,
} from '../events.ts';

// Places of the strings, in the order of TSGI_S_* in native/wire/tsgi_wire.h.
export const S_METHOD = 0;
export const S_URI = 1;
export const S_PROTOCOL = 2;
export const S_SCHEME = 3;
export const S_SCRIPT = 4;
export const S_SCRIPT_NAME = 5;
export const S_PATH_INFO = 6;
export const S_QUERY = 7;
export const S_SERVER_NAME = 8;
export const S_SERVER_SOFTWARE = 9;
export const S_DOCUMENT_ROOT = 10;
export const S_REMOTE_ADDR = 11;
export const S_LOCAL_ADDR = 12;
export const S_REMOTE_USER = 13;
export const S_AUTH_TYPE = 14;
export const S_REQUEST_ID = 15;

const STRING_INTS = REQ_FIELDS - REQ_STRINGS;
const FIELD_INTS = 5;
const VARIABLE_INTS = 4;
/** Variables of such names are facts of Apache's own, and stand before the others. */
const FACT_PREFIX = 'tsgi.';

// eslint-disable-next-line no-control-regex -- the question is exactly whether all is ASCII
const NOT_ASCII = /[^\x00-\x7f]/;

const ESCAPED_SLASH = /^%2f/i;

/** Where a header begins in Head's places. */
function headerAt(index: number): number {
  return STRING_INTS + index * FIELD_INTS;
}

function intAt(events: Int32Array, index: number): number {
  return events[index] ?? 0;
}

export class Head {
  readonly flags: number;
  /** −1 = unknown, or no body. */
  readonly contentLength: number;
  readonly mountLength: number;
  readonly timeoutMs: number;
  readonly remotePort: number;
  readonly localPort: number;
  readonly serverPort: number;
  /** 1.1 or 1.0, whatever the client speaks: ServerResponse knows no other. */
  readonly minor: number;
  readonly headerCount: number;
  readonly #text: string;
  readonly #tokenNames: readonly string[];
  /** [offset, length] of each string, then the headers and the variables, as in the event. */
  readonly #places: number[];
  #rawHeaders: string[] | undefined;
  /** How many of the variables are facts; counted when first asked for. */
  #knownFacts = -1;

  /**
   * Reads the REQUEST event at `at`. Copies what it needs: `events` is overwritten in the next turn.
   * @param tokenNames as in NativeAddon.
   */
  constructor(events: Int32Array, at: number, text: string, tokenNames: readonly string[]) {
    // Every index below lies in the event: the addon has counted them.
    this.flags = intAt(events, at + REQ_FLAGS);
    const low = intAt(events, at + REQ_CONTENT_LENGTH_LOW);
    const high = intAt(events, at + REQ_CONTENT_LENGTH_HIGH);
    this.contentLength = high < 0 ? -1 : high * 0x1_0000_0000 + (low >>> 0);
    this.mountLength = intAt(events, at + REQ_MOUNT_LENGTH);
    this.timeoutMs = intAt(events, at + REQ_TIMEOUT_MS);
    this.remotePort = intAt(events, at + REQ_REMOTE_PORT);
    this.localPort = intAt(events, at + REQ_LOCAL_PORT);
    this.serverPort = intAt(events, at + REQ_SERVER_PORT);
    const major = intAt(events, at + REQ_HTTP_MAJOR);
    this.minor = major > 1 || (major === 1 && intAt(events, at + REQ_HTTP_MINOR) > 0) ? 1 : 0;
    this.headerCount = intAt(events, at + REQ_HEADERS);
    this.#text = text;
    this.#tokenNames = tokenNames;
    const count =
      STRING_INTS + this.headerCount * FIELD_INTS + intAt(events, at + REQ_VARS) * VARIABLE_INTS;
    this.#places = copyInts(events, at + REQ_STRINGS, count);
  }

  /** Name, value, name, value … in the order and case of the wire. Made when first asked for. */
  get rawHeaders(): string[] {
    if (this.#rawHeaders === undefined) {
      // Sized at once: growing costs a third of reading (npm run bench -- worker).
      const raw = new Array<string>(this.headerCount * 2);
      for (let i = 0; i < this.headerCount; i++) {
        raw[i * 2] = this.headerName(i);
        raw[i * 2 + 1] = this.headerValue(i);
      }
      this.#rawHeaders = raw;
    }
    return this.#rawHeaders;
  }

  /** The number that stands for a header's name; 0: it has none. */
  headerToken(index: number): number {
    return this.#places[headerAt(index)] ?? 0;
  }

  headerName(index: number): string {
    const known = this.#tokenNames[this.headerToken(index)];
    // Of token 0 it is ''.
    return known !== undefined && known !== '' ? known : this.#cut(headerAt(index) + 1);
  }

  headerValue(index: number): string {
    return this.#cut(headerAt(index) + 3);
  }

  /** There is an Expect header: known without making a request's `headers`. */
  get hasExpect(): boolean {
    for (let i = 0; i < this.headerCount; i++) {
      const name = this.headerName(i);
      if (name.length === 6 && name.toLowerCase() === 'expect') return true;
    }
    return false;
  }

  get hasBody(): boolean {
    return (this.flags & FLAG_BODY) !== 0;
  }

  /** The client asks for another protocol. */
  get isUpgrade(): boolean {
    return (this.flags & FLAG_UPGRADE) !== 0;
  }

  /** It does so by CONNECT: the URL is a host. */
  get isConnect(): boolean {
    return this.isUpgrade && this.string(S_METHOD) === 'CONNECT';
  }

  /** Apache can hand over the client's own descriptor. */
  get isPassable(): boolean {
    return (this.flags & FLAG_PASS) !== 0;
  }

  get isTls(): boolean {
    return (this.flags & FLAG_TLS) !== 0;
  }

  /** The string at one of the places S_*, byte for byte (latin1). */
  string(place: number): string {
    return this.#cut(place * 2);
  }

  /** The same for what is text and not bytes. */
  text(place: number): string {
    return this.#decode(this.#cut(place * 2));
  }

  get scheme(): 'http' | 'https' {
    return this.string(S_SCHEME) === 'https' ? 'https' : 'http';
  }

  /** What (req, res) apps see as `req.url`: the request target without the mount point. */
  get url(): string {
    const uri = this.string(S_URI);
    if (this.mountLength === 0) return uri === '' ? '/' : uri;
    const rest = uri.slice(this.mountLength);
    if (rest.startsWith('/')) return rest;
    // Of /app?x the path is empty; with AllowEncodedSlashes the slash behind /app may be an escape.
    return `/${ESCAPED_SLASH.test(rest) ? rest.slice(3) : rest}`;
  }

  /** The mount point as the client wrote it. '' at the root, and with mount=keep. */
  get mountPoint(): string {
    return this.mountLength === 0 ? '' : this.string(S_URI).slice(0, this.mountLength);
  }

  /** How many variables Apache sent that apps may see. */
  get variableCount(): number {
    return this.#sentCount - this.#factCount;
  }

  variableName(index: number): string {
    return this.#decode(this.#nameAt(this.#factCount + index));
  }

  variableValue(index: number): string {
    return this.#decode(this.#valueAt(this.#factCount + index));
  }

  /** All values of one fact, `tls.protocol` say; none where Apache had nothing to tell. */
  facts(name: string): string[] {
    const values: string[] = [];
    for (let i = 0; i < this.#factCount; i++) {
      if (this.#nameAt(i) === FACT_PREFIX + name) values.push(this.#valueAt(i));
    }
    return values;
  }

  get #sentCount(): number {
    return (this.#places.length - headerAt(this.headerCount)) / VARIABLE_INTS;
  }

  get #factCount(): number {
    if (this.#knownFacts < 0) {
      let count = 0;
      while (count < this.#sentCount && this.#nameAt(count).startsWith(FACT_PREFIX)) count++;
      this.#knownFacts = count;
    }
    return this.#knownFacts;
  }

  #nameAt(index: number): string {
    return this.#cut(headerAt(this.headerCount) + index * VARIABLE_INTS);
  }

  #valueAt(index: number): string {
    return this.#cut(headerAt(this.headerCount) + index * VARIABLE_INTS + 2);
  }

  /** Bytes that travel as latin1 and are text: file names, decoded paths, variables. */
  #decode(text: string): string {
    const isAscii = (this.flags & FLAG_ASCII) !== 0 || !NOT_ASCII.test(text);
    return isAscii ? text : Buffer.from(text, 'latin1').toString('utf8');
  }

  #cut(index: number): string {
    const offset = this.#places[index] ?? 0;
    const length = this.#places[index + 1] ?? 0;
    return length === 0 ? '' : this.#text.substring(offset, offset + length);
  }
}

function copyInts(events: Int32Array, from: number, count: number): number[] {
  const ints = new Array<number>(count);
  for (let i = 0; i < count; i++) ints[i] = events[from + i] ?? 0;
  return ints;
}

/** `Name: value\r\n…` to name, value, name, value …: how trailers travel. */
export function splitFields(text: string): string[] {
  const raw: string[] = [];
  for (let at = 0; at < text.length;) {
    const end = text.indexOf('\r\n', at);
    const line = text.slice(at, end === -1 ? undefined : end);
    const colon = line.indexOf(': ');
    if (colon > 0) raw.push(line.slice(0, colon), line.slice(colon + 2));
    at = end === -1 ? text.length : end + 2;
  }
  return raw;
}
