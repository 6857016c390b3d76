import { createRequire } from 'node:module';
import { expect } from 'chai';
import fc from 'fast-check';
import { satisfies } from '../../src/worker/versions.ts';

describe('a range of versions', () => {
  const table: readonly (readonly [range: string, inside: string, outside: string])[] = [
    ['>=20.19', 'v20.19.0', 'v20.18.9'],
    ['>20', 'v21.0.0', 'v20.9.9'],
    ['>20.1.2', 'v20.1.3', 'v20.1.2'],
    ['<22', 'v21.9.9', 'v22.0.0'],
    ['<=22', 'v22.9.9', 'v23.0.0'],
    ['^20.1.2', 'v20.9.0', 'v21.0.0'],
    ['^0.2.3', 'v0.2.9', 'v0.3.0'],
    ['~20.1', 'v20.1.9', 'v20.2.0'],
    ['~> 20.1', 'v20.1.9', 'v20.2.0'],
    ['20', 'v20.3.1', 'v21.0.0'],
    ['20.x', 'v20.3.1', 'v21.0.0'],
    ['=20.3.1', 'v20.3.1', 'v20.3.2'],
    ['18 || >= 20 <23', 'v22.1.0', 'v19.0.0'],
    ['18.1 - 20', 'v20.9.9', 'v21.0.0'],
    ['^18.18.0 || ^20.9.0 || >=21.1.0', 'v26.0.0', 'v20.8.0'],
  ];
  for (const [range, inside, outside] of table) {
    it(`${range} holds ${inside} and not ${outside}`, () => {
      expect(satisfies(inside, range)).to.equal(true);
      expect(satisfies(outside, range)).to.equal(false);
    });
  }

  it('may be any', () => {
    for (const range of ['*', '', 'x', '>=0']) expect(satisfies('v20.0.0', range)).to.equal(true);
  });

  it('counts a version of a build as the version that it will be', () => {
    expect(satisfies('v26.0.0-nightly2025', '>=26')).to.equal(true);
  });

  it('that cannot be read allows nothing and forbids nothing', () => {
    for (const range of ['lts', '>=twenty', '>= ', '1.2.3.4', '1.x.3', 'workspace:*']) {
      expect(satisfies('v20.0.0', range), range).to.equal(undefined);
    }
  });

  it('means what it means to npm', () => {
    interface Semver {
      satisfies(version: string, range: string): boolean;
    }
    const semver = createRequire(import.meta.url)('semver') as Semver;
    const partial = fc
      .tuple(fc.array(fc.nat(3), { minLength: 1, maxLength: 3 }), fc.boolean())
      .map(([numbers, isWild]) => (isWild && numbers.length < 3 ? [...numbers, 'x'] : numbers))
      .map((parts) => parts.join('.'));
    const operator = fc.constantFrom('', '=', '>', '>=', '<', '<=', '^', '~', '>= ', '^ ');
    const comparator = fc.tuple(operator, partial).map((both) => both.join(''));
    const alternative = fc.oneof(
      fc.array(comparator, { minLength: 1, maxLength: 3 }).map((all) => all.join(' ')),
      fc.tuple(partial, partial).map(([low, high]) => `${low} - ${high}`),
    );
    const range = fc
      .array(alternative, { minLength: 1, maxLength: 3 })
      .map((all) => all.join(' || '));
    const version = fc.tuple(fc.nat(4), fc.nat(4), fc.nat(4)).map((parts) => parts.join('.'));
    fc.assert(
      fc.property(version, range, (one, text) => {
        expect(satisfies(`v${one}`, text), text).to.equal(semver.satisfies(one, text));
      }),
      { numRuns: 2_000 },
    );
  });
});
