import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { provide } from './packages.ts';

describe('swc as the compiler of TypeScript', function () {
  this.timeout(300_000);
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess imported node-args="--import @swc-node/register/esm-register" startup-timeout=1m
TSGIScriptAlias /imported @ROOT@/apps/metadata/index.ts process-group=imported
TSGIDaemonProcess required node-args="--require @swc-node/register" startup-timeout=1m
TSGIScriptAlias /required @ROOT@/apps/metadata/index.ts process-group=required
TSGIDaemonProcess tsx env=XDG_CACHE_HOME=@ROOT@/run
TSGIScriptAlias /tsx @ROOT@/apps/metadata/index.ts process-group=tsx`,
    });
    provide(join(httpd.dir, 'apps'));
    httpd.log.allow(/err\] /);
    await httpd.start();
  });
  after(() => httpd.stop());

  for (const name of ['imported', 'required']) {
    it(`gives decorators the types of parameters (${name})`, async () => {
      expect((await httpd.ask(`/${name}`)).body).to.equal('injected');
      expect(httpd.log.matching(new RegExp(`\\[${name} \\d+ host\\] TSGI0630`))).to.deep.equal([]);
    });
  }

  it('does what tsx does not, which the log says', async () => {
    expect((await httpd.ask('/tsx')).body).to.equal('no metadata');
    expect(httpd.log.matching(/TSGI0630/)).to.have.length(1);
  });
});
