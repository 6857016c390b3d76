import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { processOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

const answer = `
const facts = () => ({
  id: cluster.worker?.id, isPrimary: cluster.isPrimary, isMaster: cluster.isMaster, isWorker: cluster.isWorker,
  connected: [process.connected, cluster.worker?.isConnected()], pid: process.pid, argv: process.argv.slice(2),
  role: process.env.ROLE ?? null, unique: process.env.NODE_UNIQUE_ID ?? null, heard,
});
const heard = [];
process.on('message', (message) => heard.push(message));
const serve = () => http.createServer((req, res) => {
  const wasTaken = process.send({ hello: 'primary' }, (error) => res.end(JSON.stringify({ ...facts(), wasTaken, error })));
}).listen(3000);
`;

const apps: Record<string, string> = {
  // As in the manual of Node.js.
  'manual.mjs': `
import cluster from 'node:cluster';
import http from 'node:http';
import { availableParallelism } from 'node:os';
import process from 'node:process';
${answer}
if (cluster.isPrimary) {
  for (let i = 0; i < availableParallelism(); i++) cluster.fork();
  cluster.on('exit', () => cluster.fork());
  cluster.on('message', (worker, message) => worker.send(message));
  for (const id in cluster.workers) cluster.workers[id].on('online', () => {});
} else {
  serve();
}`,
  // The primary is a file of its own, and names what it forks.
  'primary.cjs': `
const cluster = require('node:cluster');
cluster.setupPrimary({ exec: __dirname + '/secondary.cjs', args: ['--use', 'http'], silent: true });
cluster.fork({ ROLE: 'web' });
cluster.fork({ ROLE: 'web' });
`,
  'secondary.cjs': `
const cluster = require('node:cluster');
const http = require('node:http');
${answer}
serve();
`,
  // Forks when it has something ready.
  'late.cjs': `
const cluster = require('node:cluster');
const http = require('node:http');
${answer}
if (cluster.isPrimary) setTimeout(() => { cluster.setupMaster?.(); cluster.fork().on('message', () => {}); }, 100);
else {
  serve();
  cluster.worker.on('disconnect', () => console.log('disconnected', cluster.worker.exitedAfterDisconnect));
  process.on('SIGTERM', () => cluster.worker.disconnect());
}`,
  // Does not fork: nothing of a cluster shows.
  'single.cjs': `
const cluster = require('node:cluster');
const http = require('node:http');
http.createServer((req, res) => res.end(JSON.stringify({
  isPrimary: cluster.isPrimary, worker: cluster.worker ?? null, send: typeof process.send, connected: process.connected ?? null,
}))).listen(3000);`,
};

describe('node:cluster', function () {
  this.timeout(40_000);
  let httpd: Httpd;
  const json = async (path: string) =>
    JSON.parse((await httpd.ask(path)).body) as Record<string, unknown>;

  before(async () => {
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess manual processes=2
TSGIScriptAlias /manual @ROOT@/apps/manual.mjs process-group=manual
TSGIDaemonProcess others
TSGIScriptAlias /primary @ROOT@/apps/primary.cjs process-group=others
TSGIScriptAlias /late @ROOT@/apps/late.cjs process-group=others
TSGIScriptAlias /single @ROOT@/apps/single.cjs process-group=others
`,
    });
    for (const [name, text] of Object.entries(apps)) httpd.write(name, text);
    await httpd.start();
  });
  after(() => httpd.stop());

  it('is served by the workers of the group, each a worker of the cluster', async () => {
    const ids = new Set<unknown>();
    await waitFor(
      async () => {
        // More than one at once: each of them alone would go to the one that served last.
        const answers = await Promise.all([1, 2, 3, 4].map(() => json('/manual/')));
        for (const { id, isPrimary, isMaster, isWorker, connected, unique } of answers) {
          ids.add(id);
          expect({ isPrimary, isMaster, isWorker, connected, unique }).to.deep.equal({
            isPrimary: false,
            isMaster: false,
            isWorker: true,
            connected: [true, true],
            unique: null,
          });
        }
        return ids.size === 2;
      },
      { what: 'answers of two workers' },
    );
    expect([...ids].sort()).to.deep.equal([1, 2]);
    expect(httpd.processes(/^tsgi: worker manual\//)).to.have.length(2);
    expect(httpd.log.matching(/TSGI0619.*manual/)).to.have.length.greaterThan(0);
  });

  it('takes what is sent to the primary, which is not there', async () => {
    const { wasTaken, error, heard } = await json('/manual/');
    expect([wasTaken, error, heard]).to.deep.equal([true, null, []]);
  });

  it('runs the file that the primary would fork, with its arguments and environment', async () => {
    const { argv, role, isWorker } = await json('/primary/');
    expect([argv, role, isWorker]).to.deep.equal([['--use', 'http'], 'web', true]);
  });

  it('lets a worker disconnect, and replaces it', async () => {
    const { pid } = (await json('/late/')) as { pid: number };
    process.kill(pid, 'SIGTERM');
    await waitFor(() => processOf(pid) === undefined, { what: 'the end of the worker' });
    await waitFor(() => httpd.log.matching(/disconnected true/).length > 0);
    expect(await json('/late/'))
      .to.have.property('pid')
      .that.is.not.equal(pid);
  });

  it('shows nothing of a cluster to an app that does not fork', async () => {
    expect(await json('/single/')).to.deep.equal({
      isPrimary: true,
      worker: null,
      send: 'undefined',
      connected: null,
    });
  });
});
