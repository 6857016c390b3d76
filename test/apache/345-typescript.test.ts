/** TypeScript entries: what is run as it stands, and where the log says that an error came from. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { transformSync } from 'esbuild';
import { Httpd } from '../harness/httpd.ts';
import { place } from '../harness/place.ts';
import { waitFor } from '../harness/wait.ts';

const config = `
TSGIDaemonProcess typed env=XDG_CACHE_HOME=@ROOT@/run/cache
TSGIProcessGroup typed
TSGIScriptAlias /enum @ROOT@/apps/enum/index.ts
TSGIScriptAlias /legacy @ROOT@/apps/legacy/src/index.ts
TSGIScriptAlias /standard @ROOT@/apps/standard/index.ts
TSGIScriptAlias /paths @ROOT@/apps/paths/src/index.mts
TSGIScriptAlias /view @ROOT@/apps/view/index.tsx
TSGIScriptAlias /package @ROOT@/apps/package
TSGIScriptAlias /cts @ROOT@/apps/mixed/index.cts
TSGIScriptAlias /plain @ROOT@/apps/plain/index.ts
TSGIDaemonProcess mapped node-args=--enable-source-maps
TSGIScriptAlias /mapped @ROOT@/apps/compiled/dist/index.js process-group=mapped
TSGIDaemonProcess chosen node-args="--import tsx" home=@ROOT@/apps
TSGIScriptAlias /chosen @ROOT@/apps/legacy/src/index.ts process-group=chosen
`;

/** An app that throws, from a function whose line the log has to name. */
const failing = (first: string, word: string): string => `${first}
import { createServer } from 'node:http';
interface Failure {
  readonly reason: string;
}


function fail({ reason }: Failure): never {
  throw new Error(reason);
}
createServer((req, res) => {
  if (req.url === '/fail') setTimeout(() => fail({ reason: 'deliberate' }), 1);
  else res.end(${word});
}).listen(3000);
`;
/** Where it throws. */
const LINE = 9;

const files: Readonly<Record<string, string>> = {
  'enum/index.ts': failing("enum Colour { Red = 'red' }", 'Colour.Red'),
  'plain/index.ts': failing('', "'plain'"),
  'legacy/tsconfig.json':
    '{ "compilerOptions": { "experimentalDecorators": true, "emitDecoratorMetadata": true } }',
  'legacy/src/index.ts': failing(
    `const names: string[] = []; function named(target: { name: string }): void { names.push(target.name) } @named class Shop {}; void Shop;`,
    'names.join()',
  ),
  'standard/index.ts': failing(
    `const upper = (method: () => string, _context: ClassMethodDecoratorContext) => function (this: unknown): string { return method.call(this).toUpperCase() }; class Greeter { @upper greet(): string { return 'hello' } }`,
    'new Greeter().greet()',
  ),
  'paths/tsconfig.json':
    '{ "compilerOptions": { "baseUrl": ".", "paths": { "@lib/*": ["lib/*"] } } }',
  'paths/lib/word.ts': "export const word: string = 'by its path';",
  'paths/src/index.mts':
    "import { word } from '@lib/word';\nexport default { fetch: () => new Response(word) };",
  'view/index.tsx': `
    const h = (name: string, _attributes: unknown, ...children: string[]): string => \`<\${name}>\${children.join('')}</\${name}>\`;
    const view = /* @jsx h */ (): string => <p>hello</p> as unknown as string;
    export default (_req: unknown, res: { end(text: string): void }) => { res.end(view()) };`,
  'view/tsconfig.json': '{ "compilerOptions": { "jsx": "react", "jsxFactory": "h" } }',
  'package/package.json': '{ "type": "module", "main": "src/app.ts" }',
  'package/src/app.ts':
    "const word: string = 'of a package';\nexport default { fetch: () => new Response(word) };",
  'mixed/index.cts':
    "import word = require('./word.cjs');\nexport = (_req: unknown, res: { end(text: string): void }) => { res.end(word) };",
  'mixed/word.cjs': "module.exports = 'import = require';",
  'compiled/src/index.ts': failing('', "'compiled'"),
};

describe('TypeScript', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config });
    for (const [name, text] of Object.entries(files)) httpd.write(name, text);
    mkdirSync(join(httpd.dir, 'run/cache'), { mode: 0o777 });
    const { code, map } = transformSync(files['compiled/src/index.ts'] ?? '', {
      loader: 'ts',
      format: 'cjs',
      minifyWhitespace: true,
      sourcemap: 'external',
      sourcefile: '../src/index.ts',
    });
    httpd.write('compiled/dist/index.js', `${code}//# sourceMappingURL=index.js.map\n`);
    httpd.write('compiled/dist/index.js.map', map);
    symlinkSync(join(place(), 'node_modules'), join(httpd.dir, 'apps/node_modules'));
    await httpd.start();
  });
  after(() => httpd.stop());

  for (const [path, body, what] of [
    ['enum', 'red', 'an enum'],
    ['legacy', 'Shop', 'decorators as NestJS has them'],
    ['standard', 'HELLO', 'decorators as ECMAScript has them'],
    ['paths', 'by its path', 'paths of tsconfig.json, in an .mts'],
    ['view', '<p>hello</p>', 'JSX in a .tsx'],
    ['package', 'of a package', 'a package whose "main" is TypeScript'],
    ['cts', 'import = require', '.cts with import = require'],
    ['plain', 'plain', 'types alone'],
    ['mapped', 'compiled', 'what was compiled before'],
    ['chosen', 'Shop', 'through a compiler that node-args names'],
  ] as const) {
    it(`runs ${what}`, async () => {
      expect((await httpd.ask(`/${path}`)).body).to.equal(body);
    });
  }

  for (const [path, file] of [
    ['enum', 'enum/index.ts'],
    ['legacy', 'legacy/src/index.ts'],
    ['plain', 'plain/index.ts'],
    ['mapped', 'compiled/src/index.ts'],
  ] as const) {
    it(`names the line of the source when an error ends a request (${file})`, async () => {
      expect((await httpd.ask(`/${path}`)).status).to.equal(200);
      httpd.log.allow(/err\] /, /TSGI0507/, /TSGI0174/);
      expect((await httpd.ask(`/${path}/fail`)).status).to.equal(502);
      const place = `${join(httpd.dir, 'apps', file)}:${LINE}:`;
      const lost = await waitFor(() =>
        httpd.log.matching(/TSGI0174/).find((line) => line.includes(place)),
      );
      expect(lost).to.match(/last on stderr: Error: deliberate at fail \(/);
      const frames = httpd.log
        .matching(/ err\] +at fail \(/)
        .filter((line) => line.includes(place));
      expect(frames).to.not.deep.equal([]);
    });
  }

  it('that asks for the metadata of decorators is told, once, that it does not get it', () => {
    const lines = httpd.log.matching(/TSGI0630/);
    expect(lines.filter((line) => line.includes('[typed '))).to.not.deep.equal([]);
    expect(lines.filter((line) => line.includes('[chosen '))).to.deep.equal([]);
    expect(lines[0]).to.match(/notice.*legacy\/src\/index\.ts.*legacy\/tsconfig\.json/);
  });
});
