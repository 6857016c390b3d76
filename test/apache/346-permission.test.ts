/** Node's permission model, with what a worker itself needs. */
import { expect } from 'chai';
import { freePort, Httpd } from '../harness/httpd.ts';
import { permissionFlag } from '../harness/place.ts';
import { waitFor } from '../harness/wait.ts';

const source = `
  const { readFileSync, writeFileSync } = require('node:fs');
  const attempt = (action) => { try { return action() } catch (error) { return error.code } };
  require('node:http').createServer((req, res) => res.end(JSON.stringify({
    inside: attempt(() => readFileSync(__dirname + '/data.txt', 'utf8')),
    outside: attempt(() => readFileSync('/etc/hostname', 'utf8')),
    written: attempt(() => writeFileSync(__dirname + '/written.txt', '') ?? 'written'),
    child: attempt(() => require('node:child_process').execFileSync('true') && 'started'),
    dependency: attempt(() => require('dependency')),
    hasRead: process.permission.has('fs.read', '/etc'),
  }))).listen(3000);`;

describe("Node's permission model", () => {
  const flag = permissionFlag;
  let httpd: Httpd;
  before(async () => {
    const port = await freePort();
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess fenced node-args="${flag} --allow-addons --allow-fs-read=@ROOT@/apps/*"
TSGIScriptAlias /fenced @ROOT@/apps/app.cjs process-group=fenced
TSGIScriptAlias /module @ROOT@/apps/app.mjs process-group=fenced
TSGIScriptAlias /package @ROOT@/apps/package process-group=fenced
TSGIDaemonProcess inspected inspect=${String(port)} node-args="${flag} --allow-addons"
TSGIScriptAlias /inspected @ROOT@/apps/plain.cjs process-group=inspected
TSGIDaemonProcess shut node-args=${flag}
TSGIScriptAlias /shut @ROOT@/apps/app.cjs process-group=shut`,
    });
    httpd.write('plain.cjs', "module.exports = (req, res) => res.end('plain');");
    httpd.write('app.cjs', source);
    httpd.write('app.mjs', "export default { fetch: () => new Response('module') };");
    httpd.write('package/package.json', '{ "main": "app.js" }');
    httpd.write('package/app.js', "module.exports = (req, res) => res.end('package');");
    httpd.write('data.txt', 'data');
    httpd.write('node_modules/dependency/index.js', "module.exports = 'dependency';");
    httpd.log.allow(
      /err\] .*(Permission|Warning|trace-warnings)/,
      /TSGI0506/,
      /TSGI0179/,
      /TSGI0629/,
    );
    await httpd.start();
  });
  after(() => httpd.stop());

  it('holds for an app that it lets read its own directory', async () => {
    expect(JSON.parse((await httpd.ask('/fenced')).body)).to.deep.equal({
      inside: 'data',
      outside: 'ERR_ACCESS_DENIED',
      written: 'ERR_ACCESS_DENIED',
      child: 'ERR_ACCESS_DENIED',
      dependency: 'dependency',
      hasRead: false,
    });
  });

  it('lets ES modules with fetch handlers and packages be served, too', async () => {
    expect((await httpd.ask('/module')).body).to.equal('module');
    expect((await httpd.ask('/package')).body).to.equal('package');
  });

  it('that forbids the inspector leaves it closed, and serves', async () => {
    httpd.log.allow(/TSGI0631/);
    expect((await httpd.ask('/inspected')).body).to.equal('plain');
    await waitFor(() => httpd.log.matching(/TSGI0631.*permission model forbids it/).length > 0);
  });

  it('that forbids addons stops a worker, and the log says which flag is missing', async () => {
    expect((await httpd.ask('/shut')).status).to.equal(503);
    await waitFor(() => httpd.log.matching(/TSGI0506.*TSGI0629: .*--allow-addons/).length > 0);
  });
});
