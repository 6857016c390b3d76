// What a Response does, asked when this file is loaded and in its handler: the worker may have made it cheaper
// between, and must not have changed it.
import { inspect } from 'node:util';

const Captured = Response;
const wasm = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

const head = (response) => ({
  status: response.status,
  statusText: response.statusText,
  ok: response.ok,
  type: response.type,
  url: response.url,
  redirected: response.redirected,
  headers: [...response.headers],
});

/** What a stream gives, piece by piece. */
async function pieces(stream) {
  const all = [];
  for await (const piece of stream) all.push(Buffer.from(piece).toString());
  return all;
}

const BODIES = {
  text: () => 'grün',
  'empty text': () => '',
  'half a pair': () => 'a\ud800b',
  'a Buffer': () => Buffer.from('bytes'),
  'a part of a buffer': () => new Uint8Array(new TextEncoder().encode('0123456789').buffer, 2, 3),
  'no bytes': () => new Uint8Array(0),
  'an ArrayBuffer': () => new TextEncoder().encode('buffer').buffer,
  'a DataView': () => new DataView(new TextEncoder().encode('view').buffer),
  'words of 16 bits': () => Uint16Array.of(0x4142, 0x4344),
  'shared memory': () => new Uint8Array(new SharedArrayBuffer(2)),
  'a detached buffer': () => {
    const bytes = new Uint8Array(4);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    return bytes;
  },
  'a Blob': () => new Blob(['blob'], { type: 'text/x-blob' }),
  'search parameters': () => new URLSearchParams({ a: 'b c' }),
  'a stream': () => ReadableStream.from([Buffer.from('one'), Buffer.from('two')]),
  'a number': () => 42,
  null: () => null,
  undefined: () => undefined,
};

const INITS = {
  'no init': undefined,
  'null as init': null,
  'text as init': 'init',
  headers: { headers: { 'Content-Type': 'text/html', 'X-A': ' b ' }, status: 201 },
  'pairs of headers': { headers: [['Set-Cookie', 'a=b'], ['Set-Cookie', 'c=d'], ['X', 'é']] },
  'a Headers': { headers: new Headers({ 'x-a': 'b' }), statusText: 'Fine' },
  'a Response': new Captured(null, { status: 404, headers: { 'x-a': 'b' } }),
  'status 204': { status: 204 },
  'status 205': { status: 205 },
  'status 304': { status: 304 },
  'status 199': { status: 199 },
  'status 600': { status: 600 },
  'no status': { status: 'none' },
  'a bad reason': { statusText: 'a\nb' },
  'a bad name': { headers: { 'a b': 'c' } },
  'a bad value': { headers: { a: 'b\nc' } },
  'a value beyond latin1': { headers: { a: '€' } },
};

const READERS = ['text', 'json', 'arrayBuffer', 'blob', 'formData', 'bytes', 'textStream'];

