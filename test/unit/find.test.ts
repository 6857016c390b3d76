import { expect } from 'chai';
import { createServer as createHttp, Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createServer as createNet } from 'node:net';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { createRequire } from 'node:module';
import { TsgiError } from '../../src/errors.ts';
import type { App } from '../../src/http/app.ts';
import {
  describe as inWords,
  describeExports,
  exportsOfCommonJs,
  exportsOfModule,
  findApp,
  isHttpServer,
} from '../../src/worker/find.ts';

/** Koa has no types of its own. */
const Koa = createRequire(import.meta.url)('koa') as new () => object;

class Shop {
  readonly doors: number;
  constructor(rooms: number, doors: number) {
    this.doors = rooms + doors;
  }
}

/** A function that declares so many parameters; nothing calls it. */
function taking(count: number): () => void {
  return Object.defineProperty(() => undefined, 'length', { value: count });
}

const fromModule = (namespace: object): Promise<App | undefined> =>
  findApp(exportsOfModule(namespace), '/app.js');
const fromCommonJs = (exported: unknown): Promise<App | undefined> =>
  findApp(exportsOfCommonJs(exported), '/app.js');
const listener = taking(2);

describe('findApp', () => {
  it('takes an export named application before the default export', async () => {
    const application = (): string[] => [];
    expect(await fromModule({ application, default: listener })).to.deep.equal({
      kind: 'callable',
      application,
    });
    expect(await fromCommonJs({ application })).to.deep.equal({ kind: 'callable', application });
    expect(await fromModule({ default: { application } })).to.deep.equal({
      kind: 'callable',
      application,
    });
  });

  it('takes a framework that is exported as application for what it is', async () => {
    expect(await fromCommonJs({ application: express() })).to.have.property('kind', 'server');
    expect(await fromModule({ application: new Hono() })).to.have.property('kind', 'fetch');
  });

  for (const application of [42, 'text', {}, Shop]) {
    it(`refuses ${inWords(application)} as application with TSGI0613`, async () => {
      const error: unknown = await fromModule({ application }).catch((e: unknown) => e);
      expect(error).to.be.instanceOf(TsgiError).with.property('number', 613);
      expect(error).to.have.property('message').that.includes(inWords(application));
    });
  }

  it('takes an http server and an https server as they are', async () => {
    for (const server of [createHttp(), createHttps()]) {
      expect(await fromModule({ default: server })).to.deep.equal({ kind: 'server', server });
    }
  });

  it('calls fetch on the object that has it', async () => {
    const app = await fromModule({
      default: {
        word: 'mine',
        fetch() {
          return new Response(this.word);
        },
      },
    });
    if (app?.kind !== 'fetch') throw new Error('expected a fetch handler');
    const response = await app.fetch(new Request('http://localhost/'), {} as never);
    expect(await response.text()).to.equal('mine');
  });

  const frameworks: readonly (readonly [string, () => unknown])[] = [
    ['a function (req, res)', () => listener],
    ['a function (req, res, next)', () => taking(3)],
    ['Express', () => express()],
    ['Koa', () => new Koa()],
    ['Fastify', () => fastify()],
  ];
  for (const [what, make] of frameworks) {
    it(`puts a server in front of ${what}`, async () => {
      const app = await fromCommonJs(make());
      if (app?.kind !== 'server') throw new Error('expected a server');
      expect(app.server).to.be.instanceOf(Server);
      expect(app.server.listenerCount('request')).to.equal(1);
    });
  }

  it('takes the default export of transpiled CommonJS', async () => {
    expect(await fromCommonJs({ __esModule: true, default: listener })).to.have.property(
      'kind',
      'server',
    );
  });

  for (const value of [
    undefined,
    null,
    42,
    {},
    { port: 1 },
    [],
    () => undefined,
    taking(1),
    Shop,
  ]) {
    it(`finds no app in ${inWords(value)}`, async () => {
      expect(await fromModule({ default: value })).to.equal(undefined);
      expect(await fromCommonJs(value)).to.equal(undefined);
    });
  }
});

describe('describeExports', () => {
  it('names what there is', () => {
    expect(describeExports(exportsOfCommonJs({}))).to.equal('none');
    expect(describeExports(undefined)).to.equal('none');
    expect(describeExports(exportsOfModule({ default: 42, port: 1 }))).to.equal(
      'default (a number), port',
    );
    expect(describeExports(exportsOfCommonJs({ app: 1 }))).to.equal(
      'default (an object with app), app',
    );
  });
});

describe('isHttpServer', () => {
  it('knows http and https from other servers', () => {
    expect(isHttpServer(createHttp())).to.equal(true);
    expect(isHttpServer(createHttps())).to.equal(true);
    expect(isHttpServer(createNet())).to.equal(false);
    expect(isHttpServer({ listen: () => undefined })).to.equal(false);
    expect(isHttpServer(undefined)).to.equal(false);
  });
});
