import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Changes } from '../../src/supervisor/changes.ts';
import { filesOf, MAX_ENTRIES } from '../../src/supervisor/glob.ts';
import { stampOf } from '../../src/ipc/stamp.ts';

describe('Changes', () => {
  const looks = (...snapshots: Record<string, string>[]): string[][] => {
    const changes = new Changes();
    return snapshots.map((snapshot, i) =>
      changes.observe(new Map(Object.entries(snapshot)), i * 250),
    );
  };

  it('tells of a change when it has come to rest', () => {
    expect(looks({ a: '1' }, { a: '2' }, { a: '2' }, { a: '2' })).to.deep.equal([
      [],
      [],
      ['a'],
      [],
    ]);
  });

  it('waits while files go on changing, then tells of all at once', () => {
    const seen = looks(
      { a: '1', b: '1' },
      { a: '2', b: '1' },
      { a: '2', b: '2' },
      { a: '2', b: '2' },
    );
    expect(seen).to.deep.equal([[], [], [], ['a', 'b']]);
  });

  it('tells after ten seconds of what changed beside a file that never comes to rest', () => {
    const busy = Array.from({ length: 60 }, (_, i) => ({
      script: i < 3 ? '1' : '2',
      busy: String(i),
    }));
    const seen = looks(...busy);
    const told = seen.findIndex((paths) => paths.includes('script'));
    expect(told * 250).to.be.within(10_000, 11_000);
    expect(seen.flat().filter((path) => path === 'script')).to.have.length(1);
  });

  it('says nothing of a file that goes away, nor of one that comes back as it was', () => {
    const gone = { a: '' };
    expect(looks({ a: '1' }, gone, gone, { a: '1' }, { a: '1' })).to.deep.equal([
      [],
      [],
      [],
      [],
      [],
    ]);
  });

  it('tells of a file that comes back otherwise, and of one that was never there', () => {
    const gone = { a: '' };
    expect(looks({ a: '1' }, gone, gone, { a: '2' }, { a: '2' }).at(-1)).to.deep.equal(['a']);
    expect(looks(gone, { a: '1' }, { a: '1' }).at(-1)).to.deep.equal(['a']);
    expect(looks({}, { a: '1' }, { a: '1' }).at(-1)).to.deep.equal(['a']);
  });

  it('takes a change that is undone for none', () => {
    expect(looks({ a: '1' }, { a: '2' }, { a: '1' }, { a: '1' })).to.deep.equal([[], [], [], []]);
  });

  it('does not take a file that is watched from now on for a change', () => {
    const changes = new Changes();
    changes.observe(new Map(), 0);
    changes.learn('a', '1');
    for (let i = 0; i < 3; i++) expect(changes.observe(new Map([['a', '1']]), i)).to.deep.equal([]);
  });
});

describe('files', () => {
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'tsgi-watch-'));
  });
  after(() => {
    rmSync(dir, { recursive: true });
  });
  const write = (name: string, text = ''): string => {
    const path = join(dir, name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, text);
    return path;
  };
  const found = async (pattern: string, left = MAX_ENTRIES): Promise<string[]> =>
    [...(await filesOf(pattern, dir, { left }))].map((path) => path.slice(dir.length + 1)).sort();

  it('are found by patterns as in a shell', async () => {
    for (const name of ['a.js', 'b.ts', '.hidden.js', 'lib/c.js', 'lib/deep/d.js']) write(name);
    for (const name of ['node_modules/x/e.js', '.git/f.js', 'lib/a+b.js']) write(name);
    expect(await found('*.js')).to.deep.equal(['a.js']);
    expect(await found('**/*.js')).to.deep.equal([
      'a.js',
      'lib/a+b.js',
      'lib/c.js',
      'lib/deep/d.js',
    ]);
    expect(await found('lib/**')).to.deep.equal(['lib/a+b.js', 'lib/c.js', 'lib/deep/d.js']);
    expect(await found('l?b/*+b.js')).to.deep.equal(['lib/a+b.js']);
    expect(await found('.*.js')).to.deep.equal(['.hidden.js']);
    expect(await found('node_modules/**/*.js')).to.deep.equal(['node_modules/x/e.js']);
    expect(await found(`${dir}/?.ts`)).to.deep.equal(['b.ts']);
    expect(await found('no/such/*.js')).to.deep.equal([]);
  });

  it('are found, there or not, by a pattern that is a name', async () => {
    expect(await found('tmp/restart.txt')).to.deep.equal(['tmp/restart.txt']);
  });

  it('are not searched for without end', async () => {
    const budget = { left: 3 };
    await filesOf('**/*.js', dir, budget);
    expect(budget.left).to.be.lessThan(0);
  });

  it('are known by time, size, place, and where links lead', async () => {
    const path = write('entry.js', 'x');
    const stamps = [await stampOf(path)];
    const note = async (of = path): Promise<number> => stamps.push(await stampOf(of));
    utimesSync(path, 1, 1);
    await note();
    writeFileSync(path, 'xy');
    utimesSync(path, 1, 1);
    await note();
    const link = join(dir, 'link.js');
    symlinkSync(path, link);
    await note(link);
    rmSync(link);
    symlinkSync(write('other.js', 'xy'), link);
    await note(link);
    await note(join(dir, 'missing.js'));
    expect(stamps[3]).to.equal(stamps[2]);
    expect(stamps.at(-1)).to.equal('');
    expect(new Set(stamps).size).to.equal(5);
  });
});
