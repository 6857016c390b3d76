import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TestGroup } from './harness.ts';

const nodes = process.env['TSGI_TEST_NODES']?.split(':') ?? [process.execPath];
const require = createRequire(import.meta.url);
const path = (name: string): string => JSON.stringify(require.resolve(name));
const url = (name: string): string => JSON.stringify(pathToFileURL(require.resolve(name)).href);

/** Forms of an app: file name, source, body of GET /. */
const forms: readonly (readonly [string, string, string])[] = [
  [
    'listen.cjs',
    `require('http').createServer((req, res) => res.end('listen')).listen(3000)`,
    'listen',
  ],
  [
    'listen.mjs',
    `import http from 'node:http'; await 0; http.createServer((q, r) => r.end('esm')).listen()`,
    'esm',
  ],
  [
    'https.cjs',
    `require('https').createServer({}, (req, res) => res.end('https')).listen(443)`,
    'https',
  ],
  [
    'late.cjs',
    `setTimeout(() => require('http').createServer((q, r) => r.end('late')).listen(1), 100)`,
    'late',
  ],
  [
    'endless.mjs',
    `import http from 'node:http'; import { on } from 'node:events'; const s = http.createServer().listen(1); for await (const [, res] of on(s, 'request')) res.end('endless')`,
    'endless',
  ],
  [
    'callable.cjs',
    `exports.application = (e, start) => { start('200 OK', []); return ['callable'] }`,
    'callable',
  ],
  [
    'callable.mjs',
    `export const application = (e, start) => { start('200 OK', []); return ['c ' + e['tsgi.process_group']] }`,
    'c test',
  ],
  ['detected.js', `export default (req, res) => res.end('detected')`, 'detected'],
  [
    'awaited.js',
    `const word = await 'awaited'; export default (req, res) => res.end(word)`,
    'awaited',
  ],
  ['function.cjs', `module.exports = (req, res) => res.end('function')`, 'function'],
  [
    'transpiled.cjs',
    `exports.__esModule = true; exports.default = (req, res) => res.end('transpiled')`,
    'transpiled',
  ],
  [
    'server.cjs',
    `module.exports = require('http').createServer((req, res) => res.end('server'))`,
    'server',
  ],
  [
    'fetch.mjs',
    `export default { word: 'fetch', fetch() { return new Response(this.word) } }`,
    'fetch',
  ],
  [
    'express.cjs',
    `const app = require(${path('express')})(); app.get('/', (q, r) => r.send('express')); module.exports = app`,
    'express',
  ],
  [
    'koa.cjs',
    `const Koa = require(${path('koa')}); module.exports = new Koa().use((ctx) => { ctx.body = 'koa' })`,
    'koa',
  ],
  [
    'fastify.cjs',
    `const app = require(${path('fastify')})(); app.get('/', async () => 'fastify'); module.exports = app`,
    'fastify',
  ],
  [
    'fastify-listen.cjs',
    `const app = require(${path('fastify')})(); app.get('/', async () => 'heard'); app.listen({ port: 3000 })`,
    'heard',
  ],
  [
    'hono.mjs',
    `import { Hono } from ${url('hono')}; export default new Hono().get('/', (c) => c.text('hono'))`,
    'hono',
  ],
  [
    'both.cjs',
    `const app = (q, r) => r.end('exported'); module.exports = app; require('http').createServer((q, r) => r.end('heard first')).listen(1)`,
    'heard first',
  ],
  [
    'cluster.cjs',
    `const c = require('cluster'); if (c.isPrimary) { c.fork(); c.fork() } else require('http').createServer((q, r) => r.end('id ' + c.worker.id)).listen(1)`,
    'id 1',
  ],
  [
    'cluster.mjs',
    `import c from 'node:cluster'; import { createServer } from 'node:http'; if (c.isPrimary) c.fork(); else createServer((q, r) => r.end('cluster')).listen(1)`,
    'cluster',
  ],
  [
    'no-cluster.cjs',
    `const c = require('cluster'); module.exports = (req, res) => res.end([c.isPrimary, c.isWorker, typeof process.send].join())`,
    'true,false,undefined',
  ],
  [
    'strip.ts',
    `import http from 'node:http'; const word: string = 'strip'; http.createServer((q, r) => r.end(word)).listen(1)`,
    'strip',
  ],
  [
    'typed.cts',
    `const word: string = 'cts'; module.exports = (req: object, res: any) => res.end(word + (require.main === module))`,
    'ctstrue',
  ],
  [
    'typed.mts',
    `const word: string = await Promise.resolve('mts'); export default (req: object, res: any) => res.end(word)`,
    'mts',
  ],
  [
    'enum.ts',
    `enum Word { Is = 'enum' } export default (req: object, res: any) => res.end(Word.Is)`,
    'enum',
  ],
  [
    'bare.ts',
    `import { word, Word } from './lib/word'; const w: Word = word; export default (req: object, res: any) => res.end(w)`,
    'bare',
  ],
  [
    'mapped/app.ts',
    `import { word } from '@words'; export default (req: object, res: any) => res.end(word)`,
    'bare',
  ],
  [
    'mapped/decorated.ts',
    `function d(c: any) { c.word = 'decorated' } @d class A { static word: string; } export default (req: object, res: any) => res.end(A.word)`,
    'decorated',
  ],
];

