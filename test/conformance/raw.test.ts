import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'chai';
import { raw } from '../harness/client.ts';
import { freePort, Httpd } from '../harness/httpd.ts';

const app = join(import.meta.dirname, 'app.cjs');

/** Bytes that no ordinary client sends, on one connection. The last request closes it. */
const exchanges: Record<string, readonly string[]> = {
  'three requests at once': [
    'GET /plain HTTP/1.1\r\nHost: a\r\n\r\n',
    'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
    'GET /chunks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ],
  'requests behind one whose body was not read': [
    'POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345',
    'GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ],
  'requests behind one without a body in its answer': [
    'HEAD /sized HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /no-content HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /not-modified HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /zero-length HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ],
  'chunks with extensions and in odd sizes': [
    'POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n' +
      '1;name=value\r\na\r\n0002\r\nbc\r\nA\r\n0123456789\r\n0\r\n\r\n',
    'GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ],
  'an absolute request target': [
    'GET http://a/plain/x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ],
  'headers in odd case, with odd space, repeated and empty': [
    'GET /raw HTTP/1.1\r\nhOsT: a\r\nX-One:1\r\nx-one:   2  \r\nX-ONE:\r\nX-Two: \t \r\n' +
      'X-Comma: a,b\r\nx-comma: c\r\nCookie: a=1\r\ncookie: b=2\r\nX-Latin: caf\u00e9\r\n\r\n',
    'GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ],
  'a body behind Expect: 100-continue that comes at once': [
    'POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc',
    'GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ],
  'HTTP/1.0 without Host': ['GET /plain HTTP/1.0\r\n\r\n'],
  'HTTP/1.0 that asks for the connection to be kept': [
    'GET /sized HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
    'GET /plain HTTP/1.0\r\n\r\n',
  ],
  'an answer of unknown length to HTTP/1.0': ['GET /chunks HTTP/1.0\r\n\r\n'],
};

/** After each of these the connection carries another request. */
const kept: readonly string[] = [
  ...['/plain', '/chunks', '/empty', '/zero-length', '/sized', '/one-write', '/flush', '/cork'],
  ...['/trailers', '/trailers-late', '/trailers-of-nothing', '/early-hints', '/hints-and-more'],
  ...['/no-content', '/not-modified', '/reset-content', '/redirect', '/status-404', '/partial'],
  ...['/head-status', '/head-list', '/encodings', '/socket-timeout'],
].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
const keptBodies: readonly string[] = [
  '/echo',
  '/ignore',
  '/early-answer',
  '/read-on',
  '/pipe',
].flatMap((path) => [
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345`,
  `PUT ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n1\r\n6\r\n0\r\nX-T: 1\r\n\r\n`,
]);
const last = 'GET /plain/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

interface Answer {
  readonly status: string;
  readonly body: string;
  readonly trailers: string;
}

/** A chunked body: its bytes, its trailers, and what comes behind it. */
function dechunk(text: string): { body: string; trailers: string; rest: string } {
  let body = '';
  let rest = text;
  for (;;) {
    const eol = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, eol), 16);
    if (!(size >= 0)) throw new Error(`no chunk in ${JSON.stringify(rest.slice(0, 100))}`);
    rest = rest.slice(eol + 2);
    if (size === 0) break;
    body += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
  const end = rest.startsWith('\r\n') ? 0 : rest.indexOf('\r\n\r\n') + 2;
  return { body, trailers: rest.slice(0, end), rest: rest.slice(end + 2) };
}

/** Status lines, bodies and trailers; sized and chunked, as they come. */
function parse(text: string, isHead: (n: number) => boolean): Answer[] {
  const answers: Answer[] = [];
  let rest = text;
  let finals = 0;
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) throw new Error(`no head in ${JSON.stringify(rest.slice(0, 100))}`);
    const head = rest.slice(0, end);
    rest = rest.slice(end + 4);
    const status = head.slice(9, !head.includes('\r\n') ? undefined : head.indexOf('\r\n'));
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    let body = '';
    let trailers = '';
    const isInterim = status.startsWith('1');
    const isBodiless = isInterim || isHead(finals) || /^(204|304)/.test(status);
    if (!isInterim) finals++;
    if (!isBodiless && /\r\ntransfer-encoding: chunked/i.test(head)) {
      ({ body, trailers, rest } = dechunk(rest));
    } else if (!isBodiless) {
      const size = length === undefined ? rest.length : Number(length);
      body = rest.slice(0, size);
      rest = rest.slice(size);
    }
    answers.push({ status, body, trailers });
  }
  return answers;
}

/** `/raw` answers with the headers that the app sees: without what is about the connection. */
function comparable(answer: Answer): Answer {
  if (!answer.body.startsWith('[')) return answer;
  const raw = JSON.parse(answer.body) as string[];
  const own = raw.filter((_, i) => !/^connection$/i.test(raw[i - (i % 2)] ?? ''));
  return { ...answer, body: JSON.stringify(own) };
}

describe('bytes on a connection, to an app below Apache and to the same app by itself', () => {
  let child: ChildProcess;
  let simpleChild: ChildProcess;
  let plain = 0;
  /** The app without listeners of 'checkContinue' and 'checkExpectation': by itself, below Apache. */
  let simple: readonly [alone: number, hosted: number] = [0, 0];
  let httpd: Httpd;

  async function start(env: NodeJS.ProcessEnv): Promise<[ChildProcess, number]> {
    const started = spawn(process.execPath, [app], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    const [line] = (await once(started.stdout, 'data')) as [Buffer];
    return [started, Number(line.toString())];
  }

  before(async () => {
    [child, plain] = await start({});
    const [other, alone] = await start({ EXPECT: 'default' });
    simpleChild = other;
    simple = [alone, await freePort()];
    httpd = await Httpd.start({
      config: `TSGIDaemonProcess site
TSGIDaemonProcess simple env=EXPECT=default
Listen 127.0.0.1:${String(simple[1])}
<VirtualHost 127.0.0.1:@PORT@>
  TSGIScriptAlias / "${app}" process-group=site
</VirtualHost>
<VirtualHost 127.0.0.1:${String(simple[1])}>
  TSGIScriptAlias / "${app}" process-group=simple
</VirtualHost>
`,
    });
  });
  after(async () => {
    child.kill();
    simpleChild.kill();
    await httpd.stop();
  });

  async function send(port: number, requests: readonly string[]): Promise<Answer[]> {
    const connection = await raw(port, requests.join(''));
    await connection.closed;
    connection.socket.destroy();
    const answers = parse(connection.received(), (n) => requests[n]?.startsWith('HEAD') === true);
    return answers.map(comparable);
  }

  /** @returns what both answer. */
  async function compare(
    requests: readonly string[],
    [alone, hosted]: readonly [number, number] = [plain, httpd.port],
  ): Promise<Answer[]> {
    const expected = await send(alone, requests);
    const finals = expected.filter(({ status }) => !status.startsWith('1'));
    expect(finals).to.have.length(requests.length);
    expect(await send(hosted, requests)).to.deep.equal(expected);
    return expected;
  }

  for (const [name, requests] of Object.entries(exchanges)) {
    it(`${name}: are answered the same`, () => compare(requests).then(() => undefined));
  }

  for (const request of [...kept, ...keptBodies]) {
    const name = request.slice(0, request.indexOf('\r\n'));
    const kind = request.includes('chunked') ? ', chunked' : '';
    it(`${name}${kind}: the connection carries the next request`, () =>
      compare([request, last]).then(() => undefined));
  }

  it('everything at once on one connection: each gets its answer', async () => {
    await compare([...kept, ...keptBodies, last]);
  });

  it('trailers of a response stand behind the last chunk, where Node puts them', async () => {
    const [answer] = await compare(['GET /trailers-late HTTP/1.1\r\nHost: a\r\n\r\n', last]);
    expect(answer?.trailers).to.equal('X-Sum: 4\r\nX-Time: caf\u00e9\r\n');
  });

  it('Expect: 100-continue without a listener of checkContinue: 100 comes by itself', async () => {
    const requests = [
      'POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc',
      'POST /ignore HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc',
      last,
    ];
    const answers = await compare(requests, simple);
    expect(answers.map(({ status }) => status.slice(0, 3))).to.deep.equal([
      ...['100', '200', '100', '200', '200'],
    ]);
  });

  it('another expectation is refused with 417, by Apache before the app sees it', async () => {
    httpd.log.allow('AH0');
    const request =
      'POST /echo HTTP/1.1\r\nHost: a\r\nExpect: magic\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';
    for (const port of [plain, ...simple, httpd.port]) {
      const [answer] = await send(port, [request]);
      expect(answer?.status).to.match(/^417 /);
    }
  });

  it('OPTIONS * is answered by Apache itself', async () => {
    const [answer] = await send(httpd.port, [
      'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    ]);
    expect(answer).to.deep.equal({ status: '200 OK', body: '', trailers: '' });
  });

  it('CONNECT is refused where the app has no listener for it', async () => {
    const [answer] = await send(httpd.port, [
      'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n',
    ]);
    expect(answer?.status).to.equal('405 Method Not Allowed');
  });
});
