import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { main } from '../../src/cli/main.ts';

/** An installation in a temporary directory, as far as the command looks at it. */
class Installation {
  readonly root = mkdtempSync(join(tmpdir(), 'tsgi cli-'));

  constructor() {
    this.write('package.json', '{ "version": "1.2.3" }');
  }

  write(name: string, text: string, mode = 0o644): void {
    const path = join(this.root, name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
  }

  /** Runs the command on this installation. */
  async run(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
    let stdout = '';
    let stderr = '';
    const status = await main(args, {
      packageRoot: this.root,
      node: '/opt/node/bin/node',
      stdout: (text) => (stdout += text),
      stderr: (text) => (stderr += text),
    });
    return { status, stdout, stderr };
  }

  remove(): void {
    rmSync(this.root, { recursive: true });
  }
}

describe('the tsgi command', () => {
  let installed: Installation;
  beforeEach(() => {
    installed = new Installation();
  });
  afterEach(() => {
    installed.remove();
  });

  it('prints its version with --version', async () => {
    expect(await installed.run('--version')).to.deep.equal({
      status: 0,
      stdout: '1.2.3\n',
      stderr: '',
    });
  });

  it('names its commands with --help', async () => {
    const { status, stdout } = await installed.run('--help');
    expect(status).to.equal(0);
    expect(stdout).to.include('module-config').and.include('build');
  });

  it('answers status 2 and a complaint for a command that it does not know', async () => {
    const { status, stderr } = await installed.run('serve-me');
    expect(status).to.equal(2);
    expect(stderr).to.include("unknown command 'serve-me'");
  });

  it('prints the lines that load the module, with absolute quoted paths', async () => {
    installed.write('dist/mod_tsgi.so', '');
    installed.write('dist/tsgi.node', '');
    const { status, stdout } = await installed.run('module-config');
    expect(status).to.equal(0);
    expect(stdout).to.equal(
      `LoadModule tsgi_module "${installed.root}/dist/mod_tsgi.so"\nTSGINode "/opt/node/bin/node"\n`,
    );
  });

  for (const [missing, present] of [
    ['mod_tsgi.so', 'tsgi.node'],
    ['tsgi.node', 'mod_tsgi.so'],
  ] as const) {
    it(`says in one line how to get ${missing} where it has not been built`, async () => {
      installed.write(`dist/${present}`, '');
      const { status, stdout, stderr } = await installed.run('module-config');
      expect({ status, stdout }).to.deep.equal({ status: 1, stdout: '' });
      expect(stderr).to.match(/^TSGI0900: .*\bnpx tsgi build\b.*\n$/);
      expect(stderr).to.include(join(installed.root, 'dist', missing));
    });
  }

  it('fails to build with the status of the step that failed', async () => {
    installed.write('scripts/setup.sh', '#!/bin/sh\nexit 1\n', 0o755);
    const { status, stderr } = await installed.run('build');
    expect(status).to.equal(1);
    expect(stderr).to.match(/^TSGI0901: /);
  });

  it('checks the system without installing anything before it builds', async () => {
    installed.write('scripts/setup.sh', '#!/bin/sh\necho "$@" > checked\nexit 1\n', 0o755);
    await installed.run('build');
    expect(readFileSync(join(installed.root, 'checked'), 'utf8')).to.equal('--check\n');
  });

  it('says which program could not be started', async () => {
    const { status, stderr } = await installed.run('build');
    expect(status).to.equal(1);
    expect(stderr).to.match(/^TSGI0902: .*setup\.sh could not be started/);
  });

  it('runs as a program under the Node.js that started it', () => {
    const command = join(import.meta.dirname, '../../dist/cli.js');
    const { stdout } = spawnSync(process.execPath, [command, '--version'], { encoding: 'utf8' });
    const manifest = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8');
    expect(manifest).to.include(`"version": "${stdout.trim()}"`);
  });
});
