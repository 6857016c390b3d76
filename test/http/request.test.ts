import { expect } from 'chai';
import express from 'express';
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { RequestListener, Server } from 'node:http';
import { createServer, IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { inspect } from 'node:util';
import { FLAG_EXPECT, FLAG_STARTED } from '../../src/events.ts';
import { waitFor } from '../harness/wait.ts';
import type { FakeChannel, FakeHost } from './fake-channel.ts';
import { makeHost } from './fake-channel.ts';

function hostOf(listener: RequestListener): FakeHost {
  return makeHost({ kind: 'server', server: createServer(listener) });
}

function channelOf(listener: RequestListener): FakeChannel {
  return hostOf(listener).channel;
}

describe('a request', () => {
  it('is answered by one call of the channel when the app only ends it', async () => {
    const channel = channelOf((_req, res) => {
      res.setHeader('Content-Type', 'text/plain');
      res.end('hello');
    });
    const exchange = await channel.request();
    expect(exchange.calls).to.equal(1);
    expect(exchange.headers.map(([name]) => name)).to.deep.equal([
      'Content-Type',
      'Date',
      'Content-Length',
    ]);
  });

  it('comes with the client and the server on its socket', async () => {
    let seen: unknown;
    const channel = channelOf((req, res) => {
      const { socket } = req;
      seen = {
        isSocket: socket instanceof Socket,
        remote: [socket.remoteAddress, socket.remoteFamily, socket.remotePort],
        local: [socket.localAddress, socket.localFamily, socket.localPort],
        address: socket.address(),
        encrypted: 'encrypted' in socket && socket.encrypted,
        states: [socket.readyState, socket.connecting, socket.pending, socket.destroyed],
        same: socket === res.socket,
        chained:
          socket.setNoDelay().setKeepAlive(true, 1000).setTimeout(0).ref().unref() === socket,
      };
      res.end();
    });
    await channel.request({ scheme: 'https' });
    expect(seen).to.deep.equal({
      isSocket: true,
      remote: ['192.0.2.7', 'IPv4', 50123],
      local: ['192.0.2.1', 'IPv4', 443],
      address: { address: '192.0.2.1', family: 'IPv4', port: 443 },
      encrypted: true,
      states: ['open', false, false, false],
      same: true,
      chained: true,
    });
  });

  it('has a url without the mount point', async () => {
    const urls: string[] = [];
    const channel = channelOf((req, res) => {
      urls.push(`${req.url} ${req.tsgi?.uri}`);
      res.end();
    });
    for (const url of ['/a%2Fb', '', '?q=1', '/?q=1', '//x']) {
      await channel.request({ mount: '/%61pp', url });
    }
    await channel.request({ url: '*', method: 'OPTIONS' });
    expect(urls).to.deep.equal([
      '/a%2Fb /%61pp/a%2Fb',
      '/ /%61pp',
      '/?q=1 /%61pp?q=1',
      '/?q=1 /%61pp/?q=1',
      '//x /%61pp//x',
      '* *',
    ]);
  });

  it('is HTTP/1.1 for an HTTP/2 client and HTTP/1.0 for an old one', async () => {
    const seen: unknown[] = [];
    const channel = channelOf((req, res) => {
      seen.push([req.httpVersion, req.httpVersionMajor, req.httpVersionMinor, req.tsgi?.protocol]);
      res.write('x');
      res.end();
    });
    const new2 = await channel.request({ protocol: [2, 0] });
    const old = await channel.request({ protocol: [1, 0] });
    expect(seen).to.deep.equal([
      ['1.1', 1, 1, 'HTTP/2.0'],
      ['1.0', 1, 0, 'HTTP/1.0'],
    ]);
    expect([new2.body, old.body]).to.deep.equal(['x', 'x']);
  });

  it('does not show in the asynchronous context of another one of its batch', async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: string[] = [];
    const channel = channelOf((req, res) => {
      seen.push(`before ${storage.getStore()}`);
      storage.enterWith(req.url ?? '');
      res.on('finish', () => {
        res.req.tsgi?.log(6, 'finished');
      });
      void Promise.resolve().then(() => {
        seen.push(`later ${storage.getStore() === req.url}`);
        res.end();
      });
    });
    const all = ['/1', '/2', '/3'].map((url) => channel.queue({ url }));
    channel.deliver();
    await waitFor(() => all.every(({ isDead }) => isDead));
    expect(seen).to.deep.equal([
      ...Array.from({ length: 3 }, () => 'before undefined'),
      ...Array.from({ length: 3 }, () => 'later true'),
    ]);
  });

  it('that makes the app throw is fatal, and does not touch the others of its batch', async () => {
    const { channel, fatal } = hostOf((req, res) => {
      if (req.url === '/bad') throw new Error('thrown by the app');
      res.end('fine');
    });
    const [before, bad, after] = ['/1', '/bad', '/2'].map((url) => channel.queue({ url }));
    channel.deliver();
    await waitFor(() => before!.isDead && after!.isDead);
    expect(fatal).to.have.lengthOf(1);
    expect(String(fatal[0])).to.equal('Error: thrown by the app');
    expect([before!.body, bad!.status, after!.body]).to.deep.equal(['fine', 0, 'fine']);
  });

  it('marks how far a batch has been handed over', () => {
    const seen: number[] = [];
    const channel = channelOf(() => void seen.push(channel.progress[0] ?? -1));
    const first = channel.queue({ url: '/1' });
    channel.queue({ url: '/2' });
    channel.deliver();
    expect(first.id).to.equal(1);
    expect(seen[0]).to.equal(0);
    expect(seen[1]).to.be.greaterThan(0);
  });

  it('is started before the app is called, if Apache asks for it', async () => {
    let hadStarted: boolean | undefined;
    const channel = channelOf((_req, res) => {
      hadStarted = exchange.hasStarted;
      res.end();
    });
    const exchange = channel.queue({ flags: FLAG_STARTED, body: ['x'] });
    channel.deliver();
    await waitFor(() => exchange.isDead);
    expect(hadStarted).to.equal(true);
  });

  it('is dropped without a word when Apache has taken it back', () => {
    let calls = 0;
    const { channel, host } = hostOf(() => calls++);
    channel.refusesStarted = true;
    const exchange = channel.queue({ flags: FLAG_STARTED, body: ['x'] });
    channel.deliver();
    expect([calls, exchange.status, exchange.aborted, host.inHand]).to.deep.equal([
      0,
      0,
      undefined,
      0,
    ]);
  });

  it('with an Upgrade header is a normal request', async () => {
    const server = createServer((req, res) => res.end(String(Reflect.get(req, 'upgrade'))));
    server.on('upgrade', () => expect.fail('upgrade was emitted'));
    const { channel } = makeHost({ kind: 'server', server });
    const headers = [
      ['Host', 'x'],
      ['Connection', 'Upgrade'],
      ['Upgrade', 'websocket'],
    ] as const;
    expect((await channel.request({ headers })).body).to.equal('false');
  });
});

