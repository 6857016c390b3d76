/** `environ` of a TSGI callable: see docs/tsgi.md. */
import type { Readable } from 'node:stream';
import type { Environ, ErrorLog, Mode } from '../types.ts';
import type { Exchange } from './exchange.ts';
import type { Head } from './head.ts';
import {
  S_AUTH_TYPE,
  S_DOCUMENT_ROOT,
  S_LOCAL_ADDR,
  S_METHOD,
  S_PATH_INFO,
  S_PROTOCOL,
  S_QUERY,
  S_REMOTE_ADDR,
  S_REMOTE_USER,
  S_REQUEST_ID,
  S_SCRIPT,
  S_SCRIPT_NAME,
  S_SERVER_NAME,
  S_SERVER_SOFTWARE,
  S_URI,
} from './head.ts';

const VERSION = Object.freeze([1, 0] as const);
const LEVEL_ERROR = 3;

/** The exchange of an environ. Not enumerable in effect: for…in and Object.keys skip symbols. */
const kExchange = Symbol('tsgi.exchange');

/** `tsgi.errors`. */
class RequestErrors implements ErrorLog {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  write(text: string): void {
    this.#exchange.log(LEVEL_ERROR, text);
  }
}

/**
 * A constructor and not a literal with a null prototype: V8 makes dictionaries of those, which costs
 * as much as all else in a request. Its prototype has none itself, so nothing is inherited but the
 * signal, which is made when it is first asked for.
 */
class CgiEnviron {
  readonly [kExchange]: Exchange;
  declare 'tsgi.signal': AbortSignal;
  REQUEST_METHOD: string;
  SCRIPT_NAME: string;
  PATH_INFO: string;
  QUERY_STRING: string;
  REQUEST_URI: string;
  REQUEST_SCHEME: 'http' | 'https';
  SERVER_NAME: string;
  SERVER_PORT: string;
  SERVER_ADDR: string;
  SERVER_PROTOCOL: string;
  SERVER_SOFTWARE: string;
  DOCUMENT_ROOT: string;
  SCRIPT_FILENAME: string;
  REMOTE_ADDR: string;
  REMOTE_PORT: string;
  'tsgi.version': readonly [number, number] = VERSION;
  'tsgi.url_scheme': 'http' | 'https';
  'tsgi.input': Readable;
  'tsgi.errors': ErrorLog;
  'tsgi.process_group': string;
  'tsgi.application_group': string;
  'tsgi.mode': Mode = 'daemon';
  'tsgi.multiprocess': boolean;
  'tsgi.multithread' = false;
  'tsgi.run_once' = false;
  'tsgi.request_id': string;

  constructor(exchange: Exchange, input: Readable) {
    const { head } = exchange;
    const { options } = exchange.host;
    this[kExchange] = exchange;
    this.REQUEST_METHOD = head.string(S_METHOD);
    this.SCRIPT_NAME = head.text(S_SCRIPT_NAME);
    this.PATH_INFO = head.text(S_PATH_INFO);
    this.QUERY_STRING = head.string(S_QUERY);
    this.REQUEST_URI = head.string(S_URI);
    this.REQUEST_SCHEME = head.scheme;
    this.SERVER_NAME = head.string(S_SERVER_NAME);
    this.SERVER_PORT = String(head.serverPort);
    this.SERVER_ADDR = head.string(S_LOCAL_ADDR);
    this.SERVER_PROTOCOL = head.string(S_PROTOCOL);
    this.SERVER_SOFTWARE = head.string(S_SERVER_SOFTWARE);
    this.DOCUMENT_ROOT = head.text(S_DOCUMENT_ROOT);
    this.SCRIPT_FILENAME = head.text(S_SCRIPT);
    this.REMOTE_ADDR = head.string(S_REMOTE_ADDR);
    this.REMOTE_PORT = String(head.remotePort);
    this['tsgi.url_scheme'] = this.REQUEST_SCHEME;
    this['tsgi.input'] = input;
    this['tsgi.errors'] = new RequestErrors(exchange);
    this['tsgi.process_group'] = options.processGroup;
    this['tsgi.application_group'] = options.applicationGroup;
    this['tsgi.multiprocess'] = options.multiprocess;
    this['tsgi.request_id'] = head.string(S_REQUEST_ID);
  }
}

