import { expect } from 'chai';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { LoggingApp } from './both.ts';
import { throughHost, throughNode } from './both.ts';
import type { RequestSpec } from './fake-channel.ts';

/** Notes the events of both, in their order. */
function watch(req: IncomingMessage, res: ServerResponse, log: string[]): void {
  for (const name of ['end', 'close', 'aborted', 'error'] as const) {
    req.on(name, () => log.push(`req ${name}`));
  }
  res.on('prefinish', () => log.push('res prefinish'));
  for (const name of ['finish', 'close'] as const) {
    res.on(name, () => {
      log.push(`res ${name} ${res.writableEnded} ${res.writableFinished} ${res.socket === null}`);
    });
  }
}

/**
 * The events of each in their order. Between the two the order is not the same: Node says 'finish' when
 * the kernel has the bytes, which is at once; here it is when they have left, at the end of the turn.
 */
function byObject(log: readonly string[]): Record<string, string[]> {
  return {
    req: log.filter((line) => line.startsWith('req ')),
    res: log.filter((line) => !line.startsWith('req ')),
  };
}

function readAll(req: IncomingMessage, done: (body: string) => void): void {
  let body = '';
  req.setEncoding('utf8');
  req.on('data', (chunk: string) => (body += chunk));
  req.on('end', () => {
    done(body);
  });
}

interface Case {
  readonly name: string;
  readonly spec?: RequestSpec;
  readonly app: LoggingApp;
}

const HOST = ['Host', 'example.test'] as const;
const LENGTH_5 = ['Content-Length', '5'] as const;
const CHUNKED = ['Transfer-Encoding', 'chunked'] as const;

