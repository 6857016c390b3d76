import { expect } from 'chai';
import { AsyncLocalStorage } from 'node:async_hooks';
import { Readable } from 'node:stream';
import { FLAG_EXPECT } from '../../src/events.ts';
import type { Application, Body, Environ, StartResponse } from '../../src/types.ts';
import { waitFor } from '../harness/wait.ts';
import type { FakeExchange, FakeHost, RequestSpec } from './fake-channel.ts';
import { makeHost } from './fake-channel.ts';

function hostOf(application: Application): FakeHost {
  return makeHost({ kind: 'callable', application });
}

async function call(application: Application, spec: RequestSpec = {}): Promise<FakeExchange> {
  return hostOf(application).channel.request(spec);
}

/** Calls an application that is wrong on purpose: its types are not looked at. */
async function callWrong(
  application: (environ: Environ, start: (...args: unknown[]) => void) => unknown,
  spec: RequestSpec = {},
): Promise<FakeExchange> {
  return call(application as unknown as Application, spec);
}

async function environOf(spec: RequestSpec): Promise<Environ> {
  let environ: Environ | undefined;
  await call((given, start) => {
    environ = given;
    start(204);
    return '';
  }, spec);
  return environ!;
}

const OK = [['Content-Type', 'text/plain']] as const;

function answering(body: () => Body | Promise<Body>): Application {
  return (_environ, start) => {
    start(200, OK);
    return body();
  };
}

describe('environ', () => {
  it('holds the CGI variables of the request', async () => {
    const environ = await environOf({
      mount: '/caf%C3%A9',
      url: '/a%20b?q=1',
      method: 'PUT',
      scheme: 'https',
      remoteUser: 'alice',
      headers: [
        ['Host', 'example.test'],
        ['Content-Type', 'text/plain'],
        ['Content-Length', '2'],
        ['Accept-Language', 'cs'],
      ],
      body: ['hi'],
    });
    expect(environ).to.include({
      REQUEST_METHOD: 'PUT',
      SCRIPT_NAME: '/café',
      PATH_INFO: '/a b',
      QUERY_STRING: 'q=1',
      REQUEST_URI: '/caf%C3%A9/a%20b?q=1',
      REQUEST_SCHEME: 'https',
      CONTENT_TYPE: 'text/plain',
      CONTENT_LENGTH: '2',
      SERVER_NAME: 'example.test',
      SERVER_PORT: '80',
      SERVER_ADDR: '192.0.2.1',
      SERVER_PROTOCOL: 'HTTP/1.1',
      SERVER_SOFTWARE: 'Apache/2.4.71 (Unix)',
      DOCUMENT_ROOT: '/srv/htdocs',
      SCRIPT_FILENAME: '/srv/app/index.js',
      REMOTE_ADDR: '192.0.2.7',
      REMOTE_PORT: '50123',
      REMOTE_USER: 'alice',
      AUTH_TYPE: 'Basic',
      HTTP_HOST: 'example.test',
      HTTP_ACCEPT_LANGUAGE: 'cs',
    });
    expect(environ).to.not.have.any.keys('HTTP_CONTENT_TYPE', 'HTTP_CONTENT_LENGTH');
  });

  it('holds what the host is', async () => {
    const environ = await environOf({});
    expect(environ['tsgi.version']).to.deep.equal([1, 0]);
    expect(environ).to.include({
      'tsgi.url_scheme': 'http',
      'tsgi.process_group': 'shop',
      'tsgi.application_group': 'example.test|/',
      'tsgi.mode': 'daemon',
      'tsgi.multiprocess': false,
      'tsgi.multithread': false,
      'tsgi.run_once': false,
      'tsgi.request_id': 'request-1',
    });
    expect(environ).to.not.have.any.keys('REMOTE_USER', 'AUTH_TYPE', 'CONTENT_LENGTH');
  });

  it('joins headers of one name, cookies by semicolons', async () => {
    const environ = await environOf({
      headers: [
        ['Host', 'x'],
        ['X-Two', 'a'],
        ['x-two', 'b'],
        ['Cookie', 'a=1'],
        ['Cookie', 'b=2'],
      ],
    });
    expect(environ['HTTP_X_TWO']).to.equal('a, b');
    expect(environ['HTTP_COOKIE']).to.equal('a=1; b=2');
  });

  it('lets no header pass for another one, nor for Proxy', async () => {
    const environ = await environOf({
      headers: [
        ['X_User', 'forged'],
        ['X.User', 'forged'],
        ['Proxy', 'http://evil.test'],
        ['__proto__', 'x'],
      ],
      variables: [['HTTP_PROXY', 'http://evil.test']],
    });
    expect(Object.keys(environ).filter((name) => name.startsWith('HTTP_'))).to.deep.equal([]);
    expect(environ['__proto__']).to.equal(undefined);
  });

  it('holds variables of Apache, which replace nothing', async () => {
    const environ = await environOf({
      variables: [
        ['SSL_PROTOCOL', 'TLSv1.3'],
        ['PATH_INFO', '/forged'],
        ['tsgi.process_group', ''],
        ['__proto__', 'text'],
        ['NAME', 'žluť'],
      ],
    });
    expect(environ).to.include({ SSL_PROTOCOL: 'TLSv1.3', PATH_INFO: '/', NAME: 'žluť' });
    expect(environ['tsgi.process_group']).to.equal('shop');
    expect(environ['__proto__']).to.equal('text');
    expect('toString' in environ).to.equal(false);
  });

  it('can be changed, and derived from', async () => {
    const environ = await environOf({});
    environ.PATH_INFO = '/changed';
    const derived = Object.create(environ) as Environ;
    expect(derived['tsgi.signal']).to.be.instanceOf(AbortSignal);
    const own = AbortSignal.abort();
    Object.assign(derived, { 'tsgi.signal': own });
    expect(derived['tsgi.signal']).to.equal(own);
    expect(environ['tsgi.signal'].aborted).to.equal(false);
  });
});

