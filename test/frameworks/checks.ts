/** What a client does with an app: each as a browser or a client library would. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { ask, type Answer, type Ask } from '../harness/client.ts';
import { waitFor } from '../harness/wait.ts';
import type { Check, Served } from './framework.ts';

/** Builds of frameworks share the machine with what else runs on it. */
const PATIENCE_MS = 30_000;
const UPLOAD_BYTES = 3_000_000;
const BOUNDARY = 'mod-tsgi-boundary';

const originOf = ({ port }: Served): string => `http://127.0.0.1:${port}`;

function expectWhole(answer: Answer, path: string): void {
  expect(answer, `${path}\n${answer.body}`).to.include({ status: 200, complete: true });
}

async function get(served: Served, path: string): Promise<Answer> {
  const answer = await ask(served.port, path, { headers: { Accept: 'text/html' } });
  expectWhole(answer, path);
  return answer;
}

/** A page of HTML with these words. */
export function page(path: string, words: string): Check {
  return async (served) => {
    const answer = await get(served, path);
    expect(answer.headers['content-type']).to.match(/^text\/html\b/);
    expect(answer.body).to.include(words);
  };
}

/** An answer of any type with these words. */
export function answer(path: string, words: string, options: Ask = {}): Check {
  return async (served) => {
    const got = await ask(served.port, path, options);
    expect(got.body).to.include(words);
    expect(got.status).to.be.within(200, 201);
  };
}

const TYPES: Readonly<Record<string, RegExp>> = {
  css: /^text\/css\b/,
  js: /^(?:text|application)\/javascript\b/,
  mjs: /^(?:text|application)\/javascript\b/,
  txt: /^text\/plain\b/,
};