/** name → what comes of it. They look up `Response` when they run. */
const checks = {
  class: () => [
    Response.name,
    Response.length,
    Response.json.name,
    Response.json.length,
    Object.getOwnPropertyNames(Response),
    Reflect.ownKeys(Response.prototype).map(String),
    Object.entries(Object.getOwnPropertyDescriptors(Response.prototype)).map(
      ([name, { get, value, set, ...flags }]) => [
        name,
        get?.name,
        typeof set,
        typeof value === 'function' && [value.name, value.length],
        flags,
      ],
    ),
    Object.prototype.toString.call(new Response('x')),
    new Response('x').constructor === Response,
    Object.getPrototypeOf(new Response('x')) === Response.prototype,
    Object.getPrototypeOf(Response) === Function.prototype,
  ],
  instances: async () => {
    const fetched = await fetch('data:text/plain,fetched');
    return [
      ...[new Response('x'), new Captured('x'), Response.json(1), Response.error(), fetched].flatMap(
        (response) => [response instanceof Response, response instanceof Captured],
      ),
      {} instanceof Response,
      await fetched.text(),
      fetched.bodyUsed,
    ];
  },
  'called without new': () => Response('x'),
  'own keys': () => [Object.keys(new Response('x')), JSON.stringify(new Response('x'))],
  inspect: () => [inspect(new Response('x')), inspect(new Response('x'), { depth: 0 })],
  'a structured clone': () => Object.keys(structuredClone(new Response('x'))),
  'members of others': () => [
    Reflect.apply(Response.prototype.clone, {}, []),
  ],
  'a getter of nobody': () => Response.prototype.body,
  'methods of the captured class': async () => [
    await Captured.prototype.text.call(new Response('x')),
    await Response.prototype.text.call(new Captured('y')),
  ],
  'bytes that change': async () => {
    const bytes = Buffer.from('before');
    const response = new Response(bytes);
    bytes.fill('x');
    return response.text();
  },
  'headers that change': async () => {
    const init = { headers: { a: 'b' }, status: 201 };
    const response = new Response('x', init);
    init.headers.a = 'c';
    init.status = 500;
    response.headers.set('d', 'e');
    return head(response);
  },
  'the body is one stream': async () => {
    const response = new Response('x');
    const { body } = response;
    return [body === response.body, body instanceof ReadableStream, await pieces(body)];
  },
  'bytes by a reader of its own kind': async () => {
    const reader = new Response('text').body.getReader({ mode: 'byob' });
    const { value, done } = await reader.read(new Uint8Array(2));
    return [Buffer.from(value).toString(), done];
  },
  'a locked body': async () => {
    const response = new Response('x');
    response.body.getReader();
    return [response.bodyUsed, await outcome(() => response.text())];
  },
  'a cancelled body': async () => {
    const response = new Response('x');
    await response.body.cancel();
    return [response.bodyUsed, await outcome(() => response.text())];
  },
  'used while it is read': () => {
    const response = new Response('x');
    const before = response.bodyUsed;
    response.text();
    return [before, response.bodyUsed];
  },
  'through other streams': async () => {
    const through = new Response('grün').body.pipeThrough(new TextDecoderStream());
    return new Response(through.pipeThrough(new TextEncoderStream())).text();
  },
  'a Response of a Response': async () => {
    const one = new Response('x', { status: 201, headers: { a: 'b' } });
    const two = new Response(one.body, one);
    return [head(two), await two.text(), one.bodyUsed];
  },
  clones: async () => {
    const one = new Response('x', { status: 201, statusText: 'Y', headers: { a: 'b' } });
    const two = one.clone();
    two.headers.set('a', 'c');
    one.body.getReader().releaseLock();
    const three = one.clone();
    return [
      head(one),
      head(two),
      await Promise.all([one, two, three].map((response) => response.text())),
      await outcome(() => one.clone()),
      three instanceof Response,
    ];
  },
  'a clone while it is locked': () => {
    const response = new Response('x');
    response.body.getReader();
    return response.clone();
  },
  'a type given later': async () => {
    const response = new Response('a=b');
    response.headers.set('content-type', 'application/x-www-form-urlencoded');
    const form = await response.clone().formData();
    response.headers.delete('content-type');
    return [[...form], (await response.blob()).type];
  },
  subclasses: async () => {
    class Loud extends Response {
      constructor(body, init) {
        super(body, init);
        this.own = true;
      }
      async text() {
        return (await super.text()).toUpperCase();
      }
    }
    const loud = new Loud('x', { status: 202 });
    return [
      loud instanceof Response,
      Object.getPrototypeOf(loud) === Loud.prototype,
      loud.own,
      loud.constructor.name,
      loud.status,
      await loud.clone().text(),
      await loud.text(),
      Loud.json({}) instanceof Loud,
      inspect(Loud),
    ];
  },
  'JSON of no value': () => Response.json(undefined),
  'JSON of nothing': () => Response.json(),
  'JSON of a number too great': () => Response.json(1n),
  'JSON with status 204': () => Response.json(1, { status: 204 }),
  'JSON with init null': async () => head(Response.json(1, null)),
  JSON: async () => {
    const response = Response.json({ a: '\ud800', toJSON: undefined }, { status: 418 });
    return [head(response), await response.json()];
  },
  'JSON with a type': () => head(Response.json(1, { headers: { 'content-type': 'text/x' } })),
  redirects: () => [head(Response.redirect('http://a.test/', 303)), head(Response.error())],
  'a bad redirect': () => Response.redirect('http://a.test/', 200),
  'a changed redirect': () => Response.redirect('http://a.test/').headers.set('a', 'b'),
  WebAssembly: async () => {
    const init = { headers: { 'content-type': 'application/wasm' } };
    return String(await WebAssembly.compileStreaming(new Response(wasm, init)));
  },
};

for (const [body, make] of Object.entries(BODIES)) {
  for (const reader of READERS) {
    if (reader in Response.prototype) checks[`${reader}() of ${body}`] = () => read(make(), reader);
  }
  checks[`the body of ${body}`] = async () => {
    const stream = new Response(make()).body;
    return stream === null ? null : pieces(stream);
  };
}
for (const [name, init] of Object.entries(INITS)) {
  for (const body of ['x', Buffer.from('x'), null]) {
    checks[`${name} with ${inspect(body)}`] = () => head(new Response(body, init));
  }
}

async function read(body, reader) {
  const response = new Response(body);
  const got = await outcome(async () => {
    const value = await response[reader]();
    if (value instanceof ReadableStream) return pieces(value);
    if (value instanceof Blob) return [value.type, await value.text()];
    if (value instanceof ArrayBuffer) return Buffer.from(value).toString('latin1');
    return value;
  });
  return [head(response), got, response.bodyUsed, await outcome(() => response[reader]())];
}

async function outcome(run) {
  try {
    return (await run()) ?? null;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

async function ask() {
  const found = {};
  for (const [name, check] of Object.entries(checks)) found[name] = await outcome(check);
  return found;
}

const before = await ask();

export default {
  async fetch() {
    return Response.json({ before, after: await ask(), isReplaced: Response !== Captured });
  },
};
