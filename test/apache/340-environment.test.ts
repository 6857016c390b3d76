/** The environment of an app: what Node people rely on without thinking of it. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd, ordinary } from '../harness/httpd.ts';
import { isRoot, nodeInUse } from '../harness/place.ts';
import { isSanitized } from '../harness/sanitizer.ts';
import { waitFor } from '../harness/wait.ts';

/** Everything that a .env file may hold, as Node reads it. */
const ENV_FILE = `\uFEFF# a comment
PLAIN=one
export EXPORTED=two
SINGLE='a "b" $HOME # not a comment'
DOUBLE="line\\nbreak"
BACKTICKS=\`it's "both"\`
MULTI="first
second
third"
  SPACES =   around it   
EMPTY=
TRAILING=value # a comment
HASH=a#b
EQUALS=a=b=c
URL=postgres://user:p%40ss@db.example.org:5432/shop?sslmode=require&x=1
JSON={"a":[1,"b"]}
UNICODE=größe
TWICE=first
TWICE=second
NOT A VARIABLE
=nothing
NODE_ENV=staging
`;

const config = `
TSGIDaemonProcess plain
TSGIScriptAlias /plain @APPS@/node/environment.cjs process-group=plain
TSGIDaemonProcess named env=NODE_ENV=development env=PORT=4711
TSGIScriptAlias /named @APPS@/node/environment.cjs process-group=named
TSGIDaemonProcess filed env-file=@ROOT@/apps/app.env env=PLAIN=over
TSGIScriptAlias /filed @APPS@/node/environment.cjs process-group=filed
TSGIDaemonProcess crlf env-file=@ROOT@/apps/crlf.env
TSGIScriptAlias /crlf @APPS@/node/environment.cjs process-group=crlf
TSGIDaemonProcess optioned "env=NODE_OPTIONS=--stack-trace-limit=17"
TSGIScriptAlias /optioned @APPS@/node/environment.cjs process-group=optioned
TSGIDaemonProcess cached env=NODE_COMPILE_CACHE=@ROOT@/run/cache
TSGIScriptAlias /cached @APPS@/node/environment.cjs process-group=cached
TSGIDaemonProcess open env=NODE_COMPILE_CACHE=@ROOT@/apps/open-cache
TSGIScriptAlias /open @APPS@/node/environment.cjs process-group=open
TSGIDaemonProcess filed-options env-file=@ROOT@/apps/options.env
TSGIScriptAlias /filed-options @APPS@/node/environment.cjs process-group=filed-options
`;

interface Told {
  readonly env: Readonly<Record<string, string>>;
  readonly limit: number;
}

describe('the environment of an app', () => {
  let httpd: Httpd;
  const ask = async (path: string): Promise<Told> =>
    JSON.parse((await httpd.ask(path)).body) as Told;

  /** What `node --env-file=…` makes of a file, without what the process has anyway. */
  function readByNode(file: string): Record<string, string> {
    const args = [`--env-file=${file}`, '-p', 'JSON.stringify(process.env)'];
    return JSON.parse(execFileSync(nodeInUse, args, { encoding: 'utf8', env: {} })) as Record<
      string,
      string
    >;
  }

  before(async () => {
    httpd = await Httpd.prepare({ config });
    httpd.write('app.env', ENV_FILE);
    httpd.write('crlf.env', ENV_FILE.replaceAll('\n', '\r\n'));
    httpd.write('options.env', 'NODE_OPTIONS="--stack-trace-limit=23 --no-deprecation"\n');
    const open = join(httpd.dir, 'apps/open-cache');
    mkdirSync(open);
    if (isRoot) chownSync(open, ordinary.uid, ordinary.gid);
    chmodSync(open, 0o777);
    await httpd.start();
  });
  after(() => httpd.stop());

  it('is that of production, with a port, unless env= says otherwise', async () => {
    const { env } = await ask('/plain');
    expect(env).to.include({
      NODE_ENV: 'production',
      PORT: String(httpd.port),
      TSGI_HOSTED: '1',
    });
    expect((await ask('/named')).env).to.include({ NODE_ENV: 'development', PORT: '4711' });
  });

  it('has nothing of Apache in it', async () => {
    const names = Object.keys((await ask('/plain')).env);
    // The shell in front of node, and what it sets for the run-time library.
    const own = isSanitized ? /^(PWD|LD_PRELOAD|\w+SAN_OPTIONS)$/ : /^$/;
    expect(
      names
        .filter((name) => !/^(TSGI|NODE)_|^(LANG|LC_ALL|PORT)$/.test(name) && !own.test(name))
        .sort(),
    ).to.deep.equal(['HOME', 'LOGNAME', 'PATH', 'SHELL', 'USER']);
  });

  for (const [name, file] of [
    ['filed', 'app.env'],
    ['crlf', 'crlf.env'],
  ] as const) {
    it(`holds of ${file} what \`node --env-file\` would read, and what env= puts over it`, async () => {
      const all = Object.entries(readByNode(`${httpd.dir}/apps/${file}`));
      expect(all.length).to.be.greaterThan(15);
      // The shell in front of a sanitized node hands on no name that it could not have set itself.
      const expected = Object.fromEntries(all.filter(([key]) => !isSanitized || /^\w+$/.test(key)));
      const { env } = await ask(`/${name}`);
      const over = name === 'filed' ? { PLAIN: 'over' } : {};
      expect(env).to.include({ ...expected, ...over });
    });
  }

  it('keeps compiled code where nobody else can write, or not at all', async () => {
    const cache = join(httpd.dir, 'run/cache');
    expect((await ask('/cached')).env).to.include({ NODE_COMPILE_CACHE: cache });
    expect(statSync(cache).mode & 0o777).to.equal(0o700);
    expect((await ask('/open')).env).to.not.have.property('NODE_COMPILE_CACHE');
    const lines = await waitFor(() => httpd.log.matching(/TSGI0632/));
    expect(lines).to.have.length(1);
    expect(lines[0]).to.match(/notice.*\[open \d+ host\].*apps\/open-cache has mode 777/);
  });

  it('takes NODE_OPTIONS from env= and from env-file=', async () => {
    expect(await ask('/optioned')).to.have.property('limit', 17);
    const filed = await ask('/filed-options');
    expect(filed.limit).to.equal(23);
    expect(filed.env).to.include({ NODE_OPTIONS: '--stack-trace-limit=23 --no-deprecation' });
  });
});