/** Style sheets, scripts and files that a page names. */
function linksOf(html: string): string[] {
  const links = [...html.matchAll(/\b(?:href|src)="([^"#]+\.(?:css|m?js|txt))(?:\?[^"]*)?"/g)];
  return [...new Set(links.map(([, link]) => new URL(link ?? '', 'http://localhost/').pathname))];
}

/** All that the page names arrives, under the right type; every second time from the cache. */
export function assets(path: string): Check {
  return async (served) => {
    const links = linksOf((await get(served, path)).body);
    expect(links, 'links of the page').to.not.be.empty;
    for (const link of links) {
      const got = await get(served, link);
      expect(got.body.length, link).to.be.greaterThan(0);
      const type = TYPES[link.slice(link.lastIndexOf('.') + 1)];
      expect(got.headers['content-type'], link).to.match(type!);
      await expectCached(served, link, got);
    }
  };
}

/** A client that has it already and says so gets 304. */
async function expectCached(served: Served, path: string, { headers }: Answer): Promise<void> {
  if (headers.etag === undefined) return;
  const known = { headers: { 'If-None-Match': headers.etag } };
  const again = await ask(served.port, path, known);
  expect(again, `${path} with If-None-Match`).to.include({ status: 304, body: '' });
}

const decode = (text: string): string => text.replaceAll('&amp;', '&').replaceAll('&quot;', '"');

function attribute(tag: string, name: string): string | undefined {
  const value = new RegExp(`\\s${name}="([^"]*)"`, 'i').exec(tag)?.[1];
  return value === undefined ? undefined : decode(value);
}

function part(name: string, value: string, more = ''): string {
  return `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
}

/** Headers of what a browser sends from a page of the site. */
function formHeaders(served: Served, type: string): Record<string, string> {
  return { 'Content-Type': type, Origin: originOf(served) };
}

/** The form's hidden fields and ours, as the form wants them sent. */
function encodeForm(served: Served, form: string): Ask {
  const hidden = [...form.matchAll(/<input\b[^>]*type="hidden"[^>]*>/gi)].map(([tag]) => tag);
  const fields = hidden.map((tag): [string, string] => {
    return [attribute(tag, 'name') ?? '', attribute(tag, 'value') ?? ''];
  });
  const all: [string, string][] = [...fields, ['name', 'mod_tsgi']];
  const isMultipart = attribute(form, 'enctype') === 'multipart/form-data';
  const body = isMultipart
    ? `${all.map(([name, value]) => part(name, value)).join('')}--${BOUNDARY}--\r\n`
    : new URLSearchParams(all).toString();
  const type = isMultipart
    ? `multipart/form-data; boundary=${BOUNDARY}`
    : 'application/x-www-form-urlencoded';
  return { method: 'POST', headers: { ...formHeaders(served, type), Accept: 'text/html' }, body };
}

/** Fills in the form of a page and submits it, as a browser without JavaScript does. */
export function form(path: string): Check {
  return async (served) => {
    const { body } = await get(served, path);
    const [html] = /<form\b[^]*?<\/form>/i.exec(body) ?? [];
    expect(html, 'the form').to.match(/method="post"/i);
    const action = attribute(html!, 'action');
    const target = action === undefined || action === '' ? path : action;
    const sent = await ask(served.port, target, encodeForm(served, html!));
    const { location } = sent.headers;
    if (location === undefined) expect(sent.status, sent.body).to.be.within(200, 201);
    else expect(sent.status).to.equal(303);
    const shown =
      location === undefined
        ? sent
        : await get(served, new URL(location, originOf(served)).pathname);
    expect(shown.body).to.include('Hello, mod_tsgi');
  };
}

/** One check after the other. */
export function both(first: Check, second: Check): Check {
  return async (served) => {
    await first(served);
    await second(served);
  };
}

/**
 * Calls the server action of a page's form as Next.js' own JavaScript does. The action redirects, and the
 * answer brings the page that it leads to, which Next.js asks itself for, at the port that it believes to have.
 */
export function serverAction(path: string): Check {
  return async (served) => {
    const [, id] = /\$ACTION_ID_(\w+)/.exec((await get(served, path)).body) ?? [];
    expect(id, 'the id of an action').to.be.a('string');
    const called = await ask(served.port, path, {
      method: 'POST',
      headers: {
        ...formHeaders(served, `multipart/form-data; boundary=${BOUNDARY}`),
        Accept: 'text/x-component',
        'Next-Action': id,
      },
      body: `${part('_1_name', 'mod_tsgi')}${part('0', '["$K1"]')}--${BOUNDARY}--\r\n`,
    });
    expect(called.status, called.body).to.be.oneOf([200, 303]);
    expect(called.headers['x-action-redirect']).to.match(/^\/greeting\/mod_tsgi;/);
    expect(called.body).to.include('Hello, mod_tsgi');
  };
}

/** Sends a file of 3 MB, whose SHA-256 the app is to tell. `body` frames it. */
function expectHash(
  path: string,
  type: string,
  frame: (file: Buffer) => Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Check {
  return async (served) => {
    const file = randomBytes(UPLOAD_BYTES);
    const got = await ask(served.port, path, {
      method: 'POST',
      headers: { ...formHeaders(served, type), ...headers },
      body: frame(file),
    });
    expect(got.status, got.body).to.be.within(200, 201);
    expect(got.body).to.include(createHash('sha256').update(file).digest('hex'));
  };
}

/** A file as the body. */
export function uploadRaw(path: string): Check {
  return expectHash(path, 'application/octet-stream', (file) => file);
}

/** A file in a form, after these fields. */
export function upload(
  path: string,
  { fields = {}, field = 'file' }: { fields?: Record<string, string>; field?: string } = {},
): Check {
  const before = Object.entries(fields).map(([name, value]) => part(name, value));
  const head = part(
    field,
    '',
    '; filename="a.bin"\r\nContent-Type: application/octet-stream',
  ).slice(0, -2);
  return expectHash(
    path,
    `multipart/form-data; boundary=${BOUNDARY}`,
    (file) =>
      Buffer.concat([
        Buffer.from(before.join('') + head),
        file,
        Buffer.from(`\r\n--${BOUNDARY}--\r\n`),
      ]),
    // Asks for a preflight, which GraphQL servers want to see of forms.
    { 'X-Requested-With': 'XMLHttpRequest' },
  );
}

/**
 * The first part of a response arrives while the app still holds the last one back, until
 * `release` is asked for.
 */
export function stream(path: string, release: string, options: Ask = {}): Check {
  return async ({ port }) => {
    const { body, ...rest } = options;
    const req = httpRequest({ host: '127.0.0.1', port, path, agent: false, ...rest });
    let text = '';
    let isOver = false;
    let error: unknown;
    req.on('error', (reason) => (error = reason));
    req.on('response', (res) => {
      res.setEncoding('utf8');
      res.on('data', (chunk: string) => (text += chunk));
      res.on('error', (reason) => (error = reason));
      res.on('close', () => (isOver = res.complete));
    });
    req.end(body);
    try {
      const what = (): string => `${path}, of which came ${JSON.stringify(text)} ${String(error)}`;
      await waitFor(() => text.includes('first part'), {
        what: 'the first part',
        timeoutMs: PATIENCE_MS,
      });
      expect(text).to.not.include('last part');
      expect(isOver, what()).to.equal(false);
      // The app may begin to wait a moment after it has sent the first part.
      const ended = async (): Promise<boolean> => {
        await ask(port, release);
        return isOver;
      };
      await waitFor(ended, { what: 'the end', timeoutMs: PATIENCE_MS });
      expect(text).to.include('last part');
      expect(error).to.equal(undefined);
    } finally {
      req.destroy();
    }
  };
}

export interface EchoOptions {
  /** Each one after an answer to the one before. */
  readonly say?: readonly string[];
  readonly expected?: string;
  readonly protocol?: string;
}

/** A WebSocket on which the app answers what it is told, and closes when it is told to. */
export function echo(path: string, options: EchoOptions = {}): Check {
  const { say = ['mod_tsgi'], expected = 'mod_tsgi', protocol } = options;
  return async ({ port }) => {
    const socket = new WebSocket(
      `ws://127.0.0.1:${port}${path}`,
      protocol === undefined ? [] : [protocol],
    );
    const heard: string[] = [];
    const unsaid = [...say];
    const speak = (): void => {
      const message = unsaid.shift();
      if (message !== undefined) socket.send(message);
    };
    socket.on('message', (data: Buffer) => {
      heard.push(data.toString());
      speak();
    });
    let code: number | undefined;
    socket.on('close', (status) => (code = status));
    await once(socket, 'open');
    let error: Error | undefined;
    socket.on('error', (reason) => (error = reason));
    speak();
    const answered = (): boolean => heard.some((message) => message.includes(expected));
    try {
      await waitFor(() => answered() || code !== undefined, {
        what: `${expected} from ${path}`,
        timeoutMs: PATIENCE_MS,
      });
      expect(answered(), `${heard.join(' ')} ${String(code)} ${String(error)}`).to.equal(true);
      socket.close(1000);
      await waitFor(() => code !== undefined, { what: 'the close', timeoutMs: PATIENCE_MS });
      expect(code, String(error)).to.be.oneOf([1000, 1005]);
    } finally {
      socket.terminate();
    }
  };
}

