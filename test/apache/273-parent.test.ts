import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { processOf, type Process } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

/** Answers with its pid; blocks its event loop for ever when it is asked to. */
const app = `
require('node:http').createServer((req, res) => {
  if (req.url.endsWith('/block')) res.end('blocked', () => setImmediate(() => { for (;;); }));
  else res.end(String(process.pid));
}).listen(3000);
`;

const names = ['calm', 'blocked', 'stopped', 'frozen'] as const;

const config = names
  .map(
    (name) => `
TSGIDaemonProcess ${name}
TSGIScriptAlias /${name} @ROOT@/apps/${name}.js process-group=${name}
`,
  )
  .join('');

describe('the Apache parent, killed with SIGKILL', function () {
  this.timeout(60_000);
  let httpd: Httpd;

  const isAlive = ({ pid, title }: Process) => processOf(pid)?.title === title;
  const of = (what: string) => httpd.processes(new RegExp(`^tsgi: ${what}`));
  const stop = (what: string) => {
    for (const { pid } of of(what)) process.kill(pid, 'SIGSTOP');
  };

  before(async () => {
    httpd = await Httpd.prepare({ config });
    for (const name of names) httpd.write(`${name}.js`, app);
    httpd.log.allow(/TSGI05/, /TSGI01/, /AH00098/); // a pid file is there
    await httpd.start();
  });
  after(() => httpd.stop());

  it('takes everything of ours along within 5 s, though something is blocked or stopped in each way', async () => {
    for (const name of names) await waitFor(async () => (await httpd.ask(`/${name}`)).status === 200);
    await httpd.ask('/blocked/block');
    stop('worker stopped/');
    stop('supervisor frozen');
    const ours = of('');
    const children = httpd.processes(/apache2|httpd/);
    expect(ours).to.have.length(1 + 2 * names.length);
    process.kill(httpd.pid, 'SIGKILL');
    try {
      await waitFor(() => !ours.some(isAlive), {
        timeoutMs: 5000,
        what: `the end of ${ours.map(({ pid, title }) => `${String(pid)} ${title}`).join(', ')}`,
      });
    } finally {
      for (const left of ours.filter(isAlive)) process.kill(left.pid, 'SIGKILL');
      for (const { pid } of children) process.kill(pid, 'SIGKILL');
    }
  });

  it('does not stand in the way of the next start', async () => {
    await httpd.start();
    for (const name of names) {
      await waitFor(async () => (await httpd.ask(`/${name}`)).status === 200);
    }
  });

  it('does not, either, when everything was killed with it', async () => {
    const all = [httpd.pid, ...httpd.processes().map(({ pid }) => pid)];
    for (const pid of all) if (processOf(pid)) process.kill(pid, 'SIGKILL');
    await waitFor(() => all.every((pid) => !processOf(pid)));
    await httpd.start();
    for (const name of names) {
      await waitFor(async () => (await httpd.ask(`/${name}`)).status === 200);
    }
  });
});
