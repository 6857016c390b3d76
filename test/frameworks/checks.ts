/** What a client does with an app: each as a browser or a client library would. */
import { createHash, randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { waitFor } from '../harness/wait.ts';
import type { Check, Served } from './framework.ts';
import { ask, begin, PATIENCE_MS, type Answer, type Ask } from './transport.ts';

const UPLOAD_BYTES = 3_000_000;
const BOUNDARY = 'mod-tsgi-boundary';
const MOST_REDIRECTS = 3;

/** Where a link or a redirect leads from `path`: below the app's own base path, or this throws. */
function target({ origin, base }: Served, path: string, link: string): string {
  const url = new URL(link, origin + path);
  expect(url.origin, `origin of ${link}`).to.equal(origin);
  expect(`${url.pathname}/`, link).to.match(new RegExp(`^${base}/`));
  return url.pathname + url.search;
}

interface Visit extends Answer {
  /** After redirects. */
  readonly path: string;
}

/** Goes where a browser would, redirects included. */
async function follow(served: Served, from: string): Promise<Visit> {
  let path = from;
  for (let hops = 0; hops <= MOST_REDIRECTS; hops++) {
    const answer = await ask(served, path, { headers: { Accept: 'text/html' } });
    const { location } = answer.headers;
    if (location === undefined) {
      expect(answer.status, `${path}\n${answer.body}`).to.equal(200);
      return { ...answer, path };
    }
    path = target(served, path, location);
  }
  throw new Error(`${from} still redirects after ${MOST_REDIRECTS} times`);
}

const visit = (served: Served, path: string): Promise<Visit> => follow(served, served.base + path);

/** A page of HTML with these words. */
export function page(path: string, words: string): Check {
  return async (served) => {
    const answer = await visit(served, path);
    expect(answer.headers['content-type']).to.match(/^text\/html\b/);
    expect(answer.body).to.include(words);
  };
}

/** An answer of any type with these words. */
export function answer(path: string, words: string, options: Ask = {}): Check {
  return async (served) => {
    const got = await ask(served, served.base + path, options);
    expect(got.body).to.include(words);
    expect(got.status).to.be.within(200, 201);
  };
}

/** The app answers for its own host name, and for no other one. */
export function hosts(path: string, own: string): Check {
  return async (served) => {
    const statuses = { [own]: 200, 'other.example.org': 403 };
    for (const [Host, status] of Object.entries(statuses)) {
      const got = await ask(served, served.base + path, { headers: { Host } });
      expect(got.status, Host).to.equal(status);
    }
  };
}

/** A redirect to a page with these words. */
export function redirect(path: string, words: string): Check {
  return async (served) => {
    const from = served.base + path;
    const { status, headers } = await ask(served, from);
    expect(status).to.be.oneOf([301, 302, 303, 307, 308]);
    const shown = await follow(served, target(served, from, headers.location ?? ''));
    expect(shown.body).to.include(words);
  };
}

/** Counts visits by a cookie that is to travel over TLS only: without TLS it is not even set. */
export function secureCookie(path: string): Check {
  return async (served) => {
    const first = await ask(served, served.base + path);
    const cookies = (first.headers['set-cookie'] ?? []).filter((it) => /;\s*secure\b/i.test(it));
    expect(first.body).to.equal('visits: 1');
    if (served.origin.startsWith('http:')) return void expect(cookies).to.deep.equal([]);
    expect(cookies).to.not.be.empty;
    const Cookie = cookies.map((cookie) => cookie.split(';')[0]).join('; ');
    const second = await ask(served, served.base + path, { headers: { Cookie } });
    expect(second.body).to.equal('visits: 2');
  };
}

const TYPES: Readonly<Record<string, RegExp>> = {
  css: /^text\/css\b/,
  js: /^(?:text|application)\/javascript\b/,
  mjs: /^(?:text|application)\/javascript\b/,
  txt: /^text\/plain\b/,
};

/** Style sheets, scripts and files that a page names. */
function linksOf(served: Served, { path, body }: Visit): string[] {
  const links = [...body.matchAll(/\b(?:href|src)="([^"#]+\.(?:css|m?js|txt))(?:\?[^"]*)?"/g)];
  return [...new Set(links.map(([, link]) => target(served, path, link ?? '')))];
}

/** All that the page names arrives, under the right type; every second time from the cache. */
export function assets(path: string): Check {
  return async (served) => {
    const links = linksOf(served, await visit(served, path));
    expect(links, 'links of the page').to.not.be.empty;
    for (const link of links) {
      const got = await follow(served, link);
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
  const again = await ask(served, path, known);
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
  return { 'Content-Type': type, Origin: served.origin };
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

/** Fills in the form of a page and submits it, as a browser without JavaScript does that shows a page of `origin`. */
async function submit(
  served: Served,
  path: string,
  origin: string,
): Promise<{ action: string; sent: Answer }> {
  const shown = await visit(served, path);
  const [html] = /<form\b[^]*?<\/form>/i.exec(shown.body) ?? [];
  expect(html, 'the form').to.match(/method="post"/i);
  const action = target(served, shown.path, attribute(html!, 'action') ?? '');
  return { action, sent: await ask(served, action, encodeForm({ ...served, origin }, html!)) };
}

/** Submits the form of a page and sees what it leads to. */
export function form(path: string): Check {
  return async (served) => {
    const { action, sent } = await submit(served, path, served.origin);
    const { location } = sent.headers;
    if (location === undefined) expect(sent.status, sent.body).to.be.within(200, 201);
    else expect(sent.status).to.equal(303);
    const next =
      location === undefined ? sent : await follow(served, target(served, action, location));
    expect(next.body).to.include('Hello, mod_tsgi');
  };
}

/** The same, and another site's page may not submit it: not even the same host's, by the other scheme. */
export function guardedForm(path: string): Check {
  return async (served) => {
    await form(path)(served);
    const { origin } = served;
    const other = origin.startsWith('https:')
      ? origin.replace('https:', 'http:')
      : origin.replace('http:', 'https:');
    for (const foreign of ['https://other.example.org', other]) {
      const { sent } = await submit(served, path, foreign);
      expect(sent.status, `from ${foreign}`).to.equal(403);
    }
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
    const shown = await visit(served, path);
    const [, id] = /\$ACTION_ID_(\w+)/.exec(shown.body) ?? [];
    expect(id, 'the id of an action').to.be.a('string');
    const called = await ask(served, shown.path, {
      method: 'POST',
      headers: {
        ...formHeaders(served, `multipart/form-data; boundary=${BOUNDARY}`),
        Accept: 'text/x-component',
        'Next-Action': id!,
      },
      body: `${part('_1_name', 'mod_tsgi')}${part('0', '["$K1"]')}--${BOUNDARY}--\r\n`,
    });
    expect(called.status, called.body).to.be.oneOf([200, 303]);
    const [location] = String(called.headers['x-action-redirect']).split(';');
    // Next.js' own JavaScript puts the base path in front.
    expect(location).to.equal('/greeting/mod_tsgi');
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
    const got = await ask(served, served.base + path, {
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
  return async (served) => {
    const reply = await begin(served, served.base + path, options);
    let text = '';
    let isOver = false;
    let error: unknown;
    reply.body.setEncoding('utf8');
    reply.body.on('data', (chunk: string) => (text += chunk));
    reply.body.on('error', (reason) => (error = reason));
    reply.body.on('close', () => (isOver = true));
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
        await ask(served, served.base + release);
        return isOver;
      };
      await waitFor(ended, { what: 'the end', timeoutMs: PATIENCE_MS });
      expect(text).to.include('last part');
      expect(reply.isWhole(), what()).to.equal(true);
    } finally {
      reply.close();
    }
  };
}