describe('a request body', () => {
  it('stops at Apache when the app does not read, and goes on when it does', async () => {
    let req: IncomingMessage | undefined;
    const channel = channelOf((request, res) => {
      req = request;
      request.on('end', () => res.end(`${request.socket.bytesRead}`));
    });
    const exchange = channel.queue({ body: [Buffer.alloc(100_000)], isOpen: true });
    channel.deliver();
    expect(exchange.isPaused).to.equal(true);
    req?.resume();
    await waitFor(() => !exchange.isPaused);
    channel.body(exchange, Buffer.alloc(50));
    channel.endBody(exchange);
    channel.deliver();
    await waitFor(() => exchange.isDead);
    expect(exchange.body).to.equal('100050');
  });

  it('comes when checkContinue lets it', async () => {
    const server: Server = createServer();
    const log: string[] = [];
    server.on('request', () => log.push('request'));
    server.on('checkContinue', (req, res) => {
      log.push('checkContinue');
      if (req.url === '/no') return void res.writeHead(417).end();
      res.writeContinue();
      req.pipe(res);
    });
    const { channel } = makeHost({ kind: 'server', server });
    const headers = [
      ['Host', 'x'],
      ['Expect', '100-continue'],
    ] as const;
    const spec = { headers, flags: FLAG_EXPECT, body: ['hello'] };
    const yes = await channel.request(spec);
    const no = await channel.request({ ...spec, url: '/no', isOpen: true, body: [] });
    expect([yes.continues, yes.body]).to.deep.equal([1, 'hello']);
    expect([no.continues, no.status]).to.deep.equal([0, 417]);
    expect(log).to.deep.equal(['checkContinue', 'checkContinue']);
  });

  it('comes also when the Expect header got lost on the way', async () => {
    const channel = channelOf((req, res) => void req.pipe(res));
    const exchange = await channel.request({ flags: FLAG_EXPECT, body: ['hello'] });
    expect([exchange.continues, exchange.body]).to.deep.equal([1, 'hello']);
  });

  it('that was waited for with an Expect which Apache has dealt with is not asked for again', async () => {
    const headers = [
      ['Host', 'x'],
      ['Expect', '100-continue'],
    ] as const;
    const channel = channelOf((req, res) => void req.pipe(res));
    const exchange = await channel.request({ headers, body: ['hello'] });
    expect([exchange.continues, exchange.body]).to.deep.equal([0, 'hello']);
  });
});