const facts = `{
  argv: process.argv, execArgv: process.execArgv, cwd: process.cwd(),
  main: typeof require === 'function' ? require.main === module : import.meta.main,
  file: typeof __filename === 'string' ? __filename : import.meta.filename,
}`;
const factsOfCommonJs = facts
  .replace('import.meta.main', 'null')
  .replace('import.meta.filename', 'null');

for (const node of nodes) {
  describe(`an entry, with ${node === process.execPath ? 'this Node' : node}`, () => {
    let group: TestGroup;
    const major = Number.parseInt(execFileSync(node, ['-p', 'process.versions.node']).toString());
    before(() => {
      group = new TestGroup(['startup-timeout=10000'], node);
      group.write(
        'lib/word.ts',
        `export interface Word2 {}\nexport type Word = string; export const word = 'bare'`,
      );
      group.write(
        'mapped/tsconfig.json',
        '{ "compilerOptions": { /* both */ "experimentalDecorators": true, "baseUrl": ".", "paths": { "@words": ["../lib/word.ts"], }, }, }',
      );
    });
    after(() => group.stop());

    for (const [name, source, body] of forms) {
      it(`(${name}) is found and served`, async () => {
        const { socket, script } = group.serve(name, source);
        expect(await group.ask(socket, script)).to.deep.equal({ status: 200, body });
      });
    }

    async function factsOf(name: string, source: string): Promise<Record<string, unknown>> {
      const { socket, script } = group.serve(name, source);
      return JSON.parse((await group.ask(socket, script)).body) as Record<string, unknown>;
    }

    it('is the main module in CommonJS', async () => {
      const seen = await factsOf(
        'facts.cjs',
        `module.exports = (req, res) => res.end(JSON.stringify(${factsOfCommonJs}))`,
      );
      const file = join(group.directory, 'facts.cjs');
      expect(seen).to.deep.equal({
        argv: [node, file],
        execArgv: [],
        cwd: group.directory,
        main: true,
        file,
      });
    });

    it('is the main module as an ES module', async () => {
      const seen = await factsOf(
        'facts.mjs',
        `export default (req, res) => res.end(JSON.stringify(${facts}))`,
      );
      const file = join(group.directory, 'facts.mjs');
      expect(seen).to.deep.include({
        argv: [node, file],
        execArgv: [],
        cwd: group.directory,
        file,
      });
      expect(seen['main']).to.equal(major >= 22 ? true : undefined);
    });

    it('is resolved through links, and runs where it really is', async () => {
      const real = group.write(
        'releases/1/app.cjs',
        `module.exports = (req, res) => res.end(JSON.stringify(${factsOfCommonJs}))`,
      );
      symlinkSync(join(group.directory, 'releases/1'), join(group.directory, 'current'));
      const script = join(group.directory, 'current/app.cjs');
      const [socket = ''] = group.app('linked', [script]);
      const seen = JSON.parse((await group.ask(socket, script)).body) as Record<string, unknown>;
      expect(seen).to.deep.include({ argv: [node, real], file: real, cwd: join(real, '..') });
    });

    it('tells in the log that it is started again, and that a second server is real', async () => {
      const { socket, script } = group.serve(
        'two.cjs',
        `const http = require('http'); const s = http.createServer((q, r) => r.end(String(s.address().port))).listen(8080, '127.0.0.1');
         http.createServer().listen(0, '127.0.0.1')`,
      );
      expect((await group.ask(socket, script)).body).to.equal('8080');
      await group.logged(/TSGI0618: .*two\.cjs.*127\.0\.0\.1:0/);
      await group.logged(/^6 \d+ host TSGI0619: .*cluster\.cjs/);
      if (major >= 22) await group.logged(/^6 \d+ host TSGI0615: .*enum\.ts/);
    });

    it('compiles into a directory that is private', () => {
      const cache = join(group.directory, '.cache/mod-tsgi');
      expect(existsSync(cache)).to.equal(true);
      expect(lstatSync(cache).mode & 0o777).to.equal(0o700);
    });
  });

  describe(`an entry behind --import, with ${node === process.execPath ? 'this Node' : node}`, () => {
    let group: TestGroup;
    before(() => {
      const directory = join(import.meta.dirname, 'fixtures');
      const hooks = pathToFileURL(join(directory, 'register.mjs')).href;
      group = new TestGroup(
        ['node-arg=--import', `node-arg=${hooks}`, 'node-arg=--no-warnings'],
        node,
      );
    });
    after(() => group.stop());

    for (const [name, source, body] of [
      [
        'plain.cjs',
        `module.exports = (req, res) => res.end('cjs ' + (require.main === module) + globalThis.imported)`,
        'cjs true1',
      ],
      [
        'plain.mjs',
        `globalThis.runs = (globalThis.runs ?? 0) + 1; await 0; export default (req, res) => res.end('mjs ' + import.meta.main + globalThis.runs)`,
        'mjs ',
      ],
      ['plain.js', `export default (req, res) => res.end('js ' + process.execArgv.length)`, 'js 3'],
      [
        'typed.mts',
        `const w: string = 'mts'; export default (req: object, res: any) => res.end(w)`,
        'mts',
      ],
      [
        'typed.ts',
        `enum W { X = 'ts' } export default (req: object, res: any) => res.end(W.X)`,
        'ts',
      ],
    ] as const) {
      it(`(${name}) is found and served`, async () => {
        const { socket, script } = group.serve(name, source);
        const answer = await group.ask(socket, script);
        expect(answer.body).to.match(new RegExp(`^${body}`));
        if (name === 'plain.mjs') expect(answer.body).to.match(/(true|undefined)1$/);
      });
    }
  });
}
