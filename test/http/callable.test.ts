import { expect } from 'chai';
import { AsyncLocalStorage } from 'node:async_hooks';
import { Readable } from 'node:stream';
import type { Application, Body } from '../../src/types.ts';
import { waitFor } from '../harness/wait.ts';
import { answering, call, hostOf, OK } from './callables.ts';

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
