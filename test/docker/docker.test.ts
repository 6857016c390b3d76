import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ask } from '../harness/client.ts';
import { isRoot, root } from '../harness/place.ts';
import { waitFor } from '../harness/wait.ts';

const dockerfile = fs.readFileSync(join(root, 'Dockerfile'), 'utf8');

/** The values of one instruction, in order. */
function instructions(name: string): string[] {
  return [...dockerfile.matchAll(new RegExp(`^${name} (.*)$`, 'gm'))].map((m) => m[1] ?? '');
}

/** ENV as the image sets it. */
function imageEnvironment(): Record<string, string> {
  return Object.fromEntries(
    instructions('ENV').flatMap((line) => line.split(' ').map((pair) => pair.split('='))),
  ) as Record<string, string>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('the Docker image', function () {
  this.timeout(120_000);
  let prefix: string;
  let port: number;
  let child: ChildProcess;

  /** One script, as the image runs it; the prefix stands for the image's root directory. */
  function step(script: string, ...args: string[]): void {
    const { status, stderr } = spawnSync(join(root, 'scripts', script), args, { encoding: 'utf8' });
    expect(status, `${script}: ${stderr}`).to.equal(0);
  }

  const readLog = (): string => fs.readFileSync(join(prefix, 'log'), 'utf8');

  before(async () => {
    prefix = fs.mkdtempSync(join(tmpdir(), 'tsgi-image-'));
    fs.chmodSync(prefix, 0o755);
    step('docker-packages.sh', 'build');
    step('docker-build.sh', prefix, prefix);
    step('docker-packages.sh', 'runtime');
    step('docker-layout.sh', prefix);

    port = await freePort();
    const [httpd = '', ...args] = JSON.parse(instructions('CMD')[0] ?? '[]') as string[];
    const account = spawnSync('id', ['-u', 'www-data'], { encoding: 'utf8' }).stdout;
    const uid = Number(account);
    // Apache opens its standard error by name, which a socket, as Node makes one, does not allow.
    const log = fs.openSync(join(prefix, 'log'), 'w');
    if (isRoot) fs.fchownSync(log, uid, uid);
    child = spawn(
      httpd,
      args.map((arg) => (arg.startsWith('/etc/') ? prefix + arg : arg)),
      {
        cwd: join(prefix, instructions('WORKDIR').at(-1) ?? ''),
        env: {
          ...imageEnvironment(),
          TSGI_ENTRY: `${prefix}/srv/app/index.js`,
          TSGI_PORT: `127.0.0.1:${port}`,
          PATH: process.env['PATH'],
        },
        stdio: ['ignore', 'ignore', log],
        ...(isRoot ? { uid, gid: uid } : {}),
      },
    );
    fs.closeSync(log);
  });

  after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    fs.rmSync(prefix, { recursive: true });
  });

  it('is made by scripts alone, and by those that this test ran', () => {
    const scripts = instructions('RUN').map((line) => line.replace(/^\S*scripts\//, ''));
    expect(scripts).to.deep.equal([
      'docker-packages.sh build',
      'docker-build.sh /image',
      'docker-packages.sh runtime',
      'docker-layout.sh',
    ]);
  });

  it('runs as an ordinary user, on port 8080, and stops gracefully', () => {
    expect(instructions('USER')).to.deep.equal(['www-data']);
    expect(instructions('EXPOSE')).to.deep.equal(['8080']);
    expect(imageEnvironment()).to.include({ TSGI_PORT: '8080', TSGI_ENTRY: '/srv/app/index.js' });
    expect(instructions('STOPSIGNAL')).to.deep.equal(['SIGWINCH']);
  });

  it('holds what is needed at run time, and no development package', () => {
    const installed = join(prefix, 'usr/lib/mod_tsgi');
    for (const name of ['dist/mod_tsgi.so', 'dist/tsgi.node', 'node_modules/srvx']) {
      expect(fs.existsSync(join(installed, name)), name).to.equal(true);
    }
    expect(fs.existsSync(join(installed, 'node_modules/mocha'))).to.equal(false);
    expect(fs.statSync(join(prefix, 'srv/app/index.js')).mode & 0o022).to.equal(0);
  });

  it('serves /srv/app', async () => {
    const answer = await waitFor(async () => {
      const got = await ask(port, '/');
      return got.status === 200 && got;
    }).catch((error: unknown) => {
      throw new Error(readLog(), { cause: error });
    });
    expect(answer.body).to.include('Put your application into /srv/app');
  });

  it('ends on the signal that Docker stops it with', async () => {
    expect(child.exitCode, readLog()).to.equal(null);
    const exit = once(child, 'exit');
    child.kill('SIGWINCH');
    const [status] = (await exit) as [number | null];
    expect(status, readLog()).to.equal(0);
  });
});
