import { expect } from 'chai';
import { once } from 'node:events';
import { createServer as createHttp, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createServer as createNet, Server as NetServer } from 'node:net';
import { hookListen, parseListenArguments, type Decision } from '../../src/worker/listen.ts';

describe('the hook on listen()', () => {
  const prototype = NetServer.prototype as { listen: unknown };
  const original = prototype.listen;
  const adopted: Server[] = [];
  let decision: Decision = 'adopt';
  let where = '';
  let finish: (() => void) | undefined;

  before(() => {
    hookListen({
      decide(_server, place) {
        where = place;
        return decision;
      },
      onAdopted: (server) => adopted.push(server),
      onClose: (_server, done) => (finish = done),
      anyPort: 8080,
    });
  });
  after(() => {
    prototype.listen = original;
  });
  beforeEach(() => {
    adopted.splice(0);
    decision = 'adopt';
    finish = undefined;
  });

  async function listening(...args: unknown[]): Promise<Server> {
    const server = createHttp();
    Reflect.apply(server.listen.bind(server) as (...all: unknown[]) => unknown, server, args);
    await once(server, 'listening');
    return server;
  }

  it('binds nothing, and says that it listens', async () => {
    const server = await listening(1); // Bound, this would need a right that not everyone has.
    expect(server.listening).to.equal(true);
    expect(adopted).to.deep.equal([server]);
  });

  it('calls back on the next tick, once', async () => {
    let calls = 0;
    const server = createHttp().listen(3000, () => calls++);
    expect(calls).to.equal(0);
    await once(server, 'listening');
    server.emit('listening');
    expect(calls).to.equal(1);
  });

  const addresses: readonly (readonly [string, unknown[], unknown])[] = [
    ['no argument', [], { address: '::', family: 'IPv6', port: 8080 }],
    ['port 0', [0], { address: '::', family: 'IPv6', port: 8080 }],
    ['a port', [3000], { address: '::', family: 'IPv6', port: 3000 }],
    ['a port in text', ['3000'], { address: '::', family: 'IPv6', port: 3000 }],
    ['undefined', [undefined], { address: '::', family: 'IPv6', port: 8080 }],
    ['an IPv4 host', [3000, '127.0.0.1'], { address: '127.0.0.1', family: 'IPv4', port: 3000 }],
    ['an IPv6 host', [3000, '::1'], { address: '::1', family: 'IPv6', port: 3000 }],
    ['a name', [3000, 'localhost'], { address: '127.0.0.1', family: 'IPv4', port: 3000 }],
    ['a backlog', [3000, '0.0.0.0', 511], { address: '0.0.0.0', family: 'IPv4', port: 3000 }],
    [
      'options',
      [{ port: 81, host: '127.0.0.2' }],
      { address: '127.0.0.2', family: 'IPv4', port: 81 },
    ],
    ['a path', ['/run/app.sock'], '/run/app.sock'],
    ['a path in options', [{ path: '/run/app.sock' }], '/run/app.sock'],
    ['a descriptor', [{ fd: 3 }], { address: '::', family: 'IPv6', port: 8080 }],
  ];
  for (const [what, args, address] of addresses) {
    it(`tells a plausible address for ${what}`, async () => {
      expect((await listening(...args)).address()).to.deep.equal(address);
    });
  }

  it('says where the app wanted to listen', async () => {
    await listening({ host: '10.0.0.1', port: 99 });
    expect(where).to.equal('10.0.0.1:99');
    await listening('/run/x');
    expect(where).to.equal('/run/x');
  });

  it('takes https servers too', async () => {
    const server = createHttps().listen(443);
    await once(server, 'listening');
    expect(adopted).to.have.length(1);
  });

  it('emits close when what is in hand is finished, not before', async () => {
    const server = await listening(3000);
    const events: string[] = [];
    server.close(() => events.push('callback')).on('close', () => events.push('close'));
    expect(server.listening).to.equal(false);
    expect(server.address()).to.equal(null);
    await new Promise((resolve) => setImmediate(resolve));
    expect(events).to.deep.equal([]);
    finish?.();
    await once(server, 'close');
    expect(events.sort()).to.deep.equal(['callback', 'close']);
  });

  it('throws as Node does for a second listen() and a port that is none', async () => {
    const server = await listening(3000);
    expect(() => server.listen(3001))
      .to.throw()
      .with.property('code', 'ERR_SERVER_ALREADY_LISTEN');
    for (const port of [65_536, -1, 1.5]) {
      expect(() => createHttp().listen(port))
        .to.throw()
        .with.property('code', 'ERR_SOCKET_BAD_PORT');
    }
  });

  it('closes by an AbortSignal', async () => {
    const controller = new AbortController();
    const server = await listening({ port: 3000, signal: controller.signal });
    controller.abort();
    expect(server.listening).to.equal(false);
    finish?.();
    await once(server, 'close');
  });

  it('ignores ref() and unref(), and keeps them chained', async () => {
    const server = await listening(3000);
    expect(server.unref().ref()).to.equal(server);
  });

  it('lets a server really listen when it is told so', async () => {
    decision = 'real';
    const server = await listening(0, '127.0.0.1');
    expect(server.address()).to.have.property('port').that.is.not.oneOf([0, 8080]);
    server.close();
    await once(server, 'close');
    expect(adopted).to.deep.equal([]);
  });

  it('leaves servers alone that are not http', async () => {
    const server = createNet().listen(0, '127.0.0.1');
    await once(server, 'listening');
    expect(server.address()).to.have.property('port').that.is.not.oneOf([0, 8080]);
    server.close();
    await once(server, 'close');
  });
});

describe('parseListenArguments', () => {
  it('finds the callback in any place', () => {
    const callback = (): void => undefined;
    for (const args of [
      [callback],
      [1, callback],
      [1, 'h', callback],
      [1, 'h', 5, callback],
      [{}, callback],
    ]) {
      expect(parseListenArguments(args).callback).to.equal(callback);
    }
    expect(parseListenArguments([1]).callback).to.equal(undefined);
  });
});
