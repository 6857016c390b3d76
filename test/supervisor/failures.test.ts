import { expect } from 'chai';
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { TestGroup } from './harness.ts';

/** name, source, number, words of the cause; a client gets the number with UNAVAILABLE. */
const broken: readonly (readonly [string, string, number, RegExp])[] = [
  [
    'throws.cjs',
    'function deep() { throw new Error("no database") }\ndeep();',
    607,
    /Error: no database/,
  ],
  ['rejects.mjs', 'await Promise.reject(new TypeError("no queue"))', 607, /TypeError: no queue/],
  ['string.cjs', 'throw "just text"', 607, /'just text'/],
  ['later.cjs', 'setTimeout(() => { throw new Error("too late") }, 20)', 607, /too late/],
  ['unhandled.cjs', 'Promise.reject(new Error("forgotten"))', 607, /forgotten/],
  ['syntax.cjs', 'const x = ;', 608, /SyntaxError: Unexpected token/],
  ['syntax.mjs', 'const x = ;', 608, /SyntaxError: Unexpected token/],
  ['missing.cjs', 'require("no-such-package")', 609, /Cannot find module 'no-such-package'/],
  ['missing.mjs', 'import "no-such-package"', 609, /Cannot find package 'no-such-package'/],
  ['exits.cjs', 'process.exit(3)', 610, /process\.exit\(3\)/],
  ['exits.mjs', 'await 0; process.exit(0)', 610, /process\.exit\(0\)/],
  ['empty.cjs', '', 611, /nothing left to do/],
  ['names.mjs', 'export const app = 1', 611, /its exports: app/],
  ['stuck.mjs', 'await new Promise(() => undefined)', 611, /top-level await never ends/],
  ['idle.cjs', 'setInterval(() => undefined, 1000)', 612, /did not listen within 1 s/],
  ['number.mjs', 'export default 42', 613, /exports a number as default/],
  ['class.cjs', 'module.exports = class Shop {}', 613, /exports the class Shop as default/],
  ['one.cjs', 'module.exports = (only) => only', 613, /a function of 1 parameter /],
  [
    'config.cjs',
    'exports.application = { port: 1 }',
    613,
    /exports an object with port as application/,
  ],
  [
    'typed.ts',
    'const x: number = 1;\n\nthrow new Error(`typed ${x}`);\nexport {};',
    607,
    /typed 1/,
  ],
];

describe('an app that cannot be loaded', () => {
  let group: TestGroup;
  before(() => {
    group = new TestGroup(['startup-timeout=1000']);
  });
  after(() => group.stop());

  for (const [name, source, code, cause] of broken) {
    const id = `TSGI0${String(code)}`;
    it(`(${name}) is logged as ${id} with group, pid and script, and refuses its clients`, async () => {
      const { socket, script } = group.serve(name, source);
      const line = await group.logged(new RegExp(`host ${id}: .*${name.replace('.', '\\.')}`));
      expect(line)
        .to.match(cause)
        .and.match(/process group test/)
        .and.match(/pid \d+/);
      expect(line.startsWith('3 ')).to.equal(true);
      const { unavailable } = await group.ask(socket, script);
      expect(unavailable?.code).to.equal(code);
      expect(unavailable?.retryAfter).to.be.within(1, 31);
    });
  }

  it('shows the stack behind the record', () => {
    expect(group.log.some((line) => /host {5}at deep \(.*throws\.cjs:1:25\)/.test(line))).to.equal(
      true,
    );
  });

  it('shows the place of a syntax error', () => {
    expect(group.log.some((line) => line.includes('/syntax.cjs:1'))).to.equal(true);
    expect(group.log.some((line) => line.includes('/syntax.mjs:1'))).to.equal(true);
  });

  it('maps the stack of TypeScript to its source', () => {
    expect(group.log.some((line) => line.includes('typed.ts:3:'))).to.equal(true);
  });

  it('is served as soon as it is mended', async () => {
    const { socket, script } = group.serve('mended.cjs', 'throw new Error("not yet")');
    await group.logged(/TSGI0607.*mended/);
    group.write('mended.cjs', 'module.exports = (req, res) => res.end("mended")');
    const mended = async (): Promise<string> => (await group.ask(socket, script)).body;
    let body = '';
    for (const deadline = Date.now() + 10_000; body === '' && Date.now() < deadline;)
      body = await mended();
    expect(body).to.equal('mended');
  });
});

describe('a script that may not run', () => {
  let group: TestGroup;
  before(() => {
    group = new TestGroup();
  });
  after(() => group.stop());

  async function expectCode(path: string, code: number): Promise<void> {
    const [socket = ''] = group.app(path, [path]);
    await group.logged(new RegExp(`TSGI0${String(code)}: .*${path}`));
    expect((await group.ask(socket, path)).unavailable?.code).to.equal(code);
  }

  it('is 0601 when it does not exist', () =>
    expectCode(join(group.directory, 'nowhere', 'app.js'), 601));

  it('is 0603 when it is not a file', () => expectCode('/dev/null', 603));

  it('is 0628 when it is a directory without a package', async () => {
    const path = join(group.directory, 'folder.js');
    mkdirSync(path);
    await expectCode(path, 628);
  });

  it('is 0604 when it belongs to another user', async function () {
    if (process.getuid?.() !== 0) this.skip();
    const path = group.write('foreign.js', '');
    chownSync(path, 65_534, 65_534);
    await expectCode(path, 604);
  });

  it('is 0605 when everyone may write to it', async () => {
    const path = group.write('open.js', '');
    chmodSync(path, 0o666);
    await expectCode(path, 605);
  });
});