const prototype: object = CgiEnviron.prototype;
Object.setPrototypeOf(prototype, null);
Reflect.deleteProperty(prototype, 'constructor');
Object.defineProperty(prototype, 'tsgi.signal', {
  get(this: CgiEnviron): AbortSignal {
    return this[kExchange].signal;
  },
  // A middleware may put its own in place, as with every other entry.
  set(this: object, value: unknown) {
    Object.defineProperty(this, 'tsgi.signal', {
      value,
      writable: true,
      configurable: true,
      enumerable: true,
    });
  },
  configurable: true,
  enumerable: true,
});

/** Header name → variable name, '' for a header that has none. */
const variableNames = new Map<string, string>();
/** Clients choose header names: what is remembered of them has an end. */
const MAX_NAMES = 512;
/** The same by the token, a byte, that stands for the name on the wire; '' where it is not known yet. */
const tokenVariableNames = new Array<string>(256).fill('');
const PLAIN_NAME = /^[A-Za-z0-9-]+$/;

/**
 * `Accept-Language` → `HTTP_ACCEPT_LANGUAGE`. Names that have anything but letters, digits and `-` get no
 * variable (`X_User` would forge `X-User`), nor does `Proxy` (CVE-2016-5388).
 */
function makeVariableName(header: string): string {
  if (!PLAIN_NAME.test(header)) return '';
  const name = header.toUpperCase().replaceAll('-', '_');
  if (name === 'CONTENT_TYPE' || name === 'CONTENT_LENGTH') return name;
  return name === 'PROXY' ? '' : `HTTP_${name}`;
}

function variableName(header: string): string {
  let name = variableNames.get(header);
  if (name === undefined) {
    // As V8 keeps the names of properties: it need not look that up for each request.
    name = Object.keys({ [makeVariableName(header)]: 0 })[0] ?? '';
    if (variableNames.size < MAX_NAMES) variableNames.set(header, name);
  }
  return name;
}

/** By its token where it has one: a look into an array, not a Map. */
function variableNameOf(head: Head, index: number): string {
  const token = head.headerToken(index);
  if (token === 0) return variableName(head.headerName(index));
  let name = tokenVariableNames[token] ?? '';
  if (name === '') name = tokenVariableNames[token] = variableName(head.headerName(index));
  return name;
}

/** Of a token and its twin in lower case: the number of the request that had it last. */
const lastRequests = new Uint32Array(128);
let requests = 0;

function addHeaders(environ: Record<string, unknown>, head: Head): void {
  requests = (requests + 1) >>> 0;
  // Names that are spelled out may have a token all the same.
  let isSpelledOut = false;
  for (let i = 0; i < head.headerCount; i++) {
    const name = variableNameOf(head, i);
    if (name === '') continue;
    const value = head.headerValue(i);
    const token = head.headerToken(i) & 0x7f;
    isSpelledOut ||= token === 0;
    // Asking an object for what it does not have is dear.
    const mayBeThere = isSpelledOut || lastRequests[token] === requests;
    lastRequests[token] = requests;
    const before = mayBeThere ? environ[name] : undefined;
    if (typeof before !== 'string') environ[name] = value;
    // Two of these would be two opinions about one body; Apache has refused them before.
    else if (!name.startsWith('CONTENT_')) {
      environ[name] = `${before}${name === 'HTTP_COOKIE' ? '; ' : ', '}${value}`;
    }
  }
}

/** Apache's variables never replace what is there: as httpd, what the request says wins. */
function addVariables(environ: Record<string, unknown>, head: Head): void {
  for (let i = 0; i < head.variableCount; i++) {
    const name = head.variableName(i);
    if (name in environ || name === 'HTTP_PROXY' || name.startsWith('tsgi.')) continue;
    environ[name] = head.variableValue(i);
  }
}

export function makeEnviron(exchange: Exchange, input: Readable): Environ {
  const { head } = exchange;

  const environ = new CgiEnviron(exchange, input) as unknown as Environ & Record<string, unknown>;
  const user = head.text(S_REMOTE_USER);
  if (user !== '') environ.REMOTE_USER = user;
  const type = head.string(S_AUTH_TYPE);
  if (type !== '') environ.AUTH_TYPE = type;
  addHeaders(environ, head);
  if (head.variableCount > 0) addVariables(environ, head);
  return environ;
}
