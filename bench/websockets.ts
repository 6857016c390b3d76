/**
 * Many idle WebSockets that were handed over: what they cost Apache and the worker, whether each echoes,
 * and whether they live through `apachectl graceful`. `npm run bench -- websockets [how many]`.
 */
import { readdirSync } from 'node:fs';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Httpd } from '../test/harness/httpd.ts';
import { app } from '../test/harness/place.ts';
import { waitFor } from '../test/harness/wait.ts';
import { killGroupAtEnd, removeAtEnd } from './ending.ts';
import { pssMiB } from './proc.ts';

const COUNT = Number(process.argv[2] ?? 10_000);
const AT_ONCE = 50;
const HEAD = `GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;
/** A text frame "hi", masked with zeros. */
const HI = Buffer.from('8182000000006869', 'hex');
const ECHO = '\x81\x02hi';

async function open(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  await once(socket, 'connect');
  socket.write(HEAD);
  const [head] = (await once(socket, 'data')) as [Buffer];
  if (!head.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(head.toString());
  return socket;
}

async function echo(socket: Socket): Promise<void> {
  socket.write(HI);
  const [data] = (await once(socket, 'data')) as [Buffer];
  if (data.toString('latin1') !== ECHO) throw new Error('not echoed');
}

async function all<T>(count: number, one: (i: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let i = 0; i < count; i += AT_ONCE) {
    const part = Math.min(AT_ONCE, count - i);
    results.push(...(await Promise.all(Array.from({ length: part }, (_, k) => one(i + k)))));
  }
  return results;
}

const httpd = await Httpd.start({
  limits:
    'StartServers 2\nServerLimit 2\nThreadsPerChild 64\nThreadLimit 64\nMaxRequestWorkers 128\nMinSpareThreads 1\nMaxSpareThreads 128\n',
  config: `Alias /static @ROOT@/htdocs\nTSGIDaemonProcess site\nTSGIScriptAlias / ${app('upgrade.js')} process-group=site\n`,
  accessLog: false,
});
httpd.write('../htdocs/hello.txt', 'hello');

removeAtEnd(httpd.dir);
const release = killGroupAtEnd(httpd.pid);

const children = (): number[] =>
  httpd
    .processes()
    .filter(({ ppid, title }) => ppid === httpd.pid && !title.includes('tsgi:'))
    .map(({ pid }) => pid);
const worker = (): number => httpd.processes(/^tsgi: worker/)[0]?.pid ?? 0;

function show(what: string): void {
  const apache = children();
  const memory = apache.reduce((sum, pid) => sum + pssMiB(pid), 0);
  const fds = apache.reduce((sum, pid) => sum + readdirSync(`/proc/${String(pid)}/fd`).length, 0);
  console.log(
    `${what}: Apache's children (${String(apache.length)}) PSS ${memory.toFixed(1)} MiB, ${String(fds)} descriptors; worker PSS ${pssMiB(worker()).toFixed(1)} MiB`,
  );
}

async function p99(): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 500; i++) {
    const start = performance.now();
    await httpd.ask('/static/hello.txt');
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
}

try {
  const warm = await all(AT_ONCE, () => open(httpd.port));
  for (const socket of warm) socket.destroy();
  await waitFor(async () => (await httpd.ask('/')).body.includes('"open":0'));
  const unloaded = await p99();
  show('before');
  const before = pssMiB(worker());
  const started = performance.now();
  const sockets = await all(COUNT, () => open(httpd.port));
  console.log(`${String(COUNT)} opened in ${String(Math.round(performance.now() - started))} ms`);
  let closed = 0;
  for (const socket of sockets) socket.on('close', () => closed++);
  show('open');
  console.log(`worker: ${(((pssMiB(worker()) - before) * 1024) / COUNT).toFixed(1)} KiB a socket`);
  console.log(
    `static p99: ${unloaded.toFixed(2)} ms unloaded, ${(await p99()).toFixed(2)} ms beside them`,
  );
  const old = children();
  await httpd.graceful();
  await waitFor(() => old.every((pid) => !children().includes(pid)), { timeoutMs: 30_000 });
  await all(COUNT, async (i) => {
    const socket = sockets[i];
    if (socket !== undefined) await echo(socket);
  });
  console.log(`after graceful: ${String(COUNT - closed)} open, all have echoed`);
  for (const socket of sockets) socket.destroy();
} finally {
  await httpd.stop();
  release();
}
