/**
 * What wsgiref.validate is for WSGI: an application in it runs as before, and whoever breaks the
 * interface (docs/tsgi.md), the application or the host, gets an error that says how.
 */
import { TsgiError } from './errors.ts';
import type { Application, Body, Chunk, Environ, ResponseHeaders, StartResponse } from './types.ts';

const REQUIRED = [
  'REQUEST_METHOD',
  'SCRIPT_NAME',
  'PATH_INFO',
  'QUERY_STRING',
  'REQUEST_URI',
  'REQUEST_SCHEME',
  'SERVER_NAME',
  'SERVER_PORT',
  'SERVER_PROTOCOL',
  'REMOTE_ADDR',
] as const;
const NOT_HEADERS = ['HTTP_CONTENT_TYPE', 'HTTP_CONTENT_LENGTH', 'HTTP_PROXY'] as const;
/** Of one connection, hence Apache's and not an application's (RFC 9110 section 7.6.1). */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const ONCE = new Set([
  'content-length',
  'content-type',
  'location',
  'date',
  'etag',
  'last-modified',
]);
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

function check(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new TsgiError(720, { reason });
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 60));
  if (typeof value === 'number' || typeof value === 'boolean')
    return `the ${typeof value} ${value}`;
  if (value === null || value === undefined) return `${value}`;
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** A function of its own, lest the compiler conclude that there is no such environ. */
function hasInherited(environ: object): boolean {
  return 'toString' in environ;
}

function checkEnviron(environ: Environ): void {
  check(typeof environ === 'object', `environ is ${show(environ)}; expected an object`);
  check(!hasInherited(environ), 'environ inherits from Object; expected no inherited names');
  for (const name of REQUIRED) {
    check(
      typeof environ[name] === 'string',
      `environ.${name} is ${show(environ[name])}; expected a string`,
    );
  }
  for (const name of NOT_HEADERS)
    check(!(name in environ), `environ has ${name}, which may not be there`);
  const { SCRIPT_NAME: mount, PATH_INFO: path, CONTENT_LENGTH: length } = environ;
  check(/^(?:\/|$)/.test(mount), `SCRIPT_NAME is ${show(mount)}; expected "" or a path`);
  check(mount !== '/', 'SCRIPT_NAME is "/"; expected "" at the root');
  check(/^(?:\/|\*?$)/.test(path), `PATH_INFO is ${show(path)}; expected a path`);
  check(mount !== '' || path !== '', 'SCRIPT_NAME and PATH_INFO are both empty; expected "/"');
  check(length === undefined || /^\d+$/.test(length), `CONTENT_LENGTH is ${show(length)}`);
  checkTsgi(environ);
}

function checkTsgi(environ: Environ): void {
  const { 'tsgi.version': version, 'tsgi.url_scheme': scheme } = environ;
  check(
    Array.isArray(version) && version[0] === 1,
    `tsgi.version is ${show(version)}; expected [1, n]`,
  );
  check(['http', 'https'].includes(scheme), `tsgi.url_scheme is ${show(scheme)}`);
  const input: unknown = environ['tsgi.input'];
  check(
    typeof input === 'object' && input !== null && Symbol.asyncIterator in input,
    'tsgi.input is not async iterable',
  );
  check(typeof environ['tsgi.errors'].write === 'function', 'tsgi.errors has no write()');
  check(environ['tsgi.signal'] instanceof AbortSignal, 'tsgi.signal is not an AbortSignal');
  for (const name of ['tsgi.multiprocess', 'tsgi.multithread', 'tsgi.run_once'] as const) {
    check(
      typeof environ[name] === 'boolean',
      `${name} is ${show(environ[name])}; expected a boolean`,
    );
  }
  for (const name of ['tsgi.process_group', 'tsgi.application_group', 'tsgi.request_id'] as const) {
    check(
      typeof environ[name] === 'string',
      `${name} is ${show(environ[name])}; expected a string`,
    );
  }
  check(
    (environ['tsgi.process_group'] === '') === (environ['tsgi.mode'] === 'embedded'),
    `tsgi.mode is ${show(environ['tsgi.mode'])} and tsgi.process_group ${show(environ['tsgi.process_group'])}`,
  );
}

function checkStatus(status: unknown): number {
  const text = typeof status === 'number' ? String(status) : status;
  const match = typeof text === 'string' ? /^([2-9]\d\d)(?: (.*))?$/s.exec(text) : null;
  check(
    match !== null,
    `status is ${show(status)}; expected a number from 200 to 999, or "NNN Reason"`,
  );
  check(VALUE.test(match[2] ?? ''), 'the reason phrase holds a character that may not stand in it');
  return Number(match[1]);
}

