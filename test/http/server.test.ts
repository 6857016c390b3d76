import { expect } from 'chai';
import express from 'express';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer, IncomingMessage, ServerResponse } from 'node:http';
import { waitFor } from '../harness/wait.ts';
import { makeHost } from './fake-channel.ts';
import { channelOf } from './listeners.ts';

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
