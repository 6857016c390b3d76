/**
 * Memory: growth of an Apache child and the worker over 100 MiB up and down, and what the worker adds to
 * the same app run by plain node.
 *
 *   npm run bench -- memory [--mib 100]
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { parseArgs } from 'node:util';
import { Httpd } from '../test/harness/httpd.ts';
import { app } from '../test/harness/place.ts';
import { waitFor } from '../test/harness/wait.ts';
import { end, killGroupAtEnd, launch, removeAtEnd } from './ending.ts';
import { rssMiB } from './proc.ts';
import { table } from './stats.ts';

const { values } = parseArgs({ options: { mib: { type: 'string', default: '100' } } });
const mib = Number(values.mib);
const block = Buffer.alloc(1 << 20, 'abcdefghijklmnopqrstuvwxyz012345');

const httpd = await Httpd.start({
  logLevel: 'warn',
  accessLog: false,
  limits:
    'StartServers 1\nServerLimit 1\nThreadsPerChild 8\nThreadLimit 8\nMaxRequestWorkers 8\nMinSpareThreads 1\nMaxSpareThreads 8\n',
  config:
    'LimitRequestBody 0\nTSGIDaemonProcess echo\nTSGIScriptAlias /echo @APPS@/echo.js process-group=echo\n',
});

removeAtEnd(httpd.dir);
const release = killGroupAtEnd(httpd.pid);

async function upload(): Promise<void> {
  const hash = createHash('sha256');
  const req = request({ port: httpd.port, path: '/echo/hash', method: 'POST', agent: false });
  const answer = once(req, 'response') as Promise<[IncomingMessage]>;
  for (let i = 0; i < mib; i++) {
    hash.update(block);
    if (!req.write(block)) await once(req, 'drain');
  }
  req.end();
  const [res] = await answer;
  let text = '';
  for await (const chunk of res) text += String(chunk);
  if (text !== `${String(mib * block.length)} ${hash.digest('hex')}`)
    throw new Error(`upload: ${text}`);
}

async function download(): Promise<void> {
  const req = request({
    port: httpd.port,
    path: `/echo/big?bytes=${String(mib * block.length)}`,
    agent: false,
  });
  req.end();
  const [res] = (await once(req, 'response')) as [IncomingMessage];
  let length = 0;
  for await (const chunk of res) length += (chunk as Buffer).length;
  if (length !== mib * block.length) throw new Error(`download: ${String(length)}`);
}

const rows: string[][] = [];
try {
  await waitFor(async () => (await httpd.ask('/echo/hello')).status === 200);
  const child = httpd.children()[0] ?? 0;
  const worker = httpd.processes(/^tsgi: worker/)[0]?.pid ?? 0;
  const small = httpd.ask('/echo/hash', { method: 'POST', body: 'x'.repeat(100_000) });
  await small;
  const idleWorker = rssMiB(worker);
  for (const [what, act] of [
    ['upload', upload],
    ['download', download],
  ] as const) {
    const before = [rssMiB(child), rssMiB(worker)] as const;
    let peak = [0, 0];
    const watch = setInterval(() => {
      peak = [Math.max(peak[0] ?? 0, rssMiB(child)), Math.max(peak[1] ?? 0, rssMiB(worker))];
    }, 20);
    await act();
    clearInterval(watch);
    rows.push([
      `${String(mib)} MiB ${what}`,
      ((peak[0] ?? 0) - before[0]).toFixed(1),
      ((peak[1] ?? 0) - before[1]).toFixed(1),
    ]);
  }
  const plain = launch(process.execPath, [app('echo.js')], {
    env: { PATH: process.env['PATH'], PORT: '0' },
    stdio: 'ignore',
  });
  await waitFor(() => rssMiB(plain.pid ?? 0) > 30);
  let last = 0;
  await waitFor(() => {
    const now = rssMiB(plain.pid ?? 0);
    const still = now === last;
    last = now;
    return still;
  });
  await end(plain);
  console.log(
    `\npeak growth of the resident set, MiB\n\n${table(['', 'Apache child', 'worker'], rows)}`,
  );
  console.log(
    `\nworker idle ${idleWorker.toFixed(1)} MiB, the same app by plain node ${last.toFixed(1)} MiB: ${(idleWorker - last).toFixed(1)} MiB more (node ${process.version})`,
  );
} finally {
  await httpd.stop();
  release();
}
