import { expect } from 'chai';
import { createServer } from 'node:http';
import { TsgiError } from '../../src/errors.ts';
import type { App } from '../../src/http/app.ts';
import { waitFor } from '../harness/wait.ts';
import { makeHost } from './fake-channel.ts';

const echo: App = { kind: 'server', server: createServer((req, res) => void req.pipe(res)) };

/** An app that is loaded when the test says so. */
function loading(): { promise: Promise<App>; loaded: (app: App) => void } {
  let loaded: ((app: App) => void) | undefined;
  const promise = new Promise<App>((resolve) => (loaded = resolve));
  return { promise, loaded: (app) => loaded?.(app) };
}

describe('the host', () => {
  it('asks for the app of the script that the request names', async () => {
    const scripts: string[] = [];
    const { channel } = makeHost((script) => {
      scripts.push(script);
      return {
        kind: 'callable',
        application: (_environ, start) => {
          start(200);
          return script;
        },
      };
    });
    expect((await channel.request({ script: '/srv/a.js' })).body).to.equal('/srv/a.js');
    expect((await channel.request({ script: '/srv/é.js' })).body).to.equal('/srv/é.js');
    expect(scripts).to.deep.equal(['/srv/a.js', '/srv/é.js']);
  });

  it('keeps a request and its body while the app is loaded', async () => {
    const { promise, loaded } = loading();
    const { channel, host } = makeHost(() => promise);
    const exchange = channel.queue({ body: ['one '], isOpen: true });
    channel.deliver();
    expect([exchange.isPaused, host.inHand]).to.deep.equal([true, 1]);
    channel.body(exchange, 'two');
    channel.endBody(exchange);
    channel.deliver();
    loaded(echo);
    await waitFor(() => exchange.isDead);
    expect([exchange.body, exchange.isPaused]).to.deep.equal(['one two', false]);
  });

  it('does not call an app for a client that left while it was loaded', async () => {
    const { promise, loaded } = loading();
    const { channel, host } = makeHost(() => promise);
    const exchange = channel.queue();
    channel.deliver();
    channel.close(exchange);
    channel.deliver();
    loaded({ kind: 'server', server: createServer(() => expect.fail('the app was called')) });
    await promise;
    await new Promise(setImmediate);
    expect(host.inHand).to.equal(0);
  });

  it('tells Apache the id of an error that keeps the app from loading', async () => {
    const error = new TsgiError(601, { script: '/srv/none.js' });
    const rejecting = await makeHost(() => Promise.reject(error)).channel.request();
    const throwing = await makeHost(() => {
      throw error;
    }).channel.request();
    for (const { aborted } of [rejecting, throwing]) {
      expect(aborted?.code).to.equal(601);
      expect(aborted?.message).to.match(/^script \/srv\/none\.js does not exist/);
    }
  });

  it('has an id for any other one', async () => {
    const { channel } = makeHost(() => Promise.reject(new SyntaxError('no sense')));
    const exchange = await channel.request();
    expect(exchange.aborted?.code).to.equal(715);
    expect(exchange.aborted?.message).to.match(/SyntaxError: no sense$/);
  });

  it('drains: takes nothing new and resolves when nothing is in hand', async () => {
    const { promise, loaded } = loading();
    const { channel, host } = makeHost(() => promise);
    const exchange = channel.queue({ body: ['x'] });
    channel.deliver();
    let isDrained = false;
    const drained = host.drain().then(() => (isDrained = true));
    await new Promise(setImmediate);
    expect([channel.isDraining, isDrained]).to.deep.equal([true, false]);
    loaded(echo);
    await drained;
    expect(exchange.isDead).to.equal(true);
    await host.drain();
  });

  it('writes out what waits on the way out', () => {
    const { channel, host } = makeHost(echo);
    host.flush(250);
    expect(channel.flushed).to.equal(250);
  });

  it('ignores events of exchanges that are over', async () => {
    const { channel, fatal } = makeHost(echo);
    const exchange = await channel.request({ body: ['x'] });
    channel.body(exchange, 'late');
    channel.close(exchange);
    channel.deliver();
    expect(fatal).to.deep.equal([]);
  });
});
