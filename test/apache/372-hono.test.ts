/** Hono as a fetch handler: its helpers and its middleware make Responses of Responses. */
import { expect } from 'chai';
import type { Answer, Ask } from '../harness/client.ts';
import { Httpd } from '../harness/httpd.ts';

interface Case {
  readonly ask?: Ask;
  readonly status?: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
}

const post = (body: string, type: string): Ask => ({
  method: 'POST',
  body,
  headers: { 'content-type': type },
});

const CASES: Readonly<Record<string, Case>> = {
  '/text': { body: 'text', headers: { 'content-length': '4' } },
  '/json': { status: 201, body: '{"a":1}', headers: { 'x-a': 'b' } },
  '/html': { body: '<p>html', headers: { 'content-type': 'text/html; charset=UTF-8' } },
  '/bytes': { body: 'bytes' },
  '/none': { status: 204, body: '' },
  '/redirect': { status: 302, body: '', headers: { location: '/text' } },
  '/cookies': {
    ask: { headers: { cookie: 'e=f' } },
    body: 'f',
    headers: { 'set-cookie': ['a=b; Path=/', 'c=d; Path=/'] },
  },
  '/cors/text': {
    ask: { headers: { origin: 'http://b.test' } },
    body: 'text',
    headers: { 'access-control-allow-origin': 'http://b.test' },
  },
  '/etag/text': { body: 'text', headers: { etag: '"372ea08cab33e71c02c651dbc83a474d32c676ea"' } },
  '/wrapped/text': { status: 202, body: '<text>' },
  '/stream': { body: 'one,two' },
  '/peer': { body: '127.0.0.1' },
  '/proxy': { body: 'text' },
  '/mounted': { body: 'inner /' },
  '/missing': { status: 404, body: '404 Not Found' },
  '/throws': { status: 500, body: 'caught on purpose' },
  '/form': { ask: post('a=b', 'application/x-www-form-urlencoded'), body: '{"a":"b"}' },
  '/echo': { ask: post('{"a":"ü"}', 'application/json'), body: '{"a":"ü"}' },
};

describe('a Hono app as a fetch handler', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.start({
      config: `
TSGIDaemonProcess hono
TSGIScriptAlias / @APPS@/hono-fetch.mjs process-group=hono
`,
    });
  });
  after(() => httpd.stop());

  function expectCase(answer: Answer, { status = 200, body, headers = {} }: Case): void {
    expect([answer.status, answer.body]).to.deep.equal([status, body]);
    for (const [name, value] of Object.entries(headers)) {
      expect(answer.headers[name], name).to.deep.equal(value);
    }
  }

  for (const [path, expected] of Object.entries(CASES)) {
    it(`answers ${path}`, async () => {
      expectCase(await httpd.ask(path, expected.ask), expected);
    });
  }

  it('compresses, and answers 304 to a known ETag', async () => {
    const headers = { 'accept-encoding': 'gzip' };
    const answer = await httpd.ask('/compress/text', { headers });
    expect(answer.headers['content-encoding']).to.equal('gzip');
    const { etag } = (await httpd.ask('/etag/text')).headers;
    const again = await httpd.ask('/etag/text', { headers: { 'if-none-match': String(etag) } });
    expect([again.status, again.body]).to.deep.equal([304, '']);
  });
});
