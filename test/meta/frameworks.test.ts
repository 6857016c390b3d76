/** The matrix of frameworks: what is tested is what docs/frameworks.md shows, and nothing else. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { configurationOf, pinnedBy } from '../frameworks/framework.ts';
import { frameworks } from '../frameworks/frameworks.ts';
import { baseRowOf, beginningOf } from '../frameworks/report.ts';
import { root } from '../harness/place.ts';

const page = readFileSync(join(root, 'docs/frameworks.md'), 'utf8');
const directory = join(root, 'test/frameworks');

describe('docs/frameworks.md', () => {
  it('has a row in the matrix for every framework that is tested, with its version', () => {
    expect(frameworks.length).to.be.greaterThan(20);
    const missing = frameworks.map(beginningOf).filter((row) => !page.includes(`\n${row} `));
    expect(missing).to.deep.equal([]);
  });

  it('has no row for one that is not tested, and no failure', () => {
    const rows = page.split('\n').filter((line) => /^\| .* \| \d+\.\d+\.\d+.* \|$/.test(line));
    expect(rows).to.have.length(frameworks.length);
    expect(rows.filter((row) => row.includes(' NO '))).to.deep.equal([]);
  });

  it('says how each gets a base path of its own', () => {
    expect(frameworks.map(baseRowOf).filter((row) => !page.includes(`\n${row}\n`))).to.deep.equal(
      [],
    );
  });

  it('shows the configuration with which each is tested', () => {
    const missing = frameworks
      .map((framework) => {
        return configurationOf(framework, `/srv/${framework.name}`, 'https://www.example.org');
      })
      .filter((lines) => !page.includes(lines));
    expect(missing).to.deep.equal([]);
  });
});

describe('the apps of the matrix', () => {
  it('are there for every entry, and every directory belongs to one', () => {
    const directories = readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
    const used = new Set(frameworks.flatMap(({ name, basedOn }) => [name, basedOn ?? name]));
    expect(directories.filter((name) => !used.has(name))).to.deep.equal([]);
    const alone = frameworks.filter(({ basedOn }) => basedOn === undefined);
    expect(alone.filter(({ name }) => !directories.includes(name))).to.deep.equal([]);
  });

  it('pin every package to one version', () => {
    const loose = frameworks.flatMap((framework) =>
      Object.entries(pinnedBy(framework))
        .filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))
        .map(([name, version]) => `${framework.name}: ${name} ${version}`),
    );
    expect(loose).to.deep.equal([]);
  });

  it('are no part of npm test, for which they are too heavy', () => {
    const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
    expect(names.filter((name) => name.endsWith('.test.ts'))).to.deep.equal([]);
  });
});