/** The part of socket.io-client that is used. */
interface Client {
  readonly io: { readonly engine: { readonly transport: { readonly name: string } } };
  emitWithAck(event: string, ...args: unknown[]): Promise<unknown>;
  disconnect(): void;
  on(event: 'connect' | 'connect_error', listener: (error?: Error) => void): void;
}
type Connect = (url: string, options: object) => Client;

/** socket.io's own client: connects by one of the transports and ends with the last one. */
export function socketIo(transports: readonly string[]): Check {
  return async ({ port, dir }) => {
    const require = createRequire(join(dir, 'package.json'));
    const { io } = require('socket.io-client') as { io: Connect };
    const client = io(`http://127.0.0.1:${port}`, { transports, reconnection: false });
    try {
      await new Promise<void>((resolve, reject) => {
        client.on('connect', () => {
          resolve();
        });
        client.on('connect_error', (error) => {
          reject(error!);
        });
      });
      const last = transports.at(-1);
      await waitFor(() => client.io.engine.transport.name === last, {
        what: `the transport ${last ?? ''}`,
        timeoutMs: PATIENCE_MS,
      });
      expect(await client.emitWithAck('echo', 'mod_tsgi')).to.equal('mod_tsgi');
    } finally {
      client.disconnect();
    }
  };
}
