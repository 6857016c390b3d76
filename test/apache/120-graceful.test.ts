import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { processOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

const alias = (name: string) => `TSGIScriptAlias /${name} @APPS@/echo.js process-group=${name}\n`;
const group = (name: string, options = '') =>
  `TSGIDaemonProcess ${name} ${options}\n${alias(name)}`;

describe('apachectl graceful', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.start({ config: group('kept') + group('changed') + group('removed') });
  });
  after(() => httpd.stop());

  it('keeps an unchanged group, replaces a changed one, adds a new one, removes one', async () => {
    const pid = async (name: string) => Number((await httpd.ask(`/${name}/pid`)).body);
    const before = {
      kept: await pid('kept'),
      changed: await pid('changed'),
      removed: await pid('removed'),
    };
    httpd.configure(group('kept') + group('changed', 'env=X=1') + group('added'));
    await httpd.graceful();
    expect(await pid('kept')).to.equal(before.kept);
    expect(await pid('changed')).to.not.equal(before.changed);
    expect(await pid('added')).to.be.greaterThan(0);
    expect((await httpd.ask('/removed/pid')).status).to.equal(404);
    await waitFor(() => !processOf(before.changed) && !processOf(before.removed), {
      what: 'the end of old generations',
      timeoutMs: 30_000,
    });
  });

  it('adds a script to an unchanged group without touching its workers', async () => {
    const pid = Number((await httpd.ask('/kept/pid')).body);
    httpd.configure(
      `${group('kept') + group('changed', 'env=X=1') + group('added')}TSGIScriptAlias /more @APPS@/callable.js process-group=kept\n`,
    );
    await httpd.graceful();
    expect((await httpd.ask('/more')).body).to.equal('callable GET /more|');
    expect(Number((await httpd.ask('/kept/pid')).body)).to.equal(pid);
  });

  it('loses no request while it happens, again and again', async () => {
    let failed = 0;
    let done = 0;
    let stop = false;
    const client = async () => {
      while (!stop) {
        const answer = await httpd.ask('/kept/hello').catch(() => undefined);
        done++;
        if (answer?.status !== 200) failed++;
      }
    };
    const clients = [client(), client(), client(), client()];
    for (let i = 0; i < 5; i++) {
      await httpd.graceful();
      const before = done;
      await waitFor(() => done > before + clients.length);
    }
    stop = true;
    await Promise.all(clients);
    expect(done).to.be.greaterThan(5);
    expect(failed).to.equal(0);
  });
});

describe('socket activation', () => {
  it('starts an on-demand group at the first request, and one that a <Location> chooses', async () => {
    const httpd = await Httpd.start({
      config: `
TSGIDaemonProcess lazy start=on-demand
TSGIDaemonProcess chosen
TSGIScriptAlias /lazy @APPS@/echo.js process-group=lazy
TSGIScriptAlias /choice @APPS@/echo.js
<Location /choice>
  TSGIProcessGroup chosen
</Location>
`,
    });
    try {
      expect(httpd.processes(/^tsgi: worker/)).to.deep.equal([]);
      expect((await httpd.ask('/lazy/hello')).body).to.equal('hello');
      expect(httpd.processes(/^tsgi: worker lazy/)).to.have.length(1);
      expect((await httpd.ask('/choice/hello')).body).to.equal('hello');
      expect(httpd.processes(/^tsgi: worker chosen/)).to.have.length(1);
    } finally {
      await httpd.stop();
    }
  });
});

describe('TSGIRestrictProcess', () => {
  it('lets only the named groups be chosen', async () => {
    const httpd = await Httpd.start({
      config: `
TSGIDaemonProcess one
TSGIDaemonProcess two
TSGIScriptAlias /x @APPS@/echo.js
TSGIRestrictProcess one
<Location /x/one>
  TSGIProcessGroup one
</Location>
<Location /x/two>
  TSGIProcessGroup two
</Location>
`,
    });
    try {
      expect((await httpd.ask('/x/one')).status).to.equal(404); // the app's own
      httpd.log.allow('TSGI0153');
      expect((await httpd.ask('/x/two')).status).to.equal(403);
      expect(httpd.log.matching(/TSGI0153.*process group two /)).to.have.length(1);
    } finally {
      await httpd.stop();
    }
  });
});
