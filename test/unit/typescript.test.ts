import { expect } from 'chai';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { compilerOptionInUse, nearestTsconfig, parseJsonc } from '../../src/worker/tsconfig.ts';
import {
  chooseRunner,
  missingFeature,
  privateCache,
  stripsTypes,
} from '../../src/worker/typescript.ts';

/** As if no compiler were there already, as it is where these tests run. */
const choose = (path: string, forceTsx: boolean, canStrip: boolean): string =>
  chooseRunner(path, forceTsx, canStrip, false);

describe('TypeScript entries', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsgi-typescript-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  function write(name: string, text = ''): string {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  it('are run by Node where it strips types, else by tsx', () => {
    for (const name of ['a.ts', 'a.mts', 'a.cts']) {
      expect(choose(write(name), false, true)).to.equal('strip');
      expect(choose(write(name), false, false)).to.equal('tsx');
      expect(choose(write(name), true, true)).to.equal('tsx');
    }
    expect(choose(write('a.tsx'), false, true)).to.equal('tsx');
  });

  it('are left to the compiler that the operator has named', () => {
    expect(chooseRunner(write('a.ts'), false, false, true)).to.equal('node');
    expect(chooseRunner(write('a.tsx'), true, true, true)).to.equal('node');
  });

  it('are told from JavaScript', () => {
    for (const name of ['a.js', 'a.mjs', 'a.cjs', 'ts'])
      expect(choose(write(name), true, false)).to.equal('node');
  });

  it('are run by tsx when their tsconfig.json needs it, also by inheritance', () => {
    const entry = write('src/deep/app.ts');
    write('base.json', '{ "compilerOptions": { "experimentalDecorators": true } }');
    write(
      'tsconfig.json',
      '{ "extends": ["./missing", "./base"], // decorators\n "include": ["src",], }',
    );
    expect(choose(entry, false, true)).to.equal('tsx');
  });

  it('are not when it does not', () => {
    const entry = write('app.ts');
    write(
      'tsconfig.json',
      '{ "compilerOptions": { "strict": true, "experimentalDecorators": false } }',
    );
    expect(choose(entry, false, true)).to.equal('strip');
  });

  it('know the nearest tsconfig.json', () => {
    const outer = write('tsconfig.json', '{}');
    const inner = write('inner/tsconfig.json', '{}');
    mkdirSync(join(directory, 'inner/src'));
    expect(nearestTsconfig(join(directory, 'inner/src'))).to.equal(inner);
    expect(nearestTsconfig(directory)).to.equal(outer);
  });

  it('survive a tsconfig.json that is broken or extends itself', () => {
    expect(compilerOptionInUse(write('a.json', '{'))).to.equal(undefined);
    expect(compilerOptionInUse(write('b.json', '{ "extends": "./b.json" }'))).to.equal(undefined);
    expect(compilerOptionInUse(join(directory, 'none.json'))).to.equal(undefined);
  });

  it('have tsx keep its cache in a directory that only their user can enter', () => {
    const home = join(directory, 'home');
    const complaints: string[] = [];
    const cache = privateCache({ HOME: home }, (text) => complaints.push(text));
    expect(cache).to.equal(join(home, '.cache/mod-tsgi'));
    expect(lstatSync(cache ?? '').mode & 0o777).to.equal(0o700);
    expect(privateCache({ HOME: home, XDG_CACHE_HOME: join(home, 'x') }, () => undefined)).to.equal(
      join(home, 'x/mod-tsgi'),
    );
    expect(complaints).to.deep.equal([]);
  });

  for (const [what, prepare] of [
    [
      'is open to others',
      (path: string) => {
        mkdirSync(path, { recursive: true });
        chmodSync(path, 0o755);
      },
    ],
    [
      'is a link',
      (path: string) => {
        mkdirSync(dirname(path), { recursive: true });
        symlinkSync(tmpdir(), path);
      },
    ],
    [
      'is a file',
      (path: string) => {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, '');
      },
    ],
  ] as const) {
    it(`have tsx go without a cache when its directory ${what}`, () => {
      const complaints: string[] = [];
      prepare(join(directory, '.cache/mod-tsgi'));
      expect(privateCache({ HOME: directory }, (text) => complaints.push(text))).to.equal(
        undefined,
      );
      expect(complaints.join()).to.match(/^TSGI0620: .*mod-tsgi/);
      expect(existsSync(join(directory, '.cache/mod-tsgi'))).to.equal(true);
    });
  }
});

describe('stripsTypes', () => {
  it('believes process.features.typescript', () => {
    expect(stripsTypes({ typescript: 'strip' })).to.equal(true);
    expect(stripsTypes({ typescript: 'transform' })).to.equal(true);
    expect(stripsTypes({ typescript: false })).to.equal(false);
    expect(stripsTypes({})).to.equal(false);
  });
});

describe('missingFeature', () => {
  const error = (code: string, message: string): Error =>
    Object.assign(new Error(message), { code });

  it('knows failures that tsx mends', () => {
    for (const cause of [
      error(
        'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
        'x\nTypeScript enum is not supported in strip-only mode',
      ),
      error(
        'ERR_MODULE_NOT_FOUND',
        "Cannot find module '/srv/app/lib/word' imported from /srv/app/app.ts",
      ),
      error(
        'MODULE_NOT_FOUND',
        "Cannot find module './lib/word'\nRequire stack:\n- /srv/app/app.cts",
      ),
      error('ERR_UNSUPPORTED_DIR_IMPORT', 'Directory import is not supported'),
      new SyntaxError("The requested module './a.ts' does not provide an export named 'Type'"),
    ]) {
      expect(missingFeature(cause), cause.message).to.be.a('string');
    }
  });

  it('leaves other failures alone', () => {
    for (const cause of [
      error('MODULE_NOT_FOUND', "Cannot find module 'express'"),
      error('ERR_MODULE_NOT_FOUND', "Cannot find package 'express' imported from /srv/app/app.ts"),
      new SyntaxError('Unexpected token'),
      new TypeError('x is not a function'),
      'text',
      undefined,
    ]) {
      expect(missingFeature(cause)).to.equal(undefined);
    }
  });
});

describe('parseJsonc', () => {
  it('reads comments and trailing commas, and leaves text alone', () => {
    const text =
      '\uFEFF{ // one\n "a": "// no /* comment */, ]", /* two */ "b": [1, 2, ], "c\\"": {}, }';
    expect(parseJsonc(text)).to.deep.equal({ a: '// no /* comment */, ]', b: [1, 2], 'c"': {} });
  });
});
