import { expect } from 'chai';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveScript } from '../../src/worker/scripts.ts';

describe('resolveScript', () => {
  let directory: string;
  let script: string;
  const exact = (...paths: string[]) => ({ mode: 'exact', paths }) as const;
  const pattern = (...roots: string[]) => ({ mode: 'pattern', roots }) as const;

  before(() => {
    directory = realpathSync(mkdtempSync(join(tmpdir(), 'tsgi-scripts-')));
    mkdirSync(join(directory, 'apps'));
    mkdirSync(join(directory, 'apps-other'));
    script = join(directory, 'apps/app.js');
    for (const name of ['apps/app.js', 'apps-other/app.js', 'outside.js'])
      writeFileSync(join(directory, name), '');
    symlinkSync(join(directory, 'apps'), join(directory, 'current'));
    symlinkSync(join(directory, 'outside.js'), join(directory, 'apps/escape.js'));
    symlinkSync('nowhere', join(directory, 'apps/dangling.js'));
  });
  after(() => {
    rmSync(directory, { recursive: true });
  });

  function expectRefusal(
    path: string,
    scripts: Parameters<typeof resolveScript>[1],
    number: number,
    status: number,
  ): void {
    expect(() => resolveScript(path, scripts))
      .to.throw()
      .with.include({ number, status });
  }

  it('gives the real path of a script that the configuration names', () => {
    expect(resolveScript(script, exact(script))).to.equal(script);
    const linked = join(directory, 'current/app.js');
    expect(resolveScript(linked, exact(linked))).to.equal(script);
  });

  it('gives the real path of a script below a root, also through a link of the root', () => {
    expect(resolveScript(script, pattern(join(directory, 'apps/')))).to.equal(script);
    expect(
      resolveScript(join(directory, 'current/app.js'), pattern(join(directory, 'current'))),
    ).to.equal(script);
  });

  it('refuses a script that an exact list does not hold', () => {
    expectRefusal(script, exact(join(directory, 'apps-other/app.js')), 606, 403);
  });

  it('refuses a script outside of the roots, by its real path', () => {
    const roots = pattern(join(directory, 'apps'));
    expectRefusal(join(directory, 'apps/escape.js'), roots, 606, 403);
    expectRefusal(join(directory, 'apps/../outside.js'), roots, 606, 403);
    expectRefusal(join(directory, 'apps-other/app.js'), roots, 606, 403);
    expectRefusal(script, pattern(join(directory, 'no-such-root')), 606, 403);
  });

  it('answers 404 for what is not there', () => {
    for (const name of ['apps/none.js', 'apps/dangling.js', 'apps/app.js/below.js']) {
      const path = join(directory, name);
      expectRefusal(path, exact(path), 601, 404);
    }
  });

  it('refuses a directory', () => {
    const path = join(directory, 'apps');
    expectRefusal(path, exact(path), 603, 403);
  });

  it('refuses what everyone may write to', () => {
    const path = join(directory, 'apps-other/app.js');
    chmodSync(path, 0o646);
    expectRefusal(path, exact(path), 605, 403);
    chmodSync(path, 0o664);
    expect(resolveScript(path, exact(path))).to.equal(path);
  });
});
