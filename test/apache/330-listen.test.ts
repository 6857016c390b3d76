import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ask } from '../harness/client.ts';
import { freePort, Httpd } from '../harness/httpd.ts';
import { place } from '../harness/place.ts';

const source = join(place(), 'test', 'apps', 'listen');
const node = process.env['TSGI_TEST_NODE'] ?? process.execPath;

/** What `node app.js` answers, when it says that it is ready. */
async function askAlone(file: string, port: number): Promise<string> {
  const child = spawn(node, [join(source, file)], {
    env: { PATH: process.env['PATH'], PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  try {
    const lines = createInterface({ input: child.stdout });
    const [line] = (await Promise.race([once(lines, 'line'), exited])) as unknown[];
    expect(line, `the output of node ${file}`).to.equal('ready');
    // "localhost" may be an address of IPv6 only.
    const answer = await ask(port, '/').catch(() => ask(port, '/', { host: '::1' }));
    return answer.body;
  } finally {
    child.kill();
    await exited;
  }
}

describe('listen()', function () {
  this.timeout(30_000);
  let httpd: Httpd;
  let port: number;

  before(async () => {
    port = await freePort();
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess forms env=PORT=${String(port)}
TSGIScriptAliasMatch ^/form/([a-z0-9.-]+) @ROOT@/apps/$1 process-group=forms
TSGIScriptAlias /express @ROOT@/apps/express.cjs process-group=forms
TSGIScriptAlias /fastify @ROOT@/apps/fastify.mjs process-group=forms
`,
    });
    cpSync(source, join(httpd.dir, 'apps'), { recursive: true });
    symlinkSync(join(place(), 'node_modules'), join(httpd.dir, 'apps', 'node_modules'));
    await httpd.start();
  });
  after(() => httpd.stop());

  for (const file of readdirSync(source).sort()) {
    it(`does in ${file} what it does in node ${file}`, async () => {
      const alone = await askAlone(file, port);
      const { status, body } = await httpd.ask(`/form/${file}`);
      expect(body).to.equal(alone);
      expect(status).to.equal(200);
    });
  }

  it('works for scripts that have a worker each, started with Apache', async () => {
    expect((await httpd.ask('/express/')).body).to.equal('express 0.0.0.0');
    expect((await httpd.ask('/fastify/')).body).to.equal('{"answer":"fastify"}');
  });

  it('binds nothing, and lets no server listen for itself', async () => {
    const error: unknown = await ask(port, '/').catch((reason: unknown) => reason);
    expect(error).to.have.property('code', 'ECONNREFUSED');
    expect(httpd.log.matching(/TSGI0618.*fastify/)).to.deep.equal([]);
  });
});
