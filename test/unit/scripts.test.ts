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
import { dirname, join } from 'node:path';
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
    const entry = resolveScript(script, exact(script));
    expect(entry).to.deep.equal({ path: script, directory: dirname(script), decisive: [] });
    const linked = join(directory, 'current/app.js');
    expect(resolveScript(linked, exact(linked)).path).to.equal(script);
  });

  it('gives the real path of a script below a root, also through a link of the root', () => {
    expect(resolveScript(script, pattern(join(directory, 'apps/'))).path).to.equal(script);
    expect(
      resolveScript(join(directory, 'current/app.js'), pattern(join(directory, 'current'))).path,
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

  it('refuses a directory that a pattern leads to', () => {
    expectRefusal(join(directory, 'apps'), pattern(directory), 603, 403);
  });

  describe('of a directory that the configuration names', () => {
    let root: string;
    beforeEach(() => {
      root = mkdtempSync(join(directory, 'package-'));
      mkdirSync(join(root, 'lib'));
    });
    const write = (name: string, text = ''): string => {
      writeFileSync(join(root, name), text);
      return join(root, name);
    };

    it('gives the file that "main" names, and what decides about it', () => {
      const manifest = write('package.json', '{ "main": "lib/start" }');
      const path = write('lib/start.js');
      expect(resolveScript(root, exact(root))).to.deep.equal({
        path,
        directory: root,
        decisive: [manifest, path],
      });
    });

    it('gives its index.js where nothing else is said', () => {
      const path = write('index.js');
      expect(resolveScript(root, exact(root)).path).to.equal(path);
      write('package.json', '{ "name": "x", "exports": "./lib/other.js" }');
      expect(resolveScript(root, exact(root)).path).to.equal(path);
    });

    it('shows what decides by a name that goes through the link', () => {
      const path = write('index.js');
      const link = `${root}-link`;
      symlinkSync(root, link);
      const decisive = [join(link, 'package.json'), join(link, 'index.js')];
      expect(resolveScript(link, exact(link))).to.deep.equal({ path, directory: root, decisive });
    });

    it('answers 404 when it holds nothing to run', () => {
      expectRefusal(root, exact(root), 628, 404);
      write('package.json', '{ "main": "lib/none.js" }');
      expectRefusal(root, exact(root), 628, 404);
      write('package.json', '{ "main": ');
      expectRefusal(root, exact(root), 628, 404);
    });

    it('refuses it when everyone may write to one of these files', () => {
      const path = write('index.js');
      chmodSync(path, 0o646);
      expectRefusal(root, exact(root), 605, 403);
      chmodSync(path, 0o644);
      chmodSync(write('package.json', '{}'), 0o666);
      expectRefusal(root, exact(root), 605, 403);
    });
  });

  it('refuses what everyone may write to', () => {
    const path = join(directory, 'apps-other/app.js');
    chmodSync(path, 0o646);
    expectRefusal(path, exact(path), 605, 403);
    chmodSync(path, 0o664);
    expect(resolveScript(path, exact(path)).path).to.equal(path);
  });
});
