import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { processOf, fdsOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

const config = `
TSGIDaemonProcess site processes=2 env=COLOUR=green
TSGIScriptAlias / @APPS@/echo.js process-group=site
`;

describe('the processes of a group', () => {
  let httpd: Httpd;
  beforeEach(async () => {
    httpd = await Httpd.start({ config });
    await httpd.ask('/hello');
  });
  afterEach(() => httpd.stop());

  const workers = () => httpd.processes(/^tsgi: worker site\//);
  const supervisor = () => httpd.processes(/^tsgi: supervisor site$/);

  it('carry their names in ps', async () => {
    await waitFor(() => workers().length === 2);
    expect(supervisor()).to.have.length(1);
    expect(
      workers()
        .map((p) => p.title)
        .sort(),
    ).to.deep.equal(['tsgi: worker site/0', 'tsgi: worker site/1']);
    expect(httpd.processes(/^tsgi: log/)).to.have.length(1);
  });

  it('are replaced when a worker is killed', async () => {
    await waitFor(() => workers().length === 2);
    httpd.log.allow('TSGI05');
    const victim = Number((await httpd.ask('/pid')).body);
    process.kill(victim, 'SIGKILL');
    await waitFor(() => workers().length === 2 && !processOf(victim));
    expect((await httpd.ask('/hello')).status).to.equal(200);
    await waitFor(() => httpd.log.matching(/TSGI05\d\d.*SIGKILL/).length === 1, {
      what: 'the line that tells it',
    });
  });

  it('are replaced when the supervisor is killed', async () => {
    httpd.log.allow('TSGI00', 'TSGI01', 'TSGI05');
    const old = supervisor()[0]?.pid ?? 0;
    process.kill(old, 'SIGKILL');
    await waitFor(() => supervisor().some((p) => p.pid !== old));
    expect((await httpd.ask('/hello')).status).to.equal(200);
  });

  it('leave nothing behind 5 s after the Apache parent was killed', async () => {
    httpd.log.allow('TSGI');
    await waitFor(() => workers().length === 2);
    const ours = httpd.processes(/^tsgi:/);
    expect(ours.length).to.equal(4);
    const children = httpd.children();
    process.kill(httpd.pid, 'SIGKILL');
    await waitFor(() => ours.every((p) => processOf(p.pid)?.title !== p.title), {
      timeoutMs: 5000,
    });
    for (const child of children) process.kill(child, 'SIGKILL');
  });

  it('keep their pids over apachectl graceful and restart', async () => {
    await waitFor(() => workers().length === 2);
    const pids = () => [...supervisor(), ...workers()].map((p) => p.pid).sort();
    const before = pids();
    await httpd.graceful();
    expect((await httpd.ask('/hello')).status).to.equal(200);
    expect(pids()).to.deep.equal(before);
    await httpd.graceful('SIGHUP');
    expect((await httpd.ask('/hello')).status).to.equal(200);
    expect(pids()).to.deep.equal(before);
  });

  it('have a clean environment and no file descriptor of Apache', async () => {
    const env = JSON.parse((await httpd.ask('/env')).body) as Record<string, string>;
    expect(env['COLOUR']).to.equal('green');
    expect(env['TSGI_HOSTED']).to.equal('1');
    expect(env).to.have.property('HOME');
    expect(
      Object.keys(env).filter((k) => k.startsWith('APACHE') || k.startsWith('npm_')),
    ).to.deep.equal([]);
    const pid = Number((await httpd.ask('/pid')).body);
    const files = Object.values(fdsOf(pid)).filter(
      (f) => f.startsWith('/') && !f.startsWith('/dev/'),
    );
    expect(files.filter((f) => f.includes('.log'))).to.deep.equal([]);
  });
});
