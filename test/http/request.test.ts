import { expect } from 'chai';

import { AsyncLocalStorage } from 'node:async_hooks';
import type { Server, IncomingMessage } from 'node:http';
import { createServer } from 'node:http';
import { Socket } from 'node:net';
import { FLAG_EXPECT, FLAG_STARTED } from '../../src/events.ts';
import { waitFor } from '../harness/wait.ts';
import { makeHost } from './fake-channel.ts';
import { channelOf, hostOf } from './listeners.ts';

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
    for (const url of ['/a%2Fb', '', '?q=1', '/?q=1', '//x', '%2Fx', '%2f%2F?q=1']) {
      await channel.request({ mount: '/%61pp', url });
    }
    await channel.request({ url: '*', method: 'OPTIONS' });
    expect(urls).to.deep.equal([
      '/a%2Fb /%61pp/a%2Fb',
      '/ /%61pp',
      '/?q=1 /%61pp?q=1',
      '/?q=1 /%61pp/?q=1',
      '//x /%61pp//x',
      '/x /%61pp%2Fx', // AllowEncodedSlashes On: that was the slash
      '/%2F?q=1 /%61pp%2f%2F?q=1',
      '* *',
    ]);
  });

  it('tells a mounted app of its mount point as a router of Express does, and no other one', async () => {
    const seen: unknown[] = [];
    const channel = channelOf((req, res) => {
      const { originalUrl, baseUrl } = req as IncomingMessage & Record<string, unknown>;
      seen.push([originalUrl, baseUrl, 'baseUrl' in req]);
      res.end();
    });
    await channel.request({ mount: '/%61pp', url: '/x?q=1' });
    await channel.request({ url: '/x' });
    expect(seen).to.deep.equal([
      ['/%61pp/x?q=1', '/%61pp', true],
      [undefined, undefined, false],
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