describe('tsgi.input', () => {
  it('is the request body', async () => {
    const exchange = await call(
      async (environ, start) => {
        let text = '';
        for await (const chunk of environ['tsgi.input']) text += String(chunk);
        start(200, OK);
        return text;
      },
      { body: ['hel', 'lo'] },
    );
    expect(exchange.body).to.equal('hello');
  });

  it('is empty where there is no body', async () => {
    const exchange = await call(async (environ, start) => {
      start(200, OK);
      return `<${(await environ['tsgi.input'].toArray()).join()}>`;
    });
    expect(exchange.body).to.equal('<>');
  });

  it('stops the body at Apache until it is read', async () => {
    let go: (() => void) | undefined;
    const { channel } = hostOf(async (environ, start) => {
      await new Promise<void>((resolve) => (go = resolve));
      start(200, OK);
      return String(Buffer.concat((await environ['tsgi.input'].toArray()) as Buffer[]).length);
    });
    const exchange = channel.queue({ body: [Buffer.alloc(100_000)], isOpen: true });
    channel.deliver();
    expect(exchange.isPaused).to.equal(true);
    go?.();
    await waitFor(() => !exchange.isPaused);
    channel.endBody(exchange);
    channel.deliver();
    await waitFor(() => exchange.isDead);
    expect(exchange.body).to.equal('100000');
  });

  it('lets an expected body come when it is first read, and not before', async () => {
    const spec = { flags: FLAG_EXPECT, body: ['hello'] };
    const read = await call(async (environ, start) => {
      start(200, OK);
      return (await environ['tsgi.input'].toArray()).join('');
    }, spec);
    const unread = await call((_environ, start) => {
      start(413);
      return 'too much';
    }, spec);
    expect([read.continues, read.body]).to.deep.equal([1, 'hello']);
    expect([unread.continues, unread.status]).to.deep.equal([0, 413]);
  });

  it('breaks off when the client leaves in the middle', async () => {
    let code: unknown;
    const { channel } = hostOf(async (environ, start) => {
      try {
        await environ['tsgi.input'].toArray();
      } catch (error) {
        code = (error as NodeJS.ErrnoException).code;
      }
      start(200, OK);
      return 'nobody reads this';
    });
    const exchange = channel.queue({ body: ['part'], isOpen: true });
    channel.deliver();
    channel.close(exchange);
    channel.deliver();
    await waitFor(() => code);
    expect(code).to.equal('ECONNRESET');
  });
});

