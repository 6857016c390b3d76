/** docs/node.md: each of its configurations is served as it stands there. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { freePort, Httpd } from '../harness/httpd.ts';
import { permissionFlag, root } from '../harness/place.ts';

const page = readFileSync(join(root, 'docs/node.md'), 'utf8');
const blocks = [...page.matchAll(/^( *)```apache\n([^]*?)^\1```$/gm)].map(
  ([, , text]) => text ?? '',
);

const server =
  "import { createServer } from 'node:http';\ncreateServer((req, res) => res.end('served')).listen(3000);\n";
const files: Readonly<Record<string, string>> = {
  'package.json': '{ "type": "module", "main": "server.js" }',
  '.env': 'SECRET="of the file"\n',
  'server.js': server,
  'server.ts': server,
  'instrument.mjs': '',
  // Stand-ins: the real packages are those of test/ecosystem.
  'node_modules/@opentelemetry/auto-instrumentations-node/register.js': '',
  'node_modules/@swc-node/register/package.json':
    '{ "exports": { "./esm-register": "./esm-register.mjs" } }',
  'node_modules/@swc-node/register/esm-register.mjs': `import ${JSON.stringify(import.meta.resolve('tsx'))};`,
};

describe('docs/node.md', () => {
  let httpd: Httpd;

  before(async () => {
    const port = await freePort();
    httpd = await Httpd.prepare({
      config: blocks
        .join('\n')
        .replaceAll('/srv/shop', '@ROOT@/apps/shop')
        .replace('inspect=9229', `inspect=${String(port)}`)
        .replace('--permission', permissionFlag),
    });
    mkdirSync(join(httpd.dir, 'apps/shop'), { recursive: true });
    for (const [name, text] of Object.entries(files)) httpd.write(`shop/${name}`, text);
    httpd.log.allow(
      /Debugger listening|For help, see/,
      /err\] .*(Permission|Warning|trace-warnings)/,
    );
    await httpd.start();
  });
  after(() => httpd.stop());

  it('has as many configurations as are served here', () => {
    expect(blocks).to.have.length(8);
  });

  for (const url of ['env', 'package', 'otel', 'sentry', 'swc', 'debug', 'fenced']) {
    it(`is right about /${url}`, async () => {
      expect(page).to.include(`TSGIScriptAlias /${url} `);
      const answer = await httpd.ask(`/${url}`);
      expect([answer.status, answer.body]).to.deep.equal([200, 'served']);
    });
  }
});
