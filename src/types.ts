/**
 * The public types of mod_tsgi: the interface TSGI (docs/tsgi.md) and what (req, res) apps find in
 * `req.tsgi`.
 */
import type { Readable } from 'node:stream';

/** A piece of a response body. Strings are sent as UTF-8. */
export type Chunk = string | Uint8Array;

/** What an application returns. Arrays, generators, Node's and the web's streams are all iterable. */
export type Body = Chunk | Iterable<Chunk> | AsyncIterable<Chunk>;

/** A header's value; an array makes one header line of each element. */
export type HeaderValue = string | number | readonly string[];

/** Pairs in the order in which they are sent (a `Headers` or a `Map` also is that), or a record. */
export type ResponseHeaders =
  Iterable<readonly [name: string, value: HeaderValue]> | Readonly<Record<string, HeaderValue>>;

/**
 * Sets status and headers. Nothing is sent yet: they leave with the first piece of the body that is
 * not empty, or at the end.
 *
 * @param status a number from 200 to 999, or `'404 Not Found'`.
 * @param error when an application wants to replace an earlier call, what made it do so. If the head
 *        has left already, it is thrown again and the response ends as a visible truncation.
 * @throws TsgiError TSGI0704 for a bad status or header, TSGI0707 for a second call without `error`.
 */
export type StartResponse = (
  status: number | string,
  headers?: ResponseHeaders,
  error?: unknown,
) => void;

/** A TSGI callable: `export function application(environ, startResponse) { … }`. */
export type Application = (environ: Environ, startResponse: StartResponse) => Body | Promise<Body>;

/** How the host runs the application. `embedded` is reserved for a later version. */
export type Mode = 'daemon' | 'embedded';

/** The error log of the request's virtual host. */
export interface ErrorLog {
  /** One log entry for each line of `text`. */
  write(text: string): void;
}

/** CGI variables (RFC 3875). Those with a `?` are absent when there is nothing to tell. */
export interface CgiVariables {
  REQUEST_METHOD: string;
  /** Mount point of the application, decoded; `''` at the root and with `mount=keep`. */
  SCRIPT_NAME: string;
  /** Path below the mount point, decoded. */
  PATH_INFO: string;
  /** Without `?`; `''` if there is none. */
  QUERY_STRING: string;
  /** Request target as the client sent it. */
  REQUEST_URI: string;
  REQUEST_SCHEME: 'http' | 'https';
  CONTENT_TYPE?: string;
  CONTENT_LENGTH?: string;
  SERVER_NAME: string;
  SERVER_PORT: string;
  SERVER_ADDR: string;
  SERVER_PROTOCOL: string;
  SERVER_SOFTWARE: string;
  DOCUMENT_ROOT: string;
  SCRIPT_FILENAME: string;
  REMOTE_ADDR: string;
  REMOTE_PORT: string;
  REMOTE_USER?: string;
  AUTH_TYPE?: string;
}

/** What the host itself tells an application. */
export interface TsgiVariables {
  'tsgi.version': readonly [major: number, minor: number];
  'tsgi.url_scheme': 'http' | 'https';
  /** The request body; ends where the body ends. */
  'tsgi.input': Readable;
  'tsgi.errors': ErrorLog;
  /** Name of the process group; `''` means embedded in an Apache child. */
  'tsgi.process_group': string;
  'tsgi.application_group': string;
  'tsgi.mode': Mode;
  /** More than one process may serve this application at once. */
  'tsgi.multiprocess': boolean;
  /** Always false: an application is called on one thread. Requests still interleave. */
  'tsgi.multithread': boolean;
  /** Always false: the process serves more than this request. */
  'tsgi.run_once': boolean;
  /** Aborted when the client has gone before the response was complete, or when request-timeout is over. Inherited, not own. */
  readonly 'tsgi.signal': AbortSignal;
  /** The id that stands in Apache's access and error log too (`%L`). */
  'tsgi.request_id': string;
}

/** Request headers as `HTTP_*`; several of one name are joined. */
export type HeaderVariables = Partial<Record<`HTTP_${string}`, string>>;

/**
 * All there is to know about a request. `toString` and the like are not inherited, so every name is
 * what it says; Apache's own variables (`SetEnv`, `SSL_*`) stand beside the CGI variables.
 */
export type Environ = CgiVariables &
  TsgiVariables &
  HeaderVariables &
  Partial<Record<string, unknown>>;

/** `req.tsgi` of a (req, res) app: what Apache knows about the request. */
export interface TsgiRequestFacts {
  readonly mode: Mode;
  readonly processGroup: string;
  readonly applicationGroup: string;
  readonly requestId: string;
  /** Mount point, decoded; `''` at the root and with `mount=keep`. `req.url` is what comes after it. */
  readonly scriptName: string;
  readonly pathInfo: string;
  readonly scriptFilename: string;
  /** Request target as the client sent it, mount point included. */
  readonly uri: string;
  /** What the client speaks: `HTTP/1.1`, `HTTP/2.0`. */
  readonly protocol: string;
  readonly scheme: 'http' | 'https';
  readonly serverName: string;
  readonly serverPort: number;
  readonly documentRoot: string;
  /** Whom Apache authenticated; `''` nobody. */
  readonly remoteUser: string;
  readonly authType: string;
  /** request-timeout, which runs from when the request is whole until the head is sent; 0 = none. */
  readonly timeoutMs: number;
  /** Apache's variables of this request: `SetEnv`, `RewriteRule … [E=]`, `SSL_*`. */
  readonly env: Readonly<Partial<Record<string, string>>>;
  /** Aborted when the client has gone before the response was complete, or when request-timeout is over. */
  readonly signal: AbortSignal;
  /**
   * Writes to the error log of the request's virtual host, under the request's id.
   * @param level as in syslog(3): 3 error, 4 warning, 5 notice, 6 info, 7 debug.
   */
  log(level: number, text: string): void;
}

declare module 'node:http' {
  interface IncomingMessage {
    /** Set when Apache serves the app through mod_tsgi. */
    readonly tsgi?: TsgiRequestFacts;
  }
}