describe('a callable', () => {
  it('is answered by one call of the channel when it returns text', async () => {
    const exchange = await call(answering(() => 'žluť'));
    expect(exchange).to.include({ status: 200, reason: 'OK', body: 'žluť', calls: 1 });
    expect(exchange.headers).to.deep.equal([
      ['Content-Type', 'text/plain'],
      ['Content-Length', '6'],
    ]);
  });

  const bodies: [string, () => Body | Promise<Body>, string | undefined][] = [
    ['a buffer', () => Buffer.from('hello'), '5'],
    ['an array', () => ['hel', '', Buffer.from('lo')], '5'],
    ['an empty array', () => [], '0'],
    ['a promise', () => Promise.resolve('hello'), '5'],
    ['a set', () => new Set(['hel', 'lo']), undefined],
    ['a stream of Node', () => Readable.from([Buffer.from('hello')]), undefined],
    ['a stream of the web', () => new Blob(['hello']).stream(), undefined],
    [
      'a generator',
      () =>
        (function* () {
          yield '';
          yield 'hel';
          yield 'lo';
        })(),
      undefined,
    ],
    [
      'an asynchronous generator',
      () =>
        (async function* () {
          yield 'hel';
          await new Promise(setImmediate);
          yield Buffer.from('lo');
        })(),
      undefined,
    ],
    ['an empty generator', () => [].values(), '0'],
  ];
  for (const [name, body, length] of bodies) {
    it(`may return ${name}`, async () => {
      const exchange = await call(answering(body));
      expect(exchange.body).to.equal(length === '0' ? '' : 'hello');
      expect(exchange.header('Content-Length')).to.equal(length);
      expect([exchange.aborted, exchange.isComplete]).to.deep.equal([undefined, true]);
    });
  }

  it('may call startResponse in its generator', async () => {
    const exchange = await call(async function* (_environ, start) {
      await Promise.resolve();
      start('299 Quite Fine', { 'X-A': 1, 'Set-Cookie': ['a=1', 'b=2'] });
      yield 'hello';
    });
    expect([exchange.status, exchange.reason]).to.deep.equal([299, 'Quite Fine']);
    expect(exchange.headers).to.deep.equal([
      ['X-A', '1'],
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2'],
    ]);
  });

  it('may give headers as Headers, a Map or nothing', async () => {
    const all = await Promise.all(
      [new Headers({ 'X-A': '1' }), new Map([['x-a', '1']]), undefined].map((headers) =>
        call((_environ, start) => {
          start(200, headers);
          return '';
        }),
      ),
    );
    expect(all.map((exchange) => exchange.header('x-a'))).to.deep.equal(['1', '1', undefined]);
  });

  it('sends no body for HEAD, 204 and 304, and still lets a generator finish', async () => {
    const log: string[] = [];
    const generator: Application = function* (_environ, start) {
      try {
        start(200, OK);
        yield 'hello';
        log.push('not reached');
      } finally {
        log.push('finally');
      }
    };
    const head = await call(generator, { method: 'HEAD' });
    const text = await call(
      answering(() => 'hello'),
      { method: 'HEAD' },
    );
    const none = await call((_environ, start) => {
      start(204);
      return 'dropped';
    });
    const same = await call((_environ, start) => {
      start(304, [['Content-Length', '5']]);
      return '';
    });
    expect([head, text, none, same].map(({ body }) => body)).to.deep.equal(['', '', '', '']);
    expect(log).to.deep.equal(['finally']);
    expect(text.header('Content-Length')).to.equal('5');
    expect(none.header('Content-Length')).to.equal(undefined);
    expect(same.header('Content-Length')).to.equal('5');
  });

  it('is not asked for more than the client takes', async () => {
    let given = 0;
    const { channel } = hostOf(
      answering(function* () {
        for (; given < 10; given++) yield Buffer.alloc(40_000);
      }),
    );
    channel.isStalled = true;
    const exchange = channel.queue();
    channel.deliver();
    await new Promise(setImmediate);
    expect(given).to.be.below(3);
    channel.isStalled = false;
    channel.leave(exchange);
    channel.deliver();
    await waitFor(() => exchange.isDead);
    expect(exchange.body).to.have.lengthOf(400_000);
  });

  it('learns that the client has left, by its signal and by the end of its generator', async () => {
    const log: string[] = [];
    const { channel, host } = hostOf(async function* (environ, start) {
      environ['tsgi.signal'].addEventListener('abort', () => log.push('abort'));
      start(200, OK);
      try {
        for (;;) {
          yield 'tick';
          await new Promise(setImmediate);
        }
      } finally {
        log.push('finally');
      }
    });
    const exchange = channel.queue();
    channel.deliver();
    await waitFor(() => exchange.chunks.length > 2);
    channel.close(exchange);
    channel.deliver();
    await waitFor(() => log.includes('finally'));
    expect(log).to.deep.equal(['abort', 'finally']);
    expect(host.inHand).to.equal(0);
  });

  it('learns it also when it waits for a drain', async () => {
    const log: string[] = [];
    const { channel } = hostOf(
      answering(function* () {
        try {
          for (;;) yield Buffer.alloc(100_000);
        } finally {
          log.push('finally');
        }
      }),
    );
    channel.isStalled = true;
    const exchange = channel.queue();
    channel.deliver();
    channel.close(exchange);
    channel.deliver();
    await waitFor(() => log.includes('finally'));
  });

  it('that gives up because the client has left is no error', async () => {
    const { channel, lines } = hostOf(async (environ) => {
      await new Promise((_resolve, reject) => {
        environ['tsgi.signal'].addEventListener('abort', () => {
          reject(environ['tsgi.signal'].reason as Error);
        });
      });
      return '';
    });
    const exchange = channel.queue();
    channel.deliver();
    channel.close(exchange);
    channel.deliver();
    await new Promise(setImmediate);
    expect([exchange.logs, lines]).to.deep.equal([[], []]);
  });

  it('writes to the error log of its request', async () => {
    const exchange = await call((environ, start) => {
      environ['tsgi.errors'].write('one\ntwo\n');
      start(200, OK);
      return '';
    });
    expect(exchange.logs.map(({ text }) => text)).to.deep.equal(['one', 'two']);
  });

  it('runs in an asynchronous context of its own', async () => {
    const storage = new AsyncLocalStorage<string>();
    const { channel } = hostOf(async (environ, start) => {
      const before = storage.getStore();
      storage.enterWith(environ.PATH_INFO);
      await new Promise(setImmediate);
      start(200, OK);
      return `${before} ${storage.getStore()}`;
    });
    const all = ['/1', '/2'].map((url) => channel.queue({ url }));
    channel.deliver();
    await waitFor(() => all.every(({ isDead }) => isDead));
    expect(all.map(({ body }) => body)).to.deep.equal(['undefined /1', 'undefined /2']);
  });
});

