/** Directories, packages and workspaces as entries, as `node directory` and package managers know them. */
import { mkdirSync, renameSync, symlinkSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

const config = `
DirectoryIndex index.js index.html
TSGIDaemonProcess packages
TSGIProcessGroup packages
TSGIScriptAlias /main @ROOT@/apps/main
TSGIScriptAlias /index @ROOT@/apps/index
TSGIScriptAlias /module @ROOT@/apps/module
TSGIScriptAlias /web @ROOT@/apps/ws/apps/web
TSGIScriptAlias /changing @ROOT@/apps/changing
TSGIScriptAlias /current @ROOT@/apps/current
TSGIScriptAlias /empty @ROOT@/apps/empty
TSGIDaemonProcess demanding processes=2
TSGIScriptAlias /demanding @ROOT@/apps/demanding/app.js process-group=demanding
`;

/** Tells where it is, and what it was told. */
const told = (word: string): string => `
  require('node:http').createServer((req, res) => res.end(JSON.stringify({
    word: ${JSON.stringify(word)}, url: req.url, cwd: process.cwd(), argv: process.argv[1],
    main: require.main.filename, pid: process.pid,
  }))).listen(3000);`;

const files: Readonly<Record<string, string>> = {
  'main/package.json': '{ "name": "main", "main": "./dist/server" }',
  'main/dist/server.js': told('main'),
  'main/index.js': told('not this one'),
  'index/index.js': told('index'),
  'module/package.json':
    '{ "name": "module", "type": "module", "main": "server.js", "imports": { "#config": "./config.js" }, "exports": { "./config": "./config.js" } }',
  'module/config.js': "export const config = 'configured';",
  'module/server.js': `
    import { config } from '#config';
    import { config as exported } from 'module/config';
    export default (req, res) => res.end(JSON.stringify({ config, same: config === exported }));`,
  // What pnpm makes of a workspace: packages are links, and what they need is beside where they lie.
  'ws/pnpm-workspace.yaml': 'packages: ["apps/*", "packages/*"]',
  'ws/package.json': '{ "name": "ws", "private": true }',
  'ws/packages/lib/package.json':
    '{ "name": "@ws/lib", "type": "module", "exports": { ".": "./index.js" } }',
  'ws/packages/lib/index.js': "export const lib = 'lib of the workspace';",
  'ws/apps/web/package.json': '{ "name": "web", "type": "module", "main": "server.js" }',
  'ws/apps/web/server.js': `
    import { createServer } from 'node:http';
    import { lib } from '@ws/lib';
    import dep from 'dep';
    const inner = await import('inner').then(() => 'found', (error) => error.code);
    createServer((req, res) => res.end(JSON.stringify({ lib, dep, inner }))).listen(3000);`,
  'ws/node_modules/.pnpm/dep@1.0.0/node_modules/dep/package.json': '{ "name": "dep" }',
  'ws/node_modules/.pnpm/dep@1.0.0/node_modules/dep/index.js':
    "module.exports = `dep with ${require('inner')}`;",
  'ws/node_modules/.pnpm/inner@2.0.0/node_modules/inner/index.js': "module.exports = 'inner';",
  'changing/package.json': '{ "main": "one.js" }',
  'changing/one.js': told('one'),
  'changing/two.js': told('two'),
  'releases/1/package.json': '{ "main": "app.js" }',
  'releases/1/app.js': told('release 1'),
  'releases/2/package.json': '{ "main": "app.js" }',
  'releases/2/app.js': told('release 2'),
  'empty/package.json': '{ "main": "missing.js" }',
  'demanding/package.json': '{ "engines": { "node": "^4.8 || <=6" } }',
  'demanding/app.js': told('demanding'),
};

const links: readonly (readonly [link: string, target: string])[] = [
  ['ws/apps/web/node_modules/@ws/lib', '../../../../packages/lib'],
  ['ws/apps/web/node_modules/dep', '../../../node_modules/.pnpm/dep@1.0.0/node_modules/dep'],
  ['ws/node_modules/.pnpm/dep@1.0.0/node_modules/inner', '../../inner@2.0.0/node_modules/inner'],
  ['current', 'releases/1'],
];

interface Told {
  readonly word: string;
  readonly url: string;
  readonly cwd: string;
  readonly argv: string;
  readonly main: string;
  readonly pid: number;
}

describe('a package as the entry', () => {
  let httpd: Httpd;
  const ask = async (path: string): Promise<Told> =>
    JSON.parse((await httpd.ask(path)).body) as Told;
  const path = (name: string): string => join(httpd.dir, 'apps', name);
  const word = async (url: string): Promise<string> => (await ask(url)).word;

  before(async () => {
    httpd = await Httpd.prepare({ config });
    for (const [name, text] of Object.entries(files)) httpd.write(name, text);
    for (const [link, target] of links) {
      mkdirSync(dirname(path(link)), { recursive: true });
      symlinkSync(target, path(link));
    }
    httpd.log.allow(/TSGI0628/, /TSGI0179/);
    await httpd.start();
  });
  after(() => httpd.stop());

  it('is the file that "main" names, run in the directory that was named', async () => {
    const { word, cwd, argv, main } = await ask('/main');
    expect({ word, cwd, argv, main }).to.deep.equal({
      word: 'main',
      cwd: path('main'),
      argv: path('main/dist/server.js'),
      main: path('main/dist/server.js'),
    });
  });

  it('is its index.js where no "main" is named', async () => {
    expect(await ask('/index')).to.include({ word: 'index', cwd: path('index') });
  });

  it('has the URL below the mount point, and no slash added to it', async () => {
    for (const [url, seen] of [
      ['/main', '/'],
      ['/main/', '/'],
      ['/main/a/b?c', '/a/b?c'],
      ['/main?c', '/?c'],
    ] as const) {
      const { status, body } = await httpd.ask(url);
      expect(status, url).to.equal(200);
      expect(JSON.parse(body), url).to.include({ word: 'main', url: seen });
    }
    const posted = await httpd.ask('/main', { method: 'POST', body: 'x' });
    expect(posted.status).to.equal(200);
  });

  it('is an ES module where its "type" says so, with its own #imports and exports', async () => {
    expect(await ask('/module')).to.deep.equal({ config: 'configured', same: true });
  });

  it('finds what pnpm has linked, and no more than that', async () => {
    expect(await ask('/web')).to.deep.equal({
      lib: 'lib of the workspace',
      dep: 'dep with inner',
      inner: 'ERR_MODULE_NOT_FOUND',
    });
  });

  it('that leads to nothing answers 503, and the log says why', async () => {
    expect((await httpd.ask('/empty')).status).to.be.oneOf([404, 503]);
    await waitFor(() => httpd.log.matching(/TSGI0628.*apps\/empty.*missing\.js/).length > 0);
  });

  it('that asks for another Node.js is served, with one notice', async () => {
    expect(await word('/demanding')).to.equal('demanding');
    await waitFor(() => httpd.processes(/^tsgi: worker demanding\//).length === 2);
    const lines = await waitFor(() => httpd.log.matching(/TSGI0627/));
    expect(lines).to.have.length(1);
    expect(lines[0]).to.match(
      /notice.*demanding\/package\.json asks for Node\.js \^4\.8 \|\| <=6.*v\d/,
    );
  });

  it('is loaded anew when its package.json or its entry changes, and not by what lies beside it', async () => {
    const first = await ask('/changing');
    expect(first.word).to.equal('one');
    httpd.write('changing/data.db', 'the app writes here');
    httpd.write('changing/package.json', '{ "main": "two.js" }');
    await waitFor(async () => (await word('/changing')) === 'two');
    const second = await ask('/changing');
    httpd.write('changing/other.db', 'and here');
    utimesSync(path('changing/two.js'), new Date(), new Date(Date.now() - 60_000));
    await waitFor(async () => (await ask('/changing')).pid !== second.pid);
    const reasons = httpd.log
      .matching(/TSGI0513.*changing/)
      .map((line) => /changing: (\S+) has/.exec(line)?.[1]);
    expect(reasons).to.deep.equal([path('changing/package.json'), path('changing/two.js')]);
  });

  it('is another one when the link to it is switched', async () => {
    expect(await ask('/current')).to.include({ word: 'release 1', cwd: path('releases/1') });
    symlinkSync('releases/2', path('next'));
    renameSync(path('next'), path('current'));
    await waitFor(async () => (await word('/current')) === 'release 2');
    expect(await ask('/current')).to.include({ cwd: path('releases/2') });
  });
});
