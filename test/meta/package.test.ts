/** The package, the build and the front page say the same as the rest of the repository. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { root } from '../harness/place.ts';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Manifest {
  readonly version: string;
  readonly engines: { readonly node: string };
  readonly scripts: Readonly<Record<string, string>>;
  readonly bin: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(read('package.json')) as Manifest;

/** The files of the npm package. */
function packed(): string[] {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const told = execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' });
  const answer = JSON.parse(told) as Record<string, { files: { path: string }[] }>;
  const [first] = Object.values(answer); // of an array in npm 11, of an object after it
  return first?.files.map(({ path }) => path) ?? [];
}

describe('the package', () => {
  it('has one version: in package.json, in the module and in the changelog', () => {
    expect(read('apache/tsgi_module.h')).to.include(`#define TSGI_VERSION "${manifest.version}"`);
    expect(read('CHANGELOG.md')).to.match(new RegExp(`^## ${manifest.version}\\b`, 'm'));
  });

  it('has a lock file without addresses, so that it installs from any registry', () => {
    const lock = read('package-lock.json');
    expect(lock).to.include('"lockfileVersion": 3');
    expect(lock).to.not.include('"resolved"');
  });

  it('holds what its users need and nothing that lies about in a checkout', () => {
    const top = new Set(packed().map((path) => path.split('/')[0]));
    expect([...top].sort()).to.deep.equal(
      [
        ...['CHANGELOG.md', 'CMakeLists.txt', 'LICENSE', 'README.md', 'SECURITY.md', 'apache'],
        ...['binding.gyp', 'cmake', 'dist', 'docs', 'native', 'package.json', 'scripts'],
      ].sort(),
    );
  });

  it('can be configured for the build with nothing but its own files', function () {
    this.timeout(60_000);
    const directory = mkdtempSync(join(tmpdir(), 'tsgi-package-'));
    try {
      for (const path of packed().filter((name) => !name.startsWith('dist/'))) {
        cpSync(join(root, path), join(directory, path));
      }
      symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
      const args = ['-S', directory, '-B', join(directory, 'build')];
      const told = execFileSync('cmake', [...args, `-DTSGI_NODE=${process.execPath}`], {
        encoding: 'utf8',
        stdio: 'pipe',
      });
      expect(told).to.include('Generating done');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('needs the same Node.js wherever one is asked for', () => {
    expect(manifest.engines.node).to.equal('>=20.19');
    for (const file of ['README.md', 'scripts/setup.sh', 'scripts/lib/node-version.mjs']) {
      expect(read(file), file).to.include('20.19 or newer');
    }
  });

  it('has every script that its scripts and its documents name', () => {
    const named = Object.values(manifest.scripts)
      .concat(read('CONTRIBUTING.md'), read('README.md'))
      .flatMap((text) =>
        [...text.matchAll(/\bscripts\/[\w.-]+\.(?:mjs|sh)/g)].map(([path]) => path),
      );
    expect(named.length).to.be.greaterThan(8);
    expect(named.filter((path) => !existsSync(join(root, path)))).to.deep.equal([]);
    const runs = [...read('CONTRIBUTING.md').matchAll(/`npm run ([\w:]+)/g)].map((m) => m[1] ?? '');
    expect(runs.length).to.be.greaterThan(5);
    expect(runs.filter((name) => !(name in manifest.scripts))).to.deep.equal([]);
  });

  it('has documents whose links lead somewhere', () => {
    const documents = execFileSync('find', ['docs', '-name', '*.md'], {
      cwd: root,
      encoding: 'utf8',
    });
    const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'SECURITY.md'];
    const broken = [...pages, ...documents.trim().split('\n')].flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)]
        .map((m) => m[1] ?? '')
        .filter((link) => !existsSync(join(root, page, '..', link)))
        .map((link) => `${page}: ${link}`),
    );
    expect(broken).to.deep.equal([]);
  });

  it('has a README of at most 200 lines that begins with the two commands', () => {
    const lines = read('README.md').split('\n');
    expect(lines.length).to.be.at.most(200);
    const quickStart = lines.slice(lines.indexOf('## Quick start')).join('\n');
    expect(quickStart).to.match(/```\nnpm start\n```[^]*```\nnpm test\n```/);
  });
});
