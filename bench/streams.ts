/**
 * Large bodies up and down, hashed on both ends, with the memory that they cost; and how long the first event of a
 * stream takes.
 *
 *   npm run bench -- streams [--gib 1 --events 200 --transports http,tls,h2c,h2 --apps server,callable]
 */
import { once } from 'node:events';
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as http2Connect, type ClientHttp2Session } from 'node:http2';
import { Agent as TlsAgent, request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { blocks, download, sum, upload, type Transport } from '../test/harness/bulk.ts';
import { freePort, Httpd } from '../test/harness/httpd.ts';
import { statusOf } from '../test/harness/processes.ts';
import { makeCertificate, tlsHost, tlsModules } from '../test/harness/tls.ts';
import { median, table } from './stats.ts';

const { values } = parseArgs({
  options: {
    gib: { type: 'string', default: '1' },
    events: { type: 'string', default: '200' },
    transports: { type: 'string', default: 'http,tls,h2c,h2' },
    apps: { type: 'string', default: 'server,callable' },
  },
});
const sizes = values.gib.split(',').map((gib) => Number(gib) * 1024 ** 3);
const count = Number(values.events);
const transports = (['http', 'tls', 'h2c', 'h2'] satisfies Transport[]).filter((name) =>
  values.transports.split(',').includes(name),
);

const tlsPort = await freePort();
const httpd = await Httpd.prepare({
  modules: tlsModules,
  logLevel: 'warn',
  accessLog: false,
  limits:
    'StartServers 1\nServerLimit 1\nThreadsPerChild 64\nThreadLimit 64\nMaxRequestWorkers 64\n',
  config: `
Protocols h2 h2c http/1.1
LimitRequestBody 0
TSGIDaemonProcess server
TSGIDaemonProcess callable
TSGIDaemonProcess events
TSGIScriptAlias /server @APPS@/bulk.cjs process-group=server
TSGIScriptAlias /callable @APPS@/bulk-callable.cjs process-group=callable
TSGIScriptAlias /events @APPS@/events.cjs process-group=events
${tlsHost(tlsPort)}
`,
});

const isTls = (transport: Transport): boolean => transport === 'tls' || transport === 'h2';
const portOf = (transport: Transport): number => (isTls(transport) ? tlsPort : httpd.port);

/** Most memory that the processes have ever had in RAM, in MiB: Apache's child, the app's worker. */
function peaks(app: string): [number, number] {
  const all = httpd.processes();
  const child = all.find(({ ppid, title }) => ppid === httpd.pid && !title.includes('tsgi:'));
  const worker = all.find(({ title }) => title === `tsgi: worker ${app}/0`);
  return [child, worker].map(
    (p) => parseInt(statusOf(p?.pid ?? NaN)['VmHWM'] ?? '', 10) / 1024,
  ) as [number, number];
}

async function bodies(): Promise<void> {
  const rows: string[][] = [];
  for (const bytes of sizes) {
    const expected = await sum(blocks(bytes));
    for (const transport of transports) {
      for (const app of values.apps.split(',')) {
        for (const way of ['down', 'up']) {
          const path = `/${app}/?bytes=${String(bytes)}`;
          await download({ transport, port: portOf(transport), path: `/${app}/?bytes=1` });
          const route = { transport, port: portOf(transport), path };
          const before = peaks(app);
          const start = performance.now();
          const came = way === 'down' ? await download(route) : await upload(route, bytes);
          const seconds = (performance.now() - start) / 1000;
          const after = peaks(app);
          rows.push([
            `${String(bytes / 1024 ** 3)} GiB ${way}, ${app}, ${transport}`,
            came === expected ? 'equal' : 'DIFFERENT',
            (bytes / 1024 ** 2 / seconds).toFixed(0),
            ...after.map((peak, i) => (peak - (before[i] ?? NaN)).toFixed(1)),
          ]);
          console.error(rows.at(-1)?.join('  '));
        }
      }
    }
  }
  console.log(table(['', 'SHA-256', 'MiB/s', 'Apache +MiB', 'worker +MiB'], rows));
}

/** Milliseconds from the request to its first event: with a new connection each time over HTTP/1.1 and TLS. */
async function firstEvent(open: () => Promise<Readable>): Promise<number> {
  const start = performance.now();
  const stream = await open();
  await once(stream, 'data');
  const time = performance.now() - start;
  stream.destroy();
  return time;
}

function opener(transport: Transport, session: ClientHttp2Session | undefined) {
  const path = '/events/?id=x';
  if (session !== undefined) {
    return (): Promise<Readable> => Promise.resolve(session.request({ ':path': path }).end());
  }
  const where = { host: '127.0.0.1', port: portOf(transport), path };
  return async (): Promise<Readable> => {
    const req = isTls(transport)
      ? httpsRequest({ ...where, rejectUnauthorized: false, agent: new TlsAgent() })
      : httpRequest({ ...where, agent: new Agent() });
    req.end();
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    return res;
  };
}

async function events(): Promise<void> {
  const rows: string[][] = [];
  for (const transport of transports) {
    const origin = `${isTls(transport) ? 'https' : 'http'}://127.0.0.1:${String(portOf(transport))}`;
    const session = transport.startsWith('h2')
      ? http2Connect(origin, { rejectUnauthorized: false })
      : undefined;
    const open = opener(transport, session);
    const times: number[] = [];
    for (let i = 0; i < count; i++) times.push(await firstEvent(open));
    session?.destroy();
    times.sort((a, b) => a - b);
    const at = (part: number): string => (times[Math.floor(count * part)] ?? NaN).toFixed(1);
    rows.push([transport, median(times).toFixed(1), at(0.99), at(1 - 1 / count)]);
  }
  console.log(table(['first event, ms', 'p50', 'p99', 'max'], rows));
}

makeCertificate(httpd);
await httpd.start();
try {
  await httpd.ask('/events/go?id=nobody'); // the worker is up
  await events();
  await bodies();
} finally {
  await httpd.stop();
}
