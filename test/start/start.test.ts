import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ask } from '../harness/client.ts';
import { root } from '../harness/place.ts';
import { waitFor } from '../harness/wait.ts';

const script = join(root, 'scripts/start.mjs');

/** Runs a script to its end. */
function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): { status: number | null; stdout: string; stderr: string } {
  const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
  return spawnSync(command, args, options);
}

async function listen(): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

describe('npm start', function () {
  this.timeout(90_000);
  let child: ChildProcess;
  let port: number;
  let output = '';

  before(async () => {
    const reserved = await listen();
    port = reserved.port;
    await reserved.close();
    child = spawn(process.execPath, [script, '--port', String(port)]);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (data: Buffer) => (output += data.toString()));
    }
    await waitFor(() => output.includes('Ctrl-C') || child.exitCode !== null, {
      timeoutMs: 80_000,
      what: 'the list of addresses',
    });
    expect(child.exitCode, output).to.equal(null);
  });

  after(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });

  /** GET by the address that was printed. */
  async function get(host: string, path: string): Promise<string> {
    expect(output).to.include(`curl http://${host}:${port}${path}\n`);
    const answer = await ask(port, path, { headers: { host: `${host}:${port}` } });
    expect(answer.status, answer.body).to.equal(200);
    return answer.body;
  }

  it('serves a TSGI callable', async () => {
    expect(await get('127.0.0.1', '/hello')).to.equal('Hello from mod_tsgi!\n');
  });

  it('serves the mode detector, in daemon mode', async () => {
    expect(await get('127.0.0.1', '/mode')).to.equal('DAEMON MODE');
  });

  it('serves the file that also runs alone', async () => {
    expect(await get('127.0.0.1', '/greet/hello/world')).to.equal('Hello, world!\n');
  });

  it('serves an unmodified Express application', async () => {
    expect(await get('127.0.0.1', '/express/')).to.equal('Hello from Express!\n');
    const { body } = await ask(port, '/express/users/7');
    expect(JSON.parse(body)).to.deep.equal({ id: '7', ip: '127.0.0.1', protocol: 'http' });
  });

  it('serves the body of a request to Express', async () => {
    const { body } = await ask(port, '/express/echo', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"a":[1,2]}',
    });
    expect(JSON.parse(body)).to.deep.equal({ a: [1, 2] });
  });

  it('serves a fetch handler', async () => {
    expect(await get('127.0.0.1', '/hono/')).to.equal('Hello from Hono!\n');
    const { body } = await ask(port, '/hono/length', { method: 'POST', body: 'x'.repeat(70_000) });
    expect(JSON.parse(body)).to.deep.equal({ bytes: 70_000 });
  });

  it('serves a TypeScript entry', async () => {
    const answer: unknown = JSON.parse(await get('127.0.0.1', '/typescript/'));
    expect(answer).to.include({ language: 'TypeScript', path: '/' });
  });

  it('serves static pages, and an application beside them', async () => {
    expect(await get('127.0.0.1', '/')).to.include('<h1>mod_tsgi examples</h1>');
    expect(await get('127.0.0.1', '/sideapp')).to.match(/^The application at \/sideapp got \/\n/);
  });

  it('serves an application at / of a virtual host, and static files before it', async () => {
    expect(await get('site.localhost', '/')).to.match(/^The application at \/ got \/\n/);
    expect(await get('site.localhost', '/robots.txt')).to.match(/^User-agent/);
    const headers = { host: `site.localhost:${port}` };
    const icon = await ask(port, '/favicon.ico', { headers });
    expect(icon.headers['content-type']).to.equal('image/x-icon');
    const style = await ask(port, '/media/style.css', { headers });
    expect(style.headers['content-type']).to.equal('text/css');
  });

  it('runs the two groups of the site under different users, as root', async function () {
    if (process.getuid?.() !== 0) this.skip();
    const uid = (text: string): string | undefined => /runs as uid (\d+)/.exec(text)?.[1];
    const site = uid(await get('site.localhost', '/'));
    const side = uid(await get('127.0.0.1', '/sideapp'));
    expect(site).to.match(/^[1-9]\d*$/);
    expect(side).to.match(/^[1-9]\d*$/);
    expect(site).to.not.equal(side);
  });

  it('says in one sentence that a port is taken', () => {
    const { status, stderr } = run(process.execPath, [script, '--port', String(port)]);
    expect(status).to.equal(1);
    expect(stderr).to.match(new RegExp(`^Port ${port} on 127\\.0\\.0\\.1 is taken: [^\n]+\n$`));
  });

  it('stops cleanly on Ctrl-C and leaves nothing behind', async () => {
    const directory = /Logs: (\S+)\/error\.log/.exec(output)?.[1] ?? '';
    expect(existsSync(directory)).to.equal(true);
    child.kill('SIGINT');
    const [status] = (await once(child, 'exit')) as [number | null];
    expect(status, output).to.equal(0);
    expect(existsSync(directory)).to.equal(false);
    const again = await ask(port, '/hello').catch((error: unknown) => error);
    expect(again).to.have.property('code', 'ECONNREFUSED');
  });
});

describe('a machine that lacks something', () => {
  it('is told about a port that is no number', () => {
    const { status, stderr } = run(process.execPath, [script, '--port', '80x']);
    expect(status).to.equal(1);
    expect(stderr).to.equal('Expected --port to be a number from 1 to 65535, got "80x".\n');
  });

  for (const name of ['start', 'test']) {
    it(`is told about a Node.js that is too old by npm ${name}`, () => {
      const old = `Object.defineProperty(process.versions, 'node', { value: '20.18.3' });`;
      const { status, stderr } = run(process.execPath, [
        `--import=data:text/javascript,${encodeURIComponent(old)}`,
        join(root, `scripts/${name}.mjs`),
      ]);
      expect(status).to.equal(1);
      expect(stderr).to.match(/^mod_tsgi needs Node\.js 20\.19 or newer, this is [^\n]+\n$/);
    });
  }

  describe('scripts/setup.sh', () => {
    let bin: string;
    beforeEach(() => {
      bin = mkdtempSync(join(tmpdir(), 'tsgi-bin-'));
      symlinkSync(process.execPath, join(bin, 'node'));
    });
    afterEach(() => {
      rmSync(bin, { recursive: true });
    });

    const setup = (...args: string[]): ReturnType<typeof run> =>
      run('/bin/sh', [join(root, 'scripts/setup.sh'), ...args], { PATH: bin });

    it('prints the one command that installs a missing compiler', () => {
      symlinkSync('/bin/true', join(bin, 'apt-get'));
      const { status, stderr } = setup('--check');
      expect(status).to.equal(1);
      expect(stderr).to.include('a C and C++ compiler').and.include('cmake');
      expect(stderr).to.match(/\n +sudo apt-get install -y \S.* g\+\+.*\n$/);
    });

    it('names what is missing in one sentence where there is no apt-get', () => {
      const { status, stderr } = setup();
      expect(status).to.equal(1);
      expect(stderr).to.match(/^Missing: [^\n]*a C and C\+\+ compiler[^\n]*apt-get[^\n]*\n$/);
    });

    it('does nothing where all is there', () => {
      const { status, stdout, stderr } = run('/bin/sh', [join(root, 'scripts/setup.sh')]);
      expect({ status, stdout, stderr }).to.include({ status: 0, stdout: '', stderr: '' });
    });
  });
});
