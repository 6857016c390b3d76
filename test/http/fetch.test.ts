import { expect } from 'chai';
import { Hono } from 'hono';
import type { FetchHandler } from '../../src/http/app.ts';
import { waitFor } from '../harness/wait.ts';
import type { FakeChannel } from './fake-channel.ts';
import { makeHost } from './fake-channel.ts';

function channelOf(fetch: FetchHandler): FakeChannel {
  return makeHost({ kind: 'fetch', fetch }).channel;
}

describe('a fetch handler', () => {
  it('gets a Request and answers by a Response', async () => {
    const channel = channelOf(async (request) =>
      Response.json(
        { method: request.method, url: request.url, body: await request.text() },
        { status: 201, headers: { 'X-A': request.headers.get('x-a') ?? '' } },
      ),
    );
    const headers = [
      ['Host', 'example.test'],
      ['X-A', 'b'],
    ] as const;
    const exchange = await channel.request({
      mount: '/app',
      url: '/x?q=1',
      scheme: 'https',
      headers,
      body: ['hel', 'lo'],
    });
    expect(exchange.status).to.equal(201);
    expect(exchange.header('x-a')).to.equal('b');
    expect(JSON.parse(exchange.body)).to.deep.equal({
      method: 'POST',
      url: 'https://example.test/x?q=1',
      body: 'hello',
    });
  });

  it('of Hono serves its routes', async () => {
    const app = new Hono().get('/hello/:name', (c) => c.text(`Hello ${c.req.param('name')}`));
    const channel = channelOf((request) => app.fetch(request));
    expect((await channel.request({ url: '/hello/Eve' })).body).to.equal('Hello Eve');
    expect((await channel.request({ url: '/none' })).status).to.equal(404);
  });

  it('sends text, bytes, JSON and nothing at once, with their length', async () => {
    const channel = channelOf((request) => {
      const name = new URL(request.url).pathname;
      if (name === '/bytes') return new Response(Buffer.from('bytes'));
      if (name === '/json') return Response.json(['json']);
      return new Response(name === '/text' ? 'text' : null);
    });
    for (const [path, body] of [
      ['/text', 'text'],
      ['/bytes', 'bytes'],
      ['/json', '["json"]'],
      ['/nothing', ''],
    ] as const) {
      const exchange = await channel.request({ url: path });
      expect(exchange.body, path).to.equal(body);
      expect(exchange.header('content-length'), path).to.equal(String(body.length));
      expect(exchange.calls, path).to.equal(1);
    }
  });

  it('streams its answer', async () => {
    const channel = channelOf(
      () =>
        new Response(
          new ReadableStream({
            async start(controller) {
              for (const text of ['a', 'b', 'c']) {
                controller.enqueue(new TextEncoder().encode(text));
                await new Promise(setImmediate);
              }
              controller.close();
            },
          }),
        ),
    );
    const exchange = await channel.request();
    expect(exchange.body).to.equal('abc');
    expect(exchange.calls).to.be.greaterThan(2);
  });

  it('sees by the signal of its request that the client has left', async () => {
    let signal: AbortSignal | undefined;
    const channel = channelOf((request) => {
      signal = request.signal;
      return new Promise(() => undefined);
    });
    const exchange = channel.queue();
    channel.deliver();
    await waitFor(() => signal);
    channel.close(exchange);
    channel.deliver();
    await waitFor(() => signal?.aborted);
  });

  for (const [name, code, handler] of [
    [
      'throws',
      709,
      () => {
        throw new Error('secret inside');
      },
    ],
    ['rejects', 709, () => Promise.reject(new Error('secret inside'))],
    ['returns nothing', 710, () => undefined],
    ['resolves to text', 710, () => Promise.resolve('text')],
  ] as const) {
    it(`that ${name} is a 500 of the host: TSGI0${code}`, async () => {
      const { channel, fatal } = makeHost({
        kind: 'fetch',
        fetch: handler as unknown as FetchHandler,
      });
      const exchange = await channel.request();
      expect([exchange.aborted?.code, exchange.status]).to.deep.equal([code, 0]);
      expect(fatal).to.deep.equal([]);
    });
  }

  it('whose stream fails truncates its answer', async () => {
    const channel = channelOf(
      () =>
        new Response(
          new ReadableStream({
            start(controller) {
              controller.enqueue(new TextEncoder().encode('part'));
            },
            pull(controller) {
              controller.error(new Error('broken'));
            },
          }),
        ),
    );
    const exchange = await channel.request();
    expect(exchange.status).to.equal(200);
    expect(exchange.aborted?.code).to.equal(712);
  });
});
