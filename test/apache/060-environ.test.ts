import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';

const config = `
TSGIDaemonProcess env env=SECRET=for-the-process
TSGIProcessGroup env
TSGIScriptAlias /app @ROOT@/apps/environ.js
TSGIScriptAlias /node @APPS@/echo.js
TSGIScriptAlias /encoded @ROOT@/apps/environ.js
SetEnv DEPLOYMENT staging
SetEnv REQUEST_METHOD FORGED
AllowEncodedSlashes NoDecode
<Location /app/private>
  AuthType Basic
  AuthName private
  AuthUserFile @ROOT@/apps/passwords
  Require valid-user
</Location>
<Location /app/passed>
  AuthType Basic
  AuthName private
  AuthUserFile @ROOT@/apps/passwords
  Require valid-user
  TSGIPassAuthorization On
</Location>
<Location /app/never>
  TSGIPassAuthorization Off
</Location>
`;
const environ = `
exports.application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'application/json']]);
  const plain = {};
  for (const [name, value] of Object.entries(environ)) if (typeof value !== 'object') plain[name] = value;
  return [JSON.stringify({ ...plain, version: environ['tsgi.version'], leaked: process.env.DEPLOYMENT ?? null, inherited: 'toString' in environ })];
};
`;
// "user:secret", hashed by htpasswd's SHA-1 form
const passwords = 'user:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n';

describe('the environ of a TSGI callable', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config });
    httpd.write('environ.js', environ);
    httpd.write('passwords', passwords);
    await httpd.start();
  });
  after(() => httpd.stop());

  const get = async (path: string, headers: Record<string, string | string[]> = {}) =>
    JSON.parse((await httpd.ask(path, { headers })).body) as Record<string, unknown>;

  it('holds the CGI variables', async () => {
    const env = await get('/app/some/path?a=1&b=%20');
    expect(env).to.deep.include({
      REQUEST_METHOD: 'GET',
      SCRIPT_NAME: '/app',
      PATH_INFO: '/some/path',
      QUERY_STRING: 'a=1&b=%20',
      REQUEST_URI: '/app/some/path?a=1&b=%20',
      SERVER_PROTOCOL: 'HTTP/1.1',
      REMOTE_ADDR: '127.0.0.1',
      HTTP_HOST: `localhost:${String(httpd.port)}`.replace('localhost', '127.0.0.1'),
      inherited: false,
    });
    expect(env['SERVER_PORT']).to.be.oneOf([String(httpd.port), httpd.port]);
    expect(env['SCRIPT_FILENAME']).to.match(/environ\.js$/);
  });

  it('holds the facts of TSGI', async () => {
    const env = await get('/app');
    expect(env).to.deep.include({
      'tsgi.url_scheme': 'http',
      'tsgi.process_group': 'env',
      'tsgi.mode': 'daemon',
      'tsgi.multiprocess': false,
      version: [1, 0],
    });
    expect(env['tsgi.application_group']).to.match(/\|\/app$/);
    expect(env['tsgi.request_id']).to.be.a('string').that.is.not.equal('');
  });

  it("holds Apache's variables of this request, which never reach process.env nor replace a CGI variable", async () => {
    const env = await get('/app');
    expect(env).to.deep.include({ DEPLOYMENT: 'staging', leaked: null, REQUEST_METHOD: 'GET' });
  });

  it('holds headers, repeats joined, without those that could be forged', async () => {
    const env = await get('/app', {
      'X-Thing': ['one', 'two'],
      Cookie: 'a=1; b=2',
      Proxy: 'http://attacker/',
      Under_Score: 'x',
      __proto__: 'x',
      'Content-Type': 'text/x',
    });
    expect(env).to.deep.include({
      HTTP_X_THING: 'one, two',
      HTTP_COOKIE: 'a=1; b=2',
      CONTENT_TYPE: 'text/x',
    });
    expect(env).to.not.have.any.keys('HTTP_PROXY', 'HTTP_UNDER_SCORE', 'HTTP___PROTO__');
  });

  it('decodes the path once and keeps the raw target', async () => {
    const env = await get('/app/a%20b/c%2Fd');
    expect(env['PATH_INFO']).to.equal('/a b/c%2Fd');
    expect(env['REQUEST_URI']).to.equal('/app/a%20b/c%2Fd');
  });

  it('names the user whom Apache authenticated, and does not show the password', async () => {
    const auth = `Basic ${Buffer.from('user:secret').toString('base64')}`;
    const env = await get('/app/private', { Authorization: auth });
    expect(env).to.deep.include({ REMOTE_USER: 'user', AUTH_TYPE: 'Basic' });
    expect(env).to.not.have.property('HTTP_AUTHORIZATION');
  });

  it('passes Authorization when Apache did not use it, or is told to', async () => {
    expect(await get('/app', { Authorization: 'Bearer x' })).to.deep.include({
      HTTP_AUTHORIZATION: 'Bearer x',
    });
    const auth = `Basic ${Buffer.from('user:secret').toString('base64')}`;
    expect(await get('/app/passed', { Authorization: auth })).to.deep.include({
      HTTP_AUTHORIZATION: auth,
    });
    expect(await get('/app/never', { Authorization: 'Bearer x' })).to.not.have.property(
      'HTTP_AUTHORIZATION',
    );
  });

  it('is refused by Require before the app sees anything', async () => {
    expect((await httpd.ask('/app/private')).status).to.equal(401);
  });

  it('reaches (req, res) apps as req.tsgi', async () => {
    const shown = await get('/node/show?x=1', { 'X-Mixed-Case': 'Kept' });
    expect(shown['url']).to.equal('/show?x=1');
    expect(shown['remoteAddress']).to.equal('127.0.0.1');
    expect(shown['remotePort']).to.be.a('number').that.is.greaterThan(0);
    expect(shown['rawHeaders']).to.include('X-Mixed-Case');
    expect(shown['tsgi']).to.deep.include({
      processGroup: 'env',
      scriptName: '/node',
      mode: 'daemon',
    });
    expect(shown).to.have.nested.property('tsgi.env.DEPLOYMENT', 'staging');
  });

  it('carries the id that stands in the access log', async () => {
    const { 'tsgi.request_id': id } = await get('/app/id');
    expect(id).to.be.a('string');
    const { readFileSync } = await import('node:fs');
    const { waitFor } = await import('../harness/wait.ts');
    await waitFor(() => readFileSync(`${httpd.dir}/access.log`, 'utf8').includes(`/app/id 200`));
    expect(readFileSync(`${httpd.dir}/access.log`, 'utf8')).to.contain(String(id));
  });
});
