import { getRequestListener } from '@hono/node-server';
import { expect } from 'chai';
import fastify from 'fastify';
import { createReadStream, readFileSync } from 'node:fs';
import type { RequestListener, Server } from 'node:http';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pipeline } from 'node:stream';
import { createGzip, gunzipSync } from 'node:zlib';
import type { FakeChannel } from './fake-channel.ts';
import { makeHost } from './fake-channel.ts';

function channelOf(server: Server): FakeChannel {
  return makeHost({ kind: 'server', server }).channel;
}

const json = {
  headers: [
    ['Host', 'example.test'],
    ['Content-Type', 'application/json'],
    ['Content-Length', '7'],
  ] as const,
  body: ['{"a":', '1}'],
};

describe('frameworks and streams that know nothing of the host', () => {
  it('Fastify reads a body, answers, and runs its hooks', async () => {
    const log: string[] = [];
    const app = fastify();
    app.addHook('onResponse', (_req, _reply, done) => {
      log.push('onResponse');
      done();
    });
    app.post('/echo', (req) => ({ body: req.body, ip: req.ip }));
    await app.ready();
    const exchange = await channelOf(app.server).request({ ...json, url: '/echo' });
    expect(JSON.parse(exchange.body)).to.deep.equal({ body: { a: 1 }, ip: '192.0.2.7' });
    expect(log).to.deep.equal(['onResponse']);
    await app.close();
  });

  it('Koa answers by a stream', async () => {
    interface Koa {
      use(middleware: (context: { body: unknown; path: string }) => void): void;
      callback(): RequestListener;
    }
    const KoaApp = createRequire(import.meta.url)('koa') as new () => Koa;
    const app = new KoaApp();
    app.use((context) => {
      context.body = context.path === '/file' ? createReadStream('package.json') : { hello: 'Koa' };
    });
    const channel = channelOf(createServer(app.callback()));
    expect(JSON.parse((await channel.request()).body)).to.deep.equal({ hello: 'Koa' });
    const file = await channel.request({ url: '/file' });
    expect(file.body).to.equal(readFileSync('package.json', 'utf8'));
  });

  it('Hono answers through its own adapter for Node', async () => {
    const listener = getRequestListener(
      (request) => new Response(`by ${new URL(request.url).pathname}`),
    );
    const channel = channelOf(createServer((req, res) => void listener(req, res)));
    expect((await channel.request({ url: '/hono' })).body).to.equal('by /hono');
  });

  it('stream.pipeline ends a response that is compressed on the way', async () => {
    const done: unknown[] = [];
    const channel = channelOf(
      createServer((_req, res) => {
        res.setHeader('Content-Encoding', 'gzip');
        pipeline(createReadStream('package-lock.json'), createGzip(), res, (error) =>
          done.push(error),
        );
      }),
    );
    const exchange = await channel.request();
    const unpacked = gunzipSync(Buffer.concat(exchange.chunks)).toString('utf8');
    expect(unpacked).to.equal(readFileSync('package-lock.json', 'utf8'));
    expect(done).to.deep.equal([undefined]);
  });
});
