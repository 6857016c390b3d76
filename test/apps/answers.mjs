// A fetch handler with an answer of each kind.
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import { FastResponse } from 'srvx/node';

const Captured = Response;
const users = new AsyncLocalStorage();
const kept = new Response('kept');
/** Requests to /wait that came, and whose client has left. */
const waits = { begun: 0, left: 0 };
/** fetch(request) asks this app again: what it asked then. */
let asked;

const answers = {
  text: () => new Response('grün', { headers: { 'X-A': 'é' }, status: 201, statusText: 'Yes' }),
  bytes: () => new Response(Uint8Array.of(0xff, 0, 0x80), { headers: { 'content-type': 'a/b' } }),
  json: () => Response.json({ a: '€' }),
  none: () => new Response(null, { headers: { 'x-a': 'b' } }),
  'empty-text': () => new Response(''),
  204: () => new Response(null, { status: 204 }),
  304: () => new Response(null, { status: 304, headers: { etag: '"x"' } }),
  redirect: () => Response.redirect('http://a.test/b', 303),
  cookies: () => {
    const response = new Response('c');
    response.headers.append('set-cookie', 'a=b');
    response.headers.append('set-cookie', 'c=d; Path=/');
    return response;
  },
  'own-length': () => new Response('four', { headers: { 'content-length': '4' } }),
  'own-type': () => new Response('<p>', { headers: { 'content-type': 'text/html' } }),
  'no-type': () => {
    const response = new Response('x');
    response.headers.delete('content-type');
    return response;
  },
  trailer: () => new Response('no trailers', { headers: { trailer: 'x-t' } }),
  encoding: () => new Response('whole', { headers: { 'transfer-encoding': 'chunked' } }),
  'looked-at': () => {
    const response = new Response('looked at', { headers: { 'x-a': 'b' } });
    return response.body === null ? undefined : response;
  },
  cloned: () => new Response('cloned').clone(),
  again: () => {
    const one = new Response('again', { status: 202 });
    return new Response(one.body, one);
  },
  captured: () => new Captured('captured'),
  late: async () => {
    await new Promise(setImmediate);
    return new Response('late');
  },
  fetched: () => fetch('data:text/plain,fetched'),
  subclass: () =>
    new (class extends Response {
      #body = super.body.pipeThrough(new TransformStream());
      get body() {
        return this.#body;
      }
    })('subclass'),
  fast: () => new FastResponse('fast', { headers: { 'x-a': 'b' } }),
  stream: () => new Response(ReadableStream.from([Buffer.from('one,'), Buffer.from('two')])),
  large: () => new Response('x'.repeat(1024 * 1024)),
  'by-hand': (_request, { outgoing }) => {
    outgoing.setHeader('x-by-hand', 'yes');
    return new Response('half by hand');
  },
  'all-by-hand': (_request, { outgoing }) => {
    outgoing.end('all by hand');
    return new Response('not this');
  },
  kept: () => kept,
  read: async () => {
    const response = new Response('read');
    await response.text();
    return response;
  },
  'bad-header': () => new Response('x', { headers: { 'x-a': 'b\u0001' } }),
  throws: () => {
    throw new Error('on purpose');
  },
  'no-response': () => 'text',
  waits: () => Response.json(waits),
  wait: (request) => {
    request.signal.addEventListener('abort', () => waits.left++);
    waits.begun++;
    return new Promise(() => undefined);
  },
  user: async (request) => {
    users.enterWith(request.headers.get('x-user'));
    await new Promise(setImmediate);
    return new Response(users.getStore());
  },
  hash: async (request) => {
    const hash = createHash('sha256');
    for await (const piece of request.body) hash.update(piece);
    return new Response(hash.digest('hex'));
  },
  refused: (request) => new Response(`refused ${request.method}`, { status: 413 }),
  form: async (request) => Response.json([...(await request.formData())]),
  twice: async (request) => {
    const clone = request.clone();
    return new Response((await request.text()) + (await clone.text()));
  },
  request: (request) =>
    Response.json({
      isRequest: request instanceof Request && Request.prototype.isPrototypeOf(request),
      method: request.method,
      url: request.url,
      agent: request.headers.get('user-agent'),
      signal: request.signal instanceof AbortSignal,
      ip: request.ip,
      runtime: request.runtime.name,
    }),
  copied: async (request) => {
    const copy = new Request(request, { headers: { 'x-a': 'c' } });
    return new Response(
      [copy.method, copy.url, copy.headers.get('x-a'), await copy.text(), request.bodyUsed].join(),
    );
  },
  'sent-on': async (request) => {
    if (asked === undefined) {
      asked = '';
      const answer = await fetch(request);
      return new Response(`${asked} ${await answer.text()}`);
    }
    asked = `${request.method} ${request.headers.get('x-a')} ${await request.text()}`;
    return new Response('from itself', { headers: { 'x-a': 'b' } });
  },
};

export default {
  fetch(request, environment) {
    const { pathname } = new URL(request.url);
    return answers[pathname.slice(1)](request, environment);
  },
};