const cases: Case[] = [
  {
    name: 'answers text at once',
    app: (req, res, log) => {
      watch(req, res, log);
      res.end('hello', () => log.push('end callback'));
    },
  },
  {
    name: 'answers text that is not ASCII with its length in bytes',
    app: (_req, res) => res.end('žluťoučký kůň'),
  },
  { name: 'answers a buffer', app: (_req, res) => res.end(Buffer.from([104, 105])) },
  { name: 'answers a Uint8Array', app: (_req, res) => res.end(new Uint8Array([104, 105])) },
  { name: 'answers nothing', app: (_req, res) => res.end() },
  { name: 'answers an empty text', app: (_req, res) => res.end('') },
  { name: 'answers in base64', app: (_req, res) => res.end('aGVsbG8=', 'base64') },
  {
    name: 'sends several pieces and calls back for each',
    app: (req, res, log) => {
      watch(req, res, log);
      res.write('one ', () => log.push('written 1'));
      res.write(Buffer.from('two '), () => log.push('written 2'));
      res.write('746872656520', 'hex', () => log.push('written 3'));
      res.end('four');
    },
  },
  {
    name: 'sends pieces in several turns, and ends without one',
    app: (req, res, log) => {
      watch(req, res, log);
      res.write('one ');
      setImmediate(() => {
        res.write('two');
        setImmediate(() => res.end(() => log.push('end callback')));
      });
    },
  },
  {
    name: 'sends the head before the body',
    app: (_req, res) => {
      res.writeHead(202, { 'X-A': '1' });
      res.flushHeaders();
      setImmediate(() => res.end('later'));
    },
  },
  {
    name: 'sends a reason phrase, repeated headers and headers as a list',
    app: (_req, res) => {
      res.writeHead(299, 'Quite Fine', [
        'X-A',
        '1',
        'X-A',
        '2',
        'Set-Cookie',
        'a=1',
        'Set-Cookie',
        'b=2',
      ]);
      res.end('x');
    },
  },
  {
    name: 'sends cookies that were set as an array',
    app: (_req, res) => res.setHeader('Set-Cookie', ['a=1', 'b=2']).end('x'),
  },
  {
    name: 'keeps the length that the app says',
    app: (_req, res) => {
      res.writeHead(200, { 'Content-Length': 10 });
      res.write('hello');
      setImmediate(() => res.end('world'));
    },
  },
  {
    name: 'sends Content-Disposition in the bytes that Node sends',
    app: (_req, res) => {
      const name = Buffer.from('Ž.txt', 'utf8').toString('latin1');
      res.setHeader('Content-Disposition', `attachment; filename="${name}"`);
      res.setHeader('Content-Length', 5);
      res.end('hello');
    },
  },
  ...(
    [
      ['text', (res) => res.end('hello')],
      ['text in latin1', (res) => res.end('hello', 'latin1')],
      ['bytes', (res) => res.end(Buffer.from('hello'))],
      ['chunks', (res) => void (res.write('hel'), res.end('lo'))],
      ['nothing', (res) => res.end()],
      ['an empty text', (res) => res.end('')],
      [
        'its head flushed',
        (res) => {
          res.flushHeaders();
          res.end('hello');
        },
      ],
      ['a length', (res) => res.setHeader('Content-Length', 5).end('hello')],
    ] as [string, (res: ServerResponse) => unknown][]
  ).map(([kind, send]) => ({
    name: `sends header values and a reason beyond ASCII in the bytes that Node sends, with ${kind}`,
    app: (_req: IncomingMessage, res: ServerResponse): void => {
      res.statusMessage = 'Très bien';
      res.setHeader('X-Latin', 'café');
      res.setHeader('Content-Disposition', 'attachment; filename="é.txt"');
      send(res);
    },
  })),
  {
    name: 'reads on when it has answered',
    spec: { headers: [HOST, CHUNKED], body: ['one', 'two', 'three'] },
    app: (req, res, log) => {
      watch(req, res, log);
      let length = 0;
      req.once('data', () => res.end('thanks'));
      req.on('data', (chunk: Buffer) => (length += chunk.length));
      req.on('end', () => log.push(`req ${length} bytes`));
    },
  },
  {
    name: 'answers in pieces and reads on',
    spec: { headers: [HOST, CHUNKED], body: ['one', 'two', 'three'] },
    app: (req, res, log) => {
      watch(req, res, log);
      res.write('thank ');
      setImmediate(() => {
        res.end('you', () => log.push('end callback'));
        req.on('data', (chunk: Buffer) => log.push(`req ${chunk.length > 0}`)).resume();
      });
    },
  },
  {
    name: 'answers HEAD without a body',
    spec: { method: 'HEAD' },
    app: (req, res, log) => {
      watch(req, res, log);
      res.setHeader('Content-Length', 5);
      res.end('hello');
    },
  },
  {
    name: 'answers HEAD after writes',
    spec: { method: 'HEAD' },
    app: (req, res, log) => {
      watch(req, res, log);
      res.write('hello');
      res.write('hello');
      res.end();
    },
  },
  {
    name: 'answers 204 without a body',
    app: (req, res, log) => {
      watch(req, res, log);
      res.writeHead(204);
      res.end('nothing');
    },
  },
  { name: 'answers 304', app: (_req, res) => res.writeHead(304, { ETag: '"x"' }).end() },
  { name: 'leaves the date out', app: (_req, res) => ((res.sendDate = false), res.end('x')) },
  {
    name: 'sends trailers with a body in pieces',
    app: (_req, res) => {
      res.writeHead(200, { Trailer: 'X-Sum' });
      res.write('hello');
      res.addTrailers({ 'X-Sum': '42' });
      res.end();
    },
  },
  {
    name: 'sends trailers after a last piece',
    app: (_req, res) => {
      res.write('hello ');
      res.addTrailers([['X-Sum', '42']]);
      res.end('world');
    },
  },
  {
    name: 'drops trailers when the length is known, as Node does',
    app: (_req, res) => {
      res.addTrailers({ 'X-Sum': '42' });
      res.end('hello');
    },
  },
  {
    name: 'sends early hints',
    app: (_req, res) => {
      res.writeEarlyHints({ link: '</a.css>; rel=preload; as=style', 'x-trace': '1' });
      res.writeProcessing();
      res.end('x');
    },
  },
  {
    name: 'reads a body',
    spec: { headers: [HOST, LENGTH_5], body: ['he', 'llo'] },
    app: (req, res, log) => {
      watch(req, res, log);
      readAll(req, (body) => res.end(`${req.method} ${body} ${req.complete}`));
    },
  },
  {
    name: 'echoes a body',
    spec: { headers: [HOST, CHUNKED], body: ['x'.repeat(100_000), 'y'.repeat(200_000)] },
    app: (req, res) => void req.pipe(res),
  },
  {
    name: 'ignores a body that has come',
    spec: { headers: [HOST, LENGTH_5], body: ['hello'] },
    app: (req, res, log) => {
      watch(req, res, log);
      setTimeout(() => res.end('ignored'), 30);
    },
  },
  {
    name: 'sees trailers of the request',
    spec: {
      headers: [HOST, CHUNKED, ['Trailer', 'X-Sum']],
      body: ['hello'],
      trailers: 'X-Sum: 1\r\n',
    },
    app: (req, res) => {
      readAll(req, (body) => res.end(`${body} ${JSON.stringify([req.rawTrailers, req.trailers])}`));
    },
  },
  {
    name: 'sees the request as it is',
    spec: {
      url: '/a%2Fb//../c?x=%00&y#',
      headers: [
        HOST,
        ['X-Two', '1'],
        ['x-two', '2'],
        ['Cookie', 'a=1'],
        ['Cookie', 'b=2'],
        ['X-Empty', ''],
      ],
    },
    app: (req, res) => {
      const { method, url, httpVersion, headers, headersDistinct, complete } = req;
      const upgrade: unknown = Reflect.get(req, 'upgrade');
      const raw = req.rawHeaders.filter(
        (_one, i, all) => !/^connection$/i.test(all[i - (i % 2)] ?? ''),
      );
      delete headers['connection'];
      delete headersDistinct['connection'];
      const seen = {
        method,
        url,
        httpVersion,
        headers,
        headersDistinct,
        upgrade,
        complete,
        raw,
      };
      res.end(JSON.stringify(seen));
    },
  },
  {
    name: 'gives names like __proto__ no power',
    spec: { headers: [HOST, ['__proto__', 'x'], ['constructor', 'y'], ['toString', 'z']] },
    app: (req, res) => {
      const { headers } = req;
      res.end(
        JSON.stringify([Object.getPrototypeOf(headers) === Object.prototype, headers['host'], {}]),
      );
    },
  },
  {
    name: 'continues by itself when a request expects it',
    spec: { headers: [HOST, LENGTH_5, ['Expect', '100-continue']], body: ['hello'] },
    app: (req, res) => {
      readAll(req, (body) => res.end(body));
    },
  },
  {
    name: 'refuses another expectation',
    spec: { headers: [HOST, ['Expect', 'wonders']] },
    app: (_req, res) => res.end('not reached'),
  },
  {
    name: 'tells an app that writes after the end',
    app: (_req, res, log) => {
      res.on('error', (error: NodeJS.ErrnoException) => log.push(`res error ${error.code}`));
      res.end('x');
      log.push(String(res.write('y')));
      res.end('z', () => log.push('second end'));
    },
  },
  {
    name: 'throws for a bad header, a second head and a header after the head',
    app: (_req, res, log) => {
      const attempt = (act: () => void): void => {
        try {
          act();
          log.push('ok');
        } catch (error) {
          log.push(String((error as NodeJS.ErrnoException).code));
        }
      };
      attempt(() => res.setHeader('X-A', 'a\r\nb'));
      attempt(() => res.setHeader('X A', 'a'));
      attempt(() => res.setHeader('X-A', '€'));
      attempt(() => res.writeHead(42));
      attempt(() => res.writeHead(200, { 'X-A': '1' }));
      attempt(() => res.writeHead(404));
      attempt(() => res.setHeader('X-B', '1'));
      attempt(() => res.write(42));
      attempt(() => res.end({} as unknown as string));
      res.end('done');
    },
  },
  {
    name: 'holds an app to its length when it asks for that',
    app: (_req, res, log) => {
      res.strictContentLength = true;
      res.writeHead(200, { 'Content-Length': 5 });
      try {
        res.write('too long');
      } catch (error) {
        log.push(String((error as NodeJS.ErrnoException).code));
      }
      res.end('hello');
    },
  },
  {
    name: 'pipes more than fits',
    app: (req, res, log) => {
      log.push(typeof req.socket.remotePort);
      let left = 40;
      const fill = (): void => {
        while (left-- > 0)
          if (!res.write(Buffer.alloc(20_000, 97))) return void res.once('drain', fill);
        res.end();
      };
      fill();
    },
  },
  {
    name: 'ends a response while the upload goes on, without an error',
    spec: { headers: [HOST, CHUNKED], body: ['x'.repeat(10)] },
    app: (req, res, log) => {
      req.on('error', () => log.push('req error'));
      res.writeHead(413).end('too much');
    },
  },
  {
    name: 'corks and uncorks',
    app: (_req, res) => {
      res.cork();
      res.write('a');
      res.write('b');
      res.uncork();
      res.end('c');
    },
  },
  {
    name: 'sends a response that the app writes to the socket itself',
    app: (_req, res) => {
      res.socket?.write('HTTP/1.1 203 By Hand\r\nX-A: 1\r\nContent-');
      res.socket?.end('Length: 5\r\nConnection: close\r\n\r\nhello');
    },
  },
  {
    name: 'sends a response in chunks that the app writes to the socket itself',
    app: (_req, res) => {
      const text =
        'HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n' +
        '5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\n\r\n';
      for (const char of text) res.socket?.write(char);
      res.socket?.end();
    },
  },
];

describe('a (req, res) app behaves as with node:http: it', () => {
  for (const { name, app, spec = {} } of cases) {
    it(name, async () => {
      const expected = await throughNode(app, spec);
      const came = await throughHost(app, spec);
      expect({ ...came, log: byObject(came.log) }).to.deep.equal({
        ...expected,
        log: byObject(expected.log),
      });
    });
  }
});
