import { expect } from 'chai';
import { hasCompiler, preloads } from '../../src/worker/preloads.ts';

describe('what Node runs before the worker', () => {
  it('is read from its arguments and from NODE_OPTIONS, in all forms', () => {
    const found = preloads(
      ['--no-warnings', '-r', './a.js', '--import=tsx', '--loader', 'x/loader'],
      '--require "./with blank.js" --import ./b.mjs --max-old-space-size=100',
    );
    expect(found).to.deep.equal([
      { kind: 'require', specifier: './with blank.js' },
      { kind: 'import', specifier: './b.mjs' },
      { kind: 'require', specifier: './a.js' },
      { kind: 'import', specifier: 'tsx' },
      { kind: 'loader', specifier: 'x/loader' },
    ]);
    expect(preloads(['--important', '--import'], '')).to.deep.equal([]);
  });

  it('may be a compiler of TypeScript', () => {
    const is = (...args: string[]): boolean => hasCompiler(preloads(args, ''));
    expect(is('--import', 'tsx')).to.equal(true);
    expect(is('--import', '@swc-node/register/esm-register')).to.equal(true);
    expect(is('-r', 'ts-node/register/transpile-only')).to.equal(true);
    expect(is('--import', 'file:///srv/node_modules/tsx/dist/loader.mjs')).to.equal(true);
    expect(is('--import', './instrument.mjs')).to.equal(false);
    expect(is('--import', '@acme/tsx-like-thing')).to.equal(false);
  });
});
