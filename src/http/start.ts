/** What an application says to startResponse(), checked. */
import { STATUS_CODES } from 'node:http';
import { TsgiError } from '../errors.ts';
import type { HeaderValue, ResponseHeaders } from '../types.ts';

/** The head of a callable's response. */
export interface CallableHead {
  readonly status: number;
  readonly reason: string;
  /** `Name: value\r\n…`. The host may add to it. */
  text: string;
  /** Content-Length as the app says, −1 if it says nothing. */
  readonly length: number;
  /** Not so for 204 and 304. */
  readonly mayHaveBody: boolean;
}

const STATUS = /^([2-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
const NAME = /^[\w!#$%&'*+.^`|~-]+$/;
const INVALID_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const LENGTH = /^\d{1,15}$/;

/** What a value is, for a message: never its contents if they could be long or secret. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `the string ${JSON.stringify(value.slice(0, 80))}`;
    case 'number':
    case 'bigint':
    case 'boolean':
      return `the ${typeof value} ${value.toString()}`;
    case 'object':
      return describeObject(value);
    default:
      return value === undefined ? 'undefined' : `a ${typeof value}`;
  }
}

function describeObject(value: object | null): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  const name: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return typeof name === 'string' && name !== '' ? `an object of class ${name}` : 'an object';
}

function bad(came: string, expected: string): TsgiError {
  return new TsgiError(704, { came, expected });
}

interface Status {
  readonly status: number;
  readonly reason: string;
}

/** Texts that were parsed before: an app has few. What is remembered has an end all the same. */
const statuses = new Map<string, Status>();
const MAX_STATUSES = 64;

function parseStatus(status: unknown): Status {
  if (typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 999) {
    return { status, reason: STATUS_CODES[status] ?? 'unknown' };
  }
  const known = typeof status === 'string' ? statuses.get(status) : undefined;
  if (known !== undefined) return known;
  const match = typeof status === 'string' ? STATUS.exec(status) : null;
  if (match === null) {
    throw bad(
      `${describe(status)} as the status`,
      'a number from 200 to 999, or text like "404 Not Found"',
    );
  }
  const number = Number(match[1]);
  const parsed = { status: number, reason: match[2] ?? STATUS_CODES[number] ?? 'unknown' };
  if (statuses.size < MAX_STATUSES) statuses.set(match[0], parsed);
  return parsed;
}

/** One header line. */
function line(name: string, value: unknown): string {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string') {
    throw bad(
      `${describe(value)} as value of the header ${name}`,
      'a string, a number or an array of strings',
    );
  }
  if (INVALID_VALUE.test(text)) {
    throw bad(
      `a value of the header ${name} with a character that may not stand in it`,
      'characters from U+0020 to U+00FF but no control characters (encode others)',
    );
  }
  return `${name}: ${text}\r\n`;
}

function checkName(name: unknown): string {
  if (typeof name === 'string' && NAME.test(name)) return name;
  throw bad(`${describe(name)} as the name of a header`, 'a token as in RFC 9110, section 5.6.2');
}

function parseLength(value: unknown): number {
  const text = String(value);
  if (LENGTH.test(text)) return Number(text);
  throw bad(`${describe(value)} as Content-Length`, 'a whole number');
}

/** @returns pairs in the order in which they shall be sent. */
function pairsOf(headers: ResponseHeaders): Iterable<readonly [string, HeaderValue]> {
  if (typeof headers === 'object' && (headers as object | null) !== null) {
    if (!(Symbol.iterator in headers)) return Object.entries(headers);

    return headers as Iterable<readonly [string, HeaderValue]>;
  }
  throw bad(`${describe(headers)} as headers`, 'an iterable of [name, value], or an object');
}

/** @throws TsgiError TSGI0704. */
export function makeHead(status: unknown, headers: ResponseHeaders = []): CallableHead {
  const { status: number, reason } = parseStatus(status);
  let text = '';
  let length = -1;
  for (const pair of pairsOf(headers)) {
    if (!Array.isArray(pair))
      throw bad(`${describe(pair)} among the headers`, 'pairs [name, value]');
    const name = checkName(pair[0]);
    const value: unknown = pair[1];
    if (Array.isArray(value)) for (const one of value) text += line(name, one);
    else text += line(name, value);
    if (name.length === 14 && name.toLowerCase() === 'content-length') {
      const declared = parseLength(value);
      if (length !== -1 && length !== declared) throw bad('two Content-Lengths', 'one');
      length = declared;
    }
  }
  return { status: number, reason, text, length, mayHaveBody: number !== 204 && number !== 304 };
}
