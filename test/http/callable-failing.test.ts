import { expect } from 'chai';
import type { Body, Environ, StartResponse } from '../../src/types.ts';
import { call, callWrong, hostOf, OK } from './callables.ts';

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