describe('a response', () => {
  it('waits for drain when the client does not read', async () => {
    const log: string[] = [];
    const channel = channelOf((_req, res) => {
      log.push(`small ${res.write('x')}`);
      log.push(`large ${res.write(Buffer.alloc(70_000), () => log.push('written'))}`);
      log.push(`length ${res.writableLength >= 70_000} ${res.writableNeedDrain}`);
      res.on('drain', () => {
        log.push(`drain ${res.writableLength}`);
        res.end();
      });
    });
    channel.isStalled = true;
    const exchange = channel.queue();
    channel.deliver();
    await new Promise(setImmediate);
    expect(log).to.deep.equal(['small true', 'large false', 'length true true']);
    channel.isStalled = false;
    channel.leave(exchange);
    channel.deliver();
    await waitFor(() => exchange.isDead);
    expect(log.slice(3)).to.deep.equal(['drain 0', 'written']);
  });

  it('says finish when its last byte has left, and not before', async () => {
    const log: string[] = [];
    const channel = channelOf((_req, res) => {
      res.on('finish', () => log.push('finish'));
      res.on('close', () => log.push('close'));
      res.end('x', () => log.push('callback'));
    });
    channel.isStalled = true;
    const exchange = channel.queue();
    channel.deliver();
    await new Promise(setImmediate);
    expect(log).to.deep.equal([]);
    channel.leave(exchange);
    channel.deliver();
    await waitFor(() => log.includes('close'));
    // Node 26 calls back before it emits.
    expect(log.slice(0, 2)).to.have.members(['finish', 'callback']);
    expect(log[2]).to.equal('close');
  });

  it('keeps header values in latin1 beside a body that is text', async () => {
    const channel = channelOf((_req, res) => res.setHeader('X-Name', 'é').end('žluťoučký'));
    const exchange = await channel.request();
    expect(exchange.header('X-Name')).to.equal('é');
    expect(exchange.body).to.equal('žluťoučký');
  });

  it('with a status that is none is a failure of the app', async () => {
    const channel = channelOf((_req, res) => res.writeHead(150).end());
    expect((await channel.request()).aborted?.code).to.equal(714);
  });

  it('by hand that is no HTTP is a failure of the app', async () => {
    const channel = channelOf((_req, res) => res.socket?.write('220 smtp.example\r\n\r\n'));
    expect((await channel.request()).aborted?.code).to.equal(713);
  });

  it('by hand goes on after a head that left through res', async () => {
    const channel = channelOf((_req, res) => {
      res.writeHead(200, { 'Content-Length': 5 });
      res.flushHeaders();
      res.socket?.end('hello');
    });
    expect((await channel.request()).body).to.equal('hello');
  });

  it('by hand waits for the client as every stream does', async () => {
    const log: string[] = [];
    const channel = channelOf((_req, res) => {
      const socket = res.socket!;
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      log.push(String(socket.write(Buffer.alloc(100_000))));
      socket.once('drain', () => {
        log.push('drain');
        socket.end();
      });
    });
    const exchange = await channel.request();
    expect(log).to.deep.equal(['false', 'drain']);
    expect(exchange.body).to.have.lengthOf(100_000);
  });
});

