import { expect } from 'chai';
import express from 'express';
import type { RequestListener } from 'node:http';
import { createServer, IncomingMessage, ServerResponse } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FLAG_EXPECT } from '../../src/events.ts';
import { makeHost } from './fake-channel.ts';

function channelOf(listener: RequestListener, options = {}) {
  const server = createServer(options, listener);
  return { server, channel: makeHost({ kind: 'server', server }).channel };
}

/** @returns V8's own function that tells whether two objects have the same hidden class. */
function haveSameMap(): (a: object, b: object) => boolean {
  setFlagsFromString('--allow-natives-syntax');
  try {
    const isSame = runInNewContext('(a, b) => %HaveSameMap(a, b)') as (...two: object[]) => boolean;
    isSame({}, {}); // compiles it while the syntax is allowed
    return isSame;
  } finally {
    setFlagsFromString('--no-allow-natives-syntax');
  }
}

const prototypesOf = (...objects: object[]): unknown[] =>
  objects.map((one) => Object.getPrototypeOf(one) as unknown);

const plain = [IncomingMessage.prototype, ServerResponse.prototype];

describe('an Express app', () => {
  it('gets requests and responses that share their hidden classes', async () => {
    const seen: object[] = [];
    const app = express();
    app.use((req, res) => {
      seen.push(req, res);
      res.type('text').send('hello');
    });
    const { channel } = channelOf(app);
    for (let i = 0; i < 3; i++) expect((await channel.request()).body).to.equal('hello');
    const [, , req1, res1, req2, res2] = seen as [object, object, object, object, object, object];
    const isSame = haveSameMap();
    expect(isSame(req1, req2), 'requests').to.equal(true);
    expect(isSame(res1, res2), 'responses').to.equal(true);
  });

  it('finds its own prototypes on them, those of mounted apps, and later ones', async () => {
    const seen: unknown[] = [];
    const app = express();
    const mounted = express();
    mounted.get('/', (req, res) => {
      seen.push(...prototypesOf(req, res));
      res.send('mounted');
    });
    app.use('/mounted', mounted);
    app.use((req, res) => {
      seen.push(...prototypesOf(req, res));
      res.send(req.get('host'));
    });
    const { channel } = channelOf(app);
    expect((await channel.request()).body).to.equal('example.test');
    expect((await channel.request({ url: '/mounted' })).body).to.equal('mounted');
    expect(seen.splice(0)).to.deep.equal([
      ...[app.request, app.response],
      ...[mounted.request, mounted.response],
    ]);
    app.request = Object.create(app.request) as typeof app.request;
    expect((await channel.request()).body).to.equal('example.test');
    expect(seen).to.deep.equal([app.request, app.response]);
  });

  it('is asked as it is where code of others runs before it', async () => {
    const seen: unknown[] = [];
    const app = express();
    app.use((_req, res) => {
      res.send('hello');
    });
    const look: RequestListener = (req, res) => void seen.push(...prototypesOf(req, res));

    const wrapped = channelOf((req, res) => {
      look(req, res);
      app(req, res);
    });
    expect((await wrapped.channel.request()).body).to.equal('hello');

    const second = channelOf(app);
    second.server.prependListener('request', look);
    expect((await second.channel.request()).body).to.equal('hello');

    const emitting = channelOf(app);
    const { server } = emitting;
    const emit = server.emit.bind(server);
    server.emit = (name: string, ...args: unknown[]): boolean => {
      if (name === 'request') look(...(args as Parameters<RequestListener>));
      return emit(name, ...args);
    };
    expect((await emitting.channel.request()).body).to.equal('hello');

    const expecting = channelOf(app);
    expecting.server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
      look(req, res);
      app(req, res);
    });
    const headers = [
      ['Host', 'example.test'],
      ['Expect', '100-continue'],
    ] as const;
    const exchange = await expecting.channel.request({ headers, flags: FLAG_EXPECT });
    expect(exchange.body).to.equal('hello');

    expect(seen).to.deep.equal([...plain, ...plain, ...plain, ...plain]);
  });

  it('is asked as it is where its prototypes would take what Node assigns', async () => {
    const app = express();
    Object.defineProperty(app.request, 'url', {
      get: () => 'of the prototype',
      configurable: true,
    });
    app.use((req, res) => {
      res.send(req.url);
    });
    const { channel } = channelOf(app);
    expect((await channel.request({ url: '/own' })).body).to.equal('/own');
  });

  it('leaves a server its own classes of requests and responses', async () => {
    class Req extends IncomingMessage {
      readonly mine = 'mine';
    }
    const app = express();
    app.use((req, res) => {
      res.send((req as unknown as Req).mine);
    });
    const { channel } = channelOf(app, { IncomingMessage: Req });
    expect((await channel.request()).body).to.equal('mine');
  });
});

describe('a function that is no Express app, though it has a request', () => {
  it('is given what Node has', async () => {
    const seen: unknown[] = [];
    const listener: RequestListener = (req, res) => {
      seen.push(...prototypesOf(req, res));
      res.end();
    };
    for (const request of [{}, null, IncomingMessage, IncomingMessage.prototype]) {
      const look = Object.assign(listener.bind(null), { handle: listener, request, response: {} });
      expect((await channelOf(look).channel.request()).status).to.equal(200);
    }
    expect(seen).to.deep.equal([...plain, ...plain, ...plain, ...plain]);
  });
});