function checkHeader(name: unknown, value: unknown, seen: Map<string, string>): void {
  check(typeof name === 'string' && TOKEN.test(name), `header name ${show(name)} is not a token`);
  const lower = name.toLowerCase();
  check(lower !== 'status', 'there is a header Status; the status is the first argument');
  check(!HOP_BY_HOP.has(lower), `header ${name} belongs to the connection, which is Apache's`);
  check(!(seen.has(lower) && ONCE.has(lower)), `header ${name} is there twice`);
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  check(!ONCE.has(lower) || values.length === 1, `header ${name} has ${values.length} values`);
  for (const one of values) {
    const text = typeof one === 'number' ? String(one) : one;
    check(
      typeof text === 'string',
      `header ${name} has the value ${show(one)}; expected a string or a number`,
    );
    check(VALUE.test(text), `header ${name} has a character that may not stand in a value`);
    check(text === text.trim(), `header ${name} begins or ends with white space`);
    seen.set(lower, text);
  }
}

/** One call of the application. */
class Validation {
  #status = 0;
  /** Content-Length, −1 if it is not said. */
  #length = -1;
  #sent = 0;
  #isOver = false;
  readonly #isHead: boolean;
  readonly #startResponse: StartResponse;

  constructor(environ: Environ, startResponse: StartResponse) {
    this.#isHead = environ.REQUEST_METHOD === 'HEAD';
    this.#startResponse = startResponse;
  }

  readonly start: StartResponse = (status, headers = [], error) => {
    check(!this.#isOver, 'startResponse() was called after the body had ended');
    check(
      this.#status === 0 || error !== undefined,
      'startResponse() was called twice, without an error as its third argument',
    );
    this.#status = checkStatus(status);
    this.#checkHeaders(headers);
    this.#startResponse(status, headers, error);
  };

  #checkHeaders(headers: ResponseHeaders): void {
    const seen = new Map<string, string>();
    check(typeof (headers as unknown) === 'object', `headers are ${show(headers)}`);
    const pairs: Iterable<unknown> = Symbol.iterator in headers ? headers : Object.entries(headers);
    for (const pair of pairs) {
      check(
        Array.isArray(pair) && pair.length === 2,
        `headers hold ${show(pair)}; expected [name, value]`,
      );
      checkHeader(pair[0], pair[1], seen);
    }
    if (this.#status === 204) check(!seen.has('content-length'), '204 has a Content-Length');
    const length = seen.get('content-length');
    check(length === undefined || /^\d+$/.test(length), `Content-Length is ${show(length)}`);
    this.#length = length === undefined ? -1 : Number(length);
  }

  chunk(chunk: unknown): Chunk {
    check(!this.#isOver, 'a piece of the body came after its end');
    check(
      typeof chunk === 'string' || chunk instanceof Uint8Array,
      `a piece of the body is ${show(chunk)}; expected a string or a Uint8Array`,
    );
    const size = typeof chunk === 'string' ? Buffer.byteLength(chunk) : chunk.byteLength;
    this.#sent += size;
    if (size === 0) return chunk;
    check(this.#status !== 0, 'a piece of the body came before startResponse()');
    check(this.#status !== 204 && this.#status !== 304, `status ${this.#status} has a body`);
    check(
      this.#length === -1 || this.#sent <= this.#length,
      `the body is longer than its Content-Length of ${this.#length}`,
    );
    return chunk;
  }

  end(): void {
    check(this.#status !== 0, 'the body ended and startResponse() was not called');
    check(
      this.#length === -1 || this.#isHead || this.#status === 304 || this.#sent === this.#length,
      `the body has ${this.#sent} bytes and a Content-Length of ${this.#length}`,
    );
    this.#isOver = true;
  }

  body(result: unknown): Body {
    if (typeof result === 'string' || result instanceof Uint8Array) {
      this.chunk(result);
      this.end();
      return result;
    }
    check(
      typeof result === 'object' && result !== null,
      `the application returned ${show(result)}; expected a body`,
    );
    if (Symbol.asyncIterator in result) {
      return this.#async(result as AsyncIterable<unknown>);
    }
    check(
      Symbol.iterator in result,
      'the application returned an object that is not iterable; expected a body',
    );
    return this.#sync(result as Iterable<unknown>);
  }

  *#sync(result: Iterable<unknown>): Iterable<Chunk> {
    for (const chunk of result) yield this.chunk(chunk);
    this.end();
  }

  async *#async(result: AsyncIterable<unknown>): AsyncIterable<Chunk> {
    for await (const chunk of result) yield this.chunk(chunk);
    this.end();
  }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  );
}

/**
 * Wraps an application for development and tests.
 * @returns an application that does the same, and throws TSGI0720 where TSGI is not kept to.
 */
export function validator(application: Application): Application {
  check(
    typeof application === 'function',
    `the application is ${show(application)}; expected a function`,
  );
  check(
    application.length <= 2,
    `the application takes ${application.length} parameters; expected 2`,
  );
  return (environ, startResponse) => {
    checkEnviron(environ);
    check(typeof startResponse === 'function', `startResponse is ${show(startResponse)}`);
    const validation = new Validation(environ, startResponse);
    const result: unknown = application(environ, validation.start);
    if (!isPromise(result)) return validation.body(result);
    return Promise.resolve(result).then((body) => validation.body(body));
  };
}
