import { expect } from 'chai';
import { once } from 'node:events';
import { createServer as createHttp, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createServer as createNet, Server as NetServer, type AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { hookListen, portOf, type Decision } from '../../src/worker/listen.ts';
import { describePlace, isSamePlace, placeOf, type Place } from '../../src/worker/place.ts';

describe('the hook on listen()', () => {
  const prototype = NetServer.prototype as unknown as { listen: unknown; _listen2: unknown };
  const { listen, _listen2 } = prototype;
  const claimed = new Set<NetServer>();
  const adopted: Server[] = [];
  const shared: unknown[] = [];
  let isWanted = true;
  let decision: Decision = 'real';
  let wherever: string[] = [];
  let finish: (() => void) | undefined;
  let cut: Server | undefined;
  let bind: (address: string) => number = () => -1;

  before(() => {
    hookListen({
      claim(server, port) {
        if (!isWanted) return false;
        wherever.push(String(port));
        claimed.add(server);
        return true;
      },
      isClaimed: (server) => claimed.has(server),
      scriptOf: () => undefined,
      release: (server) => claimed.delete(server),
      decide(_server, place) {
        wherever.push(describePlace(place));
        return decision;
      },
      onDenied(_server, place) {
        wherever.push(`denied ${describePlace(place)}`);
      },
      onAdopted: (server) => adopted.push(server),
      onClose: (_server, done) => (finish = done),
      closeConnections: (server) => (cut = server),
      bindShared(address, port, onlyV6) {
        shared.push([address, port, onlyV6]);
        return bind(address);
      },
      anyPort: 8080,
      apachePort: 8081,
    });
  });
  after(() => {
    Object.assign(prototype, { listen, _listen2 });
  });
  beforeEach(() => {
    for (const server of adopted.splice(0)) if (server.listening) server.close();
    finish?.();
    claimed.clear();
    shared.splice(0);
    isWanted = true;
    decision = 'real';
    wherever = [];
    finish = undefined;
    bind = () => -1;
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

  it('says which port the app wants, at once', () => {
    createHttp().listen({ host: '10.0.0.1', port: 99 });
    createHttp().listen('/run/x');
    expect(wherever).to.deep.equal(['99', 'undefined']);
  });

  it('looks up names before it adopts, and gives the claim up when there is no such host', async () => {
    const server = createHttp().listen(3000, 'localhost');
    expect([adopted, claimed.has(server), server.listening]).to.deep.equal([[], true, false]);
    await once(server, 'listening');
    expect(server.address())
      .to.have.property('address')
      .that.matches(/^(127\.0\.0\.1|::1)$/);
    const other = createHttp();
    const failed = once(other, 'error');
    other.listen(3000, 'no host has a name like this one');
    await failed;
    expect([claimed.has(other), adopted.length]).to.deep.equal([false, 1]);
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
    isWanted = false;
    const server = await listening(0, '127.0.0.1');
    expect(server.address()).to.have.property('port').that.is.not.oneOf([0, 8080]);
    expect([adopted, wherever]).to.deep.equal([[], ['127.0.0.1:0']]);
    server.close();
    await once(server, 'close');
  });

  it('binds a port of such a server so that others can share it', async () => {
    isWanted = false;
    bind = () => -98; // Node then says in its own words what is wrong.
    const busy = createNet().listen(0, '127.0.0.1');
    await once(busy, 'listening');
    const { port } = busy.address() as AddressInfo;
    const server = createHttp();
    const failed = once(server, 'error');
    server.listen(port, '127.0.0.1');
    expect((await failed)[0]).to.have.property('code', 'EADDRINUSE');
    expect(shared).to.deep.equal([['127.0.0.1', port, false]]);
    busy.close();
    await once(busy, 'close');
  });

  it('binds every address of IPv4 where there is no IPv6', async () => {
    isWanted = false;
    bind = (address) => (address === '::' ? -97 : -13);
    await listening(81);
    expect(shared).to.deep.equal([
      ['::', 81, false],
      ['0.0.0.0', 81, false],
    ]);
  });

  it('lets a server think that it listens where its port may not be bound', async () => {
    isWanted = false;
    bind = () => -13;
    const server = await listening(80);
    expect(server.address()).to.have.property('port', 80);
    expect(wherever).to.deep.equal(['*:80', 'denied *:80']);
  });

  it('lets a server think that it listens where its port is taken by Apache', async () => {
    isWanted = false;
    bind = () => -98;
    const server = await listening(8081, '127.0.0.1');
    expect(server.address()).to.have.property('port', 8081);
    expect(wherever).to.deep.equal(['127.0.0.1:8081', 'denied 127.0.0.1:8081']);
    expect(shared).to.deep.equal([['127.0.0.1', 8081, false]]);
  });

  it('binds nothing for a server beside the one that is adopted', async () => {
    isWanted = false;
    decision = 'beside';
    const server = await listening(3000, '::1');
    expect([server.listening, shared]).to.deep.equal([true, []]);
  });

  it('says that a port is in use, as Node does, to servers of http and of net', async () => {
    await listening(3000);
    isWanted = false;
    for (const other of [createHttp(), createNet()]) {
      const failed = once(other, 'error');
      other.listen(3000, '127.0.0.1');
      const [error] = (await failed) as [NodeJS.ErrnoException];
      expect(error).to.include({
        message: 'listen EADDRINUSE: address already in use 127.0.0.1:3000',
        code: 'EADDRINUSE',
        errno: -98,
        syscall: 'listen',
        address: '127.0.0.1',
        port: 3000,
      });
    }
  });

  it('closes all connections of a server that is adopted', async () => {
    const server = await listening(3000);
    server.closeAllConnections();
    expect(cut).to.equal(server);
    expect(Object.keys(server)).not.to.include('closeAllConnections');
  });

  it('leaves servers alone that are not http', async () => {
    const server = createNet().listen(0, '127.0.0.1');
    await once(server, 'listening');
    expect(server.address()).to.have.property('port').that.is.not.oneOf([0, 8080]);
    server.close();
    await once(server, 'close');
  });
});

describe('portOf', () => {
  const cases: readonly (readonly [unknown[], number | undefined])[] = [
    [[], 0],
    [[(): void => undefined], 0],
    [[null], 0],
    [[80], 80],
    [['80', 'h', 5], 80],
    [['0x50'], 80],
    [['/run/x'], undefined],
    [[{ port: '80' }], 80],
    [[{ port: undefined }], 0],
    [[{ path: '/run/x' }], undefined],
    [[{ fd: 3 }], undefined],
    [[{ _handle: {} }], undefined],
    [[{ port: Symbol.iterator }], undefined],
    [[Symbol.iterator], undefined],
    [[-1], undefined],
  ];
  for (const [args, port] of cases) {
    it(`finds ${String(port)} in ${inspect(args)}`, () => {
      expect(portOf(args)).to.equal(port);
    });
  }
});

describe('isSamePlace', () => {
  const tcp = (address: string | null, port = 80, flags = 0): Place =>
    placeOf(address, port, undefined, flags);
  const cases: readonly (readonly [Place, Place, boolean])[] = [
    [tcp(null), tcp(null), true],
    [tcp(null), tcp(null, 81), false],
    [tcp(null, 0), tcp(null, 0), false],
    [tcp('127.0.0.1'), tcp('127.0.0.1'), true],
    [tcp('127.0.0.1'), tcp('127.0.0.2'), false],
    [tcp('127.0.0.1'), tcp('::1'), false],
    [tcp('::'), tcp('127.0.0.1'), true],
    [tcp('0.0.0.0'), tcp(null), true],
    [tcp('0.0.0.0'), tcp('::1'), false],
    [tcp('::', 80, 1), tcp('0.0.0.0'), false],
    [tcp('::', 80, 1), tcp('::1'), true],
    [placeOf('/run/x', -1, undefined, 0), placeOf('/run/x', -1, undefined, 0), true],
    [placeOf('/run/x', -1, undefined, 0), placeOf('/run/y', -1, undefined, 0), false],
    [placeOf(null, null, 3, 0), placeOf(null, null, 3, 0), false],
  ];
  for (const [a, b, same] of cases) {
    const verb = same ? 'excludes' : 'goes with';
    it(`${describePlace(a)}${a.isOnlyV6 ? ' (IPv6 only)' : ''} ${verb} ${describePlace(b)}`, () => {
      expect([isSamePlace(a, b), isSamePlace(b, a)]).to.deep.equal([same, same]);
    });
  }
});
