/**
 * Many idle WebSockets: what they cost Apache and the worker, whether each echoes, what files take beside
 * them, and whether they live through `apachectl graceful`. Over plain HTTP they are handed over, with
 * --tls they are relayed.
 *
 *   npm run bench -- websockets [how many] [--tls]
 */
import { readdirSync } from 'node:fs';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { parseArgs } from 'node:util';
import { freePort, Httpd } from '../test/harness/httpd.ts';
import { app } from '../test/harness/place.ts';
import { statusOf } from '../test/harness/processes.ts';
import { makeCertificate, TLS } from '../test/harness/tls.ts';
import { waitFor } from '../test/harness/wait.ts';
import { killGroupAtEnd, removeAtEnd } from './ending.ts';
import { pssMiB, sum } from './proc.ts';
import { median } from './stats.ts';

const { values, positionals } = parseArgs({
  options: { tls: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const COUNT = Number(positionals[0] ?? (values.tls ? 2_000 : 10_000));
/** Where memory is looked at: what does not grow from one to the next is no cost of a connection. */
const STEPS = [COUNT / 5, COUNT / 2, COUNT].map(Math.floor);
const AT_ONCE = 50;
const P99_ROUNDS = 5;
const HEAD = `GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
/** A text frame "hi", masked with zeros. */
const HI = Buffer.from('8182000000006869', 'hex');
const ECHO = '\x81\x02hi';

let ca: Buffer | undefined;

async function open(port: number): Promise<Socket> {
  const where = { host: '127.0.0.1', port };
  const socket = ca ? connectTls({ ...where, ca }) : connect(where);
  await once(socket, ca ? 'secureConnect' : 'connect');
  socket.write(HEAD);
  const [head] = (await once(socket, 'data')) as [Buffer];
  if (!head.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(head.toString());
  return socket;
}

async function echo(socket: Socket): Promise<void> {
  socket.write(HI);
  let text = '';
  while (text.length < ECHO.length) {
    const [data] = (await once(socket, 'data')) as [Buffer]; // TLS: in two records
    text += data.toString('latin1');
  }
  if (text !== ECHO) throw new Error(`expected an echo, came ${JSON.stringify(text)}`);
}

async function openAll(port: number, sockets: Socket[], count: number): Promise<void> {
  while (sockets.length < count) {
    const part = Math.min(AT_ONCE, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: part }, () => open(port)))));
  }
}

async function echoAll(sockets: readonly Socket[]): Promise<void> {
  for (let i = 0; i < sockets.length; i += AT_ONCE) {
    await Promise.all(sockets.slice(i, i + AT_ONCE).map(echo));
  }
}

const port = await freePort();
const client = values.tls
  ? `SSLSessionCache none\nListen 127.0.0.1:${String(port)}\n<VirtualHost 127.0.0.1:${String(port)}>\n${TLS}\n</VirtualHost>\n`
  : `Listen 127.0.0.1:${String(port)}\n`;
// Children that relay stay until their connections end; each may have all of them.
const room = values.tls
  ? `ServerLimit 6\nAsyncRequestWorkerFactor ${String(Math.ceil(COUNT / 32))}\n`
  : 'ServerLimit 2\n';
const httpd = await Httpd.prepare({
  modules: values.tls ? ['ssl', 'socache_shmcb'] : [],
  limits: `${room}StartServers 2\nThreadsPerChild 64\nThreadLimit 64\nMaxRequestWorkers 128\nMinSpareThreads 1\nMaxSpareThreads 128\n`,
  config: `Alias /static @ROOT@/htdocs\nTSGIDaemonProcess site\nTSGIScriptAlias / ${app('upgrade.js')} process-group=site\n${client}`,
  accessLog: false,
});
if (values.tls) ca = makeCertificate(httpd);
httpd.write('../htdocs/hello.txt', 'hello');

const worker = (): number => httpd.processes(/^tsgi: worker/)[0]?.pid ?? 0;
const apacheKiB = (): number => sum(httpd.children(), pssMiB) * 1024;
const workerKiB = (): number => pssMiB(worker()) * 1024;

/** Of requests for a file, ms: the median of some rounds. */
async function p99(): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round < P99_ROUNDS; round++) {
    const times: number[] = [];
    for (let i = 0; i < 300; i++) {
      const start = performance.now();
      await httpd.ask('/static/hello.txt');
      times.push(performance.now() - start);
    }
    rounds.push(times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0);
  }
  return median(rounds);
}

interface Row {
  open: number;
  'Apache KiB': number;
  'KiB each': string;
  descriptors: number;
  threads: number;
  'worker KiB': number;
  'worker KiB each': string;
}
const rows: Row[] = [];

/** Costs of one are those since the row before. */
function note(count: number): void {
  const apache = httpd.children();
  const [kib, own] = [apacheKiB(), workerKiB()];
  const last = rows.at(-1);
  const each = (now: number, before?: number): string =>
    last === undefined ? '' : ((now - (before ?? 0)) / (count - last.open)).toFixed(2);
  rows.push({
    open: count,
    'Apache KiB': Math.round(kib),
    'KiB each': each(kib, last?.['Apache KiB']),
    descriptors: sum(apache, (pid) => readdirSync(`/proc/${String(pid)}/fd`).length),
    threads: sum(apache, (pid) => Number(statusOf(pid)['Threads'])),
    'worker KiB': Math.round(own),
    'worker KiB each': each(own, last?.['worker KiB']),
  });
}

removeAtEnd(httpd.dir);
await httpd.start();
const release = killGroupAtEnd(httpd.pid);
try {
  // All threads, and the connections to the worker that stay: no cost of what comes after.
  const warm: Socket[] = [];
  for (let i = 0; i < 4; i++) await openAll(port, warm, (i + 1) * 2 * AT_ONCE);
  for (const socket of warm) socket.destroy();
  await waitFor(async () => (await httpd.ask('/')).body.includes('"open":0'));
  const unloaded = await p99();
  note(0);
  const sockets: Socket[] = [];
  const started = performance.now();
  for (const step of STEPS) {
    await openAll(port, sockets, step);
    note(step);
  }
  const seconds = (performance.now() - started) / 1000;
  let closed = 0;
  for (const socket of sockets) socket.on('close', () => closed++);
  console.log(`${String(COUNT)} opened in ${seconds.toFixed(1)} s`);
  console.table(rows);
  console.log(`file, p99: ${unloaded.toFixed(2)} ms; beside them ${(await p99()).toFixed(2)} ms`);
  await echoAll(sockets);
  console.log('all have echoed');
  const old = httpd.children();
  await httpd.graceful();
  if (!values.tls) {
    await waitFor(() => old.every((pid) => !httpd.children().includes(pid)), { timeoutMs: 30_000 });
  }
  await echoAll(sockets);
  console.log(`after graceful: ${String(COUNT - closed)} open, all have echoed`);
  for (const socket of sockets) socket.destroy();
  await waitFor(() => old.every((pid) => !httpd.children().includes(pid)), { timeoutMs: 60_000 });
  console.log('the old children have ended');
} finally {
  await httpd.stop();
  release();
}
