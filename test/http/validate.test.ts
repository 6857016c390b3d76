import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { validator, version } from '../../src/index.ts';
import type { Application, Environ, StartResponse } from '../../src/types.ts';
import type { FakeExchange, RequestSpec } from './fake-channel.ts';
import { makeHost } from './fake-channel.ts';

type AnyApplication = (environ: Environ, start: (...args: unknown[]) => void) => unknown;

async function validated(
  application: AnyApplication,
  spec: RequestSpec = {},
): Promise<FakeExchange> {
  const wrapped = validator(application as unknown as Application);
  const { channel } = makeHost({ kind: 'callable', application: wrapped });
  return channel.request(spec);
}

describe('the validator', () => {
  for (const [name, application] of [
    [
      'text',
      (_environ, start) => {
        start(200, { 'Content-Length': 5 });
        return 'hello';
      },
    ],
    [
      'an array',
      (_environ, start) => {
        start('200 OK', [['X-A', 'b']]);
        return ['hel', 'lo'];
      },
    ],
    [
      'a promise',
      (_environ, start) => {
        start(200);
        return Promise.resolve('hello');
      },
    ],
    [
      'a generator',
      function* (_environ, start) {
        start(200);
        yield 'hel';
        yield 'lo';
      },
    ],
    [
      'an asynchronous generator',
      async function* (_environ, start) {
        await Promise.resolve();
        start(200);
        yield 'hello';
      },
    ],
    [
      'an error page',
      (_environ, start) => {
        start(500);
        start(200, [], new Error('x'));
        return 'hello';
      },
    ],
  ] as [string, AnyApplication][]) {
    it(`lets an application pass that answers by ${name}, in the host's environ`, async () => {
      const exchange = await validated(application, { mount: '/app', url: '/x' });
      expect([exchange.aborted, exchange.body]).to.deep.equal([undefined, 'hello']);
    });
  }

  for (const [name, message, application] of [
    [
      'a connection header',
      /belongs to the connection/,
      (_environ, start) => {
        start(200, { Connection: 'close' });
        return '';
      },
    ],
    [
      'a Status header',
      /header Status/,
      (_environ, start) => {
        start(200, { Status: '200' });
        return '';
      },
    ],
    [
      'two content types',
      /Content-Type is there twice/i,
      (_environ, start) => {
        start(200, [
          ['Content-Type', 'a'],
          ['content-type', 'b'],
        ]);
        return '';
      },
    ],
    [
      'white space around a value',
      /white space/,
      (_environ, start) => {
        start(200, { 'X-A': ' b' });
        return '';
      },
    ],
    [
      'a bad status',
      /status is "OK"/,
      (_environ, start) => {
        start('OK');
        return '';
      },
    ],
    [
      'a bad header name',
      /not a token/,
      (_environ, start) => {
        start(200, { 'X A': 'b' });
        return '';
      },
    ],
    [
      'a bad header value',
      /may not stand/,
      (_environ, start) => {
        start(200, { 'X-A': 'b\n' });
        return '';
      },
    ],
    [
      'a second head',
      /called twice/,
      (_environ, start) => {
        start(200);
        start(200);
        return '';
      },
    ],
    [
      'a length on 204',
      /204 has a Content-Length/,
      (_environ, start) => {
        start(204, { 'Content-Length': 0 });
        return '';
      },
    ],
    [
      'a body with 304',
      /304 has a body/,
      (_environ, start) => {
        start(304);
        return 'x';
      },
    ],
    [
      'a body before its head',
      /before startResponse/,
      function* (_environ, start) {
        yield 'x';
        start(200);
      },
    ],
    ['no head', /was not called/, () => []],
    [
      'a piece that is a number',
      /expected a string or a Uint8Array/,
      (_environ, start) => {
        start(200);
        return [1];
      },
    ],
    [
      'nothing',
      /returned undefined/,
      (_environ, start) => {
        start(200);
      },
    ],
    [
      'what cannot be iterated',
      /not iterable/,
      (_environ, start) => {
        start(200);
        return {};
      },
    ],
    [
      'less than its length',
      /has 1 bytes and a Content-Length of 2/,
      (_environ, start) => {
        start(200, { 'Content-Length': 2 });
        return ['x'];
      },
    ],
    [
      'more than its length',
      /longer than its Content-Length/,
      (_environ, start) => {
        start(200, { 'Content-Length': 1 });
        return ['xy'];
      },
    ],
  ] as [string, RegExp, AnyApplication][]) {
    it(`finds ${name}`, async () => {
      const { aborted } = await validated(application);
      expect(aborted?.message).to.match(message);
    });
  }

  it('finds an environ that a host has made wrong', () => {
    const application = validator((_environ, start) => {
      start(200);
      return '';
    });
    const start: StartResponse = () => undefined;
    expect(() => application({} as Environ, start)).to.throw(
      'TSGI0720: TSGI is not kept to: environ inherits',
    );
    const bare = Object.create(null) as Environ;
    expect(() => application(bare, start)).to.throw(
      'environ.REQUEST_METHOD is undefined; expected',
    );
  });

  it('finds what is no application', () => {
    expect(() => validator({} as Application)).to.throw('expected a function');
    const three = Object.defineProperty(() => '', 'length', { value: 3 });
    expect(() => validator(three)).to.throw('3 parameters');
  });
});

describe('the package', () => {
  it('knows its version', () => {
    const { version: expected } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      version: string;
    };
    expect(version).to.equal(expected);
  });
});