describe('a callable that fails', () => {
  const failures: [
    string,
    number,
    RegExp,
    (environ: Environ, start: (...args: unknown[]) => void) => unknown,
  ][] = [
    [
      'throws',
      701,
      /RangeError: no way$/,
      () => {
        throw new RangeError('no way');
      },
    ],
    ['rejects', 701, /no way$/, () => Promise.reject(new Error('no way'))],
    ['rejects with anything', 701, /'no way'\]$/, () => Promise.reject(Object('no way') as Error)],
    [
      'throws in its generator',
      701,
      /no way$/,
      function* (_environ, start) {
        start(200);
        yield '';
        throw new Error('no way');
      },
    ],
    ['never calls startResponse', 703, /returned its body without/, () => 'text'],
    [
      'never calls startResponse in its generator',
      703,
      /first piece/,
      function* () {
        yield 'x';
      },
    ],
    [
      'never calls startResponse and gives nothing',
      703,
      /ended its body/,
      function* () {
        /* nothing */
      },
    ],
    [
      'gives a number as status',
      704,
      /the number 42 as the status/,
      (_environ, start) => {
        start(42);
        return '';
      },
    ],
    [
      'gives text as status',
      704,
      /the string "OK"/,
      (_environ, start) => {
        start('OK');
        return '';
      },
    ],
    [
      'gives 1xx as status',
      704,
      /the number 103/,
      (_environ, start) => {
        start(103);
        return '';
      },
    ],
    [
      'splits the response by its status',
      704,
      /status/,
      (_environ, start) => {
        start('200 OK\r\nX: y');
        return '';
      },
    ],
    [
      'splits the response by a header',
      704,
      /header X-A/,
      (_environ, start) => {
        start(200, [['X-A', 'a\r\nB: c']]);
        return '';
      },
    ],
    [
      'gives a header beyond latin1',
      704,
      /header X-A/,
      (_environ, start) => {
        start(200, [['X-A', '€']]);
        return '';
      },
    ],
    [
      'gives a bad header name',
      704,
      /"X A"/,
      (_environ, start) => {
        start(200, [['X A', 'a']]);
        return '';
      },
    ],
    [
      'gives an object as header value',
      704,
      /an object of class Date/,
      (_environ, start) => {
        start(200, { 'X-A': new Date(0) });
        return '';
      },
    ],
    [
      'gives text as headers',
      704,
      /as headers/,
      (_environ, start) => {
        start(200, 'X: y');
        return '';
      },
    ],
    [
      'gives a flat list of headers',
      704,
      /among the headers/,
      (_environ, start) => {
        start(200, ['X-A', 'y']);
        return '';
      },
    ],
    [
      'gives a bad length',
      704,
      /Content-Length/,
      (_environ, start) => {
        start(200, { 'Content-Length': '-1' });
        return '';
      },
    ],
    [
      'gives a number as a piece',
      705,
      /the number 1 as a piece/,
      (_environ, start) => {
        start(200);
        return [1];
      },
    ],
    [
      'returns nothing',
      706,
      /returned undefined/,
      (_environ, start) => {
        start(200);
      },
    ],
    [
      'returns a Response',
      706,
      /class Response/,
      (_environ, start) => {
        start(200);
        return new Response('x');
      },
    ],
    [
      'calls startResponse twice',
      707,
      /called again/,
      (_environ, start) => {
        start(200);
        start(201);
        return '';
      },
    ],
    [
      'gives less than its length',
      708,
      /of 5 and gave 2/,
      (_environ, start) => {
        start(200, { 'Content-Length': 5 });
        return 'ab';
      },
    ],
  ];
  for (const [name, code, message, application] of failures) {
    it(`because it ${name} is a 500 of the host: TSGI0${code}`, async () => {
      const exchange = await callWrong(application);
      expect(exchange.aborted?.code).to.equal(code);
      expect(exchange.aborted?.message)
        .to.match(message)
        .and.not.match(/TSGI\d/);
      expect(exchange.status).to.equal(0);
    });
  }

  it('leaves its stack in the log', async () => {
    const exchange = await call(function namedForTheStack() {
      throw new Error('outer', { cause: new Error('inner') });
    });
    const text = exchange.logs.map((line) => line.text).join('\n');
    expect(text)
      .to.match(/Error: outer/)
      .and.match(/namedForTheStack/)
      .and.match(/Error: inner/);
  });

  it('in the middle of its response truncates it', async () => {
    const exchange = await callWrong(function* (_environ, start) {
      start(200);
      yield 'part';
      throw new Error('no way');
    });
    expect([exchange.status, exchange.aborted?.code]).to.deep.equal([200, 702]);
  });

  it('by giving more than its length truncates it there', async () => {
    const exchange = await callWrong(function* (_environ, start) {
      start(200, { 'Content-Length': '3' });
      yield 'abc';
      yield 'd';
    });
    expect([exchange.body, exchange.aborted?.code]).to.deep.equal(['abc', 708]);
  });

  it('may replace its head by an error page while nothing has left', async () => {
    const failing = (start: StartResponse): Body => {
      start(200, OK);
      const error = new Error('no way');
      start(503, [['Retry-After', '5']], error);
      return 'sorry';
    };
    const exchange = await call((_environ, start) => failing(start));
    expect([exchange.status, exchange.body]).to.deep.equal([503, 'sorry']);
    expect(exchange.headers.map(([name]) => name)).to.deep.equal(['Retry-After', 'Content-Length']);
  });

  it('gets its error back when it would replace a head that has left', async () => {
    const exchange = await callWrong(function* (_environ, start) {
      start(200);
      yield 'part';
      start(500, [], new Error('too late'));
    });
    expect(exchange.aborted).to.include({ code: 702 });
    expect(exchange.aborted?.message).to.match(/too late$/);
  });

  it('never ends the worker', async () => {
    const { channel, fatal } = hostOf(() => {
      throw new Error('no way');
    });
    await channel.request();
    await channel.request();
    expect(fatal).to.deep.equal([]);
  });
});