describe('a server of the app keeps its say', () => {
  it('in the classes of req and res', async () => {
    class Req extends IncomingMessage {
      readonly mine = true;
    }
    class Res extends ServerResponse {
      greet(): void {
        this.end('hello');
      }
    }
    const server = createServer({ IncomingMessage: Req, ServerResponse: Res as never });
    server.on('request', (req, res) => {
      expect(req).to.be.instanceOf(Req).and.have.property('mine');
      (res as unknown as Res).greet();
    });
    const { channel } = makeHost({ kind: 'server', server });
    expect((await channel.request()).body).to.equal('hello');
  });

  it('in joined and unique headers and in their number', async () => {
    const server = createServer(
      { joinDuplicateHeaders: true, uniqueHeaders: ['X-One'] },
      (req, res) => {
        res.setHeader('X-One', ['a', 'b']);
        res.end(JSON.stringify([req.headers['user-agent'], req.headers['x-third']]));
      },
    );
    server.maxHeadersCount = 3;
    const { channel } = makeHost({ kind: 'server', server });
    const headers = [
      ['Host', 'x'],
      ['User-Agent', 'a'],
      ['User-Agent', 'b'],
      ['X-Third', 'c'],
    ] as const;
    const exchange = await channel.request({ headers });
    expect(exchange.body).to.equal('["a, b",null]');
    expect(exchange.header('X-One')).to.equal('a; b');
  });

  it('in time limits, which it may handle itself', async () => {
    const log: string[] = [];
    const server = createServer((req, res) => {
      if (req.url === '/own') res.setTimeout(5, () => res.writeHead(503).end());
      else req.socket.setTimeout(5, () => log.push('socket timeout'));
    });
    const { channel } = makeHost({ kind: 'server', server });
    expect((await channel.request({ url: '/own' })).status).to.equal(503);
    expect((await channel.request()).aborted?.code).to.equal(712);
    await waitFor(() => log.includes('socket timeout'));
    server.setTimeout(5, () => log.push('server timeout'));
    const exchange = channel.queue();
    channel.deliver();
    await waitFor(() => log.includes('server timeout'));
    expect(exchange.isDead).to.equal(false);
  });

  it('in diagnostics channels', async () => {
    const log: string[] = [];
    const start = (message: unknown): void => {
      const { request, server } = message as { request: IncomingMessage; server: unknown };
      log.push(`start ${request.url} ${server === own}`);
    };
    const finish = (message: unknown): void => {
      const { response } = message as { response: ServerResponse };
      log.push(`finish ${response.statusCode} ${response.socket !== null}`);
    };
    const own = createServer((_req, res) => res.end());
    subscribe('http.server.request.start', start);
    subscribe('http.server.response.finish', finish);
    const { channel } = makeHost({ kind: 'server', server: own });
    await channel.request({ url: '/x' });
    unsubscribe('http.server.request.start', start);
    unsubscribe('http.server.response.finish', finish);
    expect(log).to.deep.equal(['start /x true', 'finish 200 true']);
  });

  it('in an Express app, which swaps the prototypes of both', async () => {
    const app = express();
    app.use(express.json());
    app.post('/echo/:name', (req, res) => {
      res.json({ name: req.params.name, body: req.body as unknown, group: req.tsgi?.processGroup });
    });
    const channel = channelOf(app);
    const exchange = await channel.request({
      mount: '/shop',
      url: '/echo/x',
      headers: [
        ['Host', 'x'],
        ['Content-Type', 'application/json'],
        ['Content-Length', '7'],
      ],
      body: ['{"a":1}'],
    });
    expect(exchange.header('Content-Type')).to.equal('application/json; charset=utf-8');
    expect(JSON.parse(exchange.body)).to.deep.equal({ name: 'x', body: { a: 1 }, group: 'shop' });
    const missing = await channel.request({ url: '/missing' });
    expect(missing.status).to.equal(404);
  });

  it('for requests that Apache has nothing to do with', async () => {
    makeHost({ kind: 'server', server: createServer() });
    const server = createServer((req, res) => {
      res.write('plain ');
      res.end(String(req.tsgi === undefined));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect(await response.text()).to.equal('plain true');
    server.closeAllConnections();
    server.close();
  });
});

describe('req.tsgi', () => {
  it('tells what Apache knows', async () => {
    let facts: IncomingMessage['tsgi'];
    const channel = channelOf((req, res) => {
      facts = req.tsgi;
      req.tsgi?.log(4, 'first\nsecond');
      res.end();
    });
    const exchange = await channel.request({
      mount: '/caf%C3%A9',
      url: '/x?q=1',
      scheme: 'https',
      remoteUser: 'josé',
      script: '/srv/app/é.js',
      variables: [
        ['SSL_PROTOCOL', 'TLSv1.3'],
        ['__proto__', 'harmless'],
        ['NAME', 'žluť'],
      ],
    });
    expect(facts).to.include({
      mode: 'daemon',
      processGroup: 'shop',
      applicationGroup: 'example.test|/',
      requestId: 'request-1',
      scriptName: '/café',
      pathInfo: '/x',
      scriptFilename: '/srv/app/é.js',
      uri: '/caf%C3%A9/x?q=1',
      scheme: 'https',
      serverName: 'example.test',
      serverPort: 80,
      documentRoot: '/srv/htdocs',
      remoteUser: 'josé',
      authType: 'Basic',
    });
    expect(Object.getPrototypeOf(facts?.env)).to.equal(null);
    expect(JSON.parse(JSON.stringify(facts))).to.include({ scriptName: '/café', serverPort: 80 });
    expect(inspect(facts))
      .to.match(/TLSv1\.3/)
      .and.not.match(/AbortSignal/);
    expect(Object.entries(facts?.env ?? {})).to.deep.equal([
      ['SSL_PROTOCOL', 'TLSv1.3'],
      ['__proto__', 'harmless'],
      ['NAME', 'žluť'],
    ]);
    expect(exchange.logs).to.deep.equal([
      { level: 4, text: 'first' },
      { level: 4, text: 'second' },
    ]);
  });

  it('logs with the request id when the request is over', async () => {
    let facts: IncomingMessage['tsgi'];
    const { channel, lines } = hostOf((req, res) => {
      facts = req.tsgi;
      res.end();
    });
    await channel.request();
    facts?.log(5, 'late');
    expect(lines).to.deep.equal([{ level: 5, text: '[request request-1] late' }]);
  });

  it('leaves the signal of Node 26 alone when the response was whole', async function () {
    if (!('signal' in IncomingMessage.prototype)) return;
    let signal: AbortSignal | undefined;
    let isClosed = false;
    const channel = channelOf((req, res) => {
      signal = Reflect.get(req, 'signal') as AbortSignal;
      req.socket.on('close', () => (isClosed = true));
      res.end();
    });
    await channel.request();
    await waitFor(() => isClosed);
    expect(signal?.aborted).to.equal(false);
  });
});
