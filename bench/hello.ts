/**
 * Server CPU per request and requests/s for a 13-byte answer: mod_tsgi beside mod_proxy_http to node:http on a
 * unix socket and a static file, in one run, rounds interleaved, medians.
 *
 *   npm run bench -- hello [--seconds 4 --rounds 3 --connections 16]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Httpd } from '../test/harness/httpd.ts';
import { waitFor } from '../test/harness/wait.ts';
import { cpuMicros, median, sum, table, tree, wrk, type Load } from './lib.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    connections: { type: 'string', default: '16' },
  },
});
const [seconds, rounds, connections] = [values.seconds, values.rounds, values.connections].map(
  Number,
) as [number, number, number];

const serverSource = `
const http = require('node:http');
const server = http.createServer((req, res) => {
  res.setHeader('Content-Type', 'text/plain');
  res.end('Hello, world!');
});
server.keepAliveTimeout = 600_000; // mod_proxy loses requests when node closes an idle connection first
if (process.argv[2] !== undefined) server.listen(process.argv[2], () => { require('node:fs').chmodSync(process.argv[2], 0o777); console.log('ready'); });
else server.listen(3000);
`;
const callableSource = `
exports.application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return 'Hello, world!';
};
`;

const httpd = await Httpd.prepare({
  modules: ['proxy', 'proxy_http'],
  logLevel: 'warn',
  accessLog: false,
  limits:
    'StartServers 2\nServerLimit 2\nThreadsPerChild 64\nThreadLimit 64\nMaxRequestWorkers 128\nMinSpareThreads 1\nMaxSpareThreads 128\nMaxKeepAliveRequests 0\n',
  config: `
TSGIDaemonProcess callable
TSGIDaemonProcess server
TSGIScriptAlias /callable @ROOT@/apps/callable.js process-group=callable
TSGIScriptAlias /server @ROOT@/apps/server.js process-group=server
ProxyPass /proxy unix:@ROOT@/apps/node.sock|http://localhost/
`,
});
httpd.write('server.js', serverSource);
httpd.write('callable.js', callableSource);
writeFileSync(`${httpd.dir}/htdocs/hello.txt`, 'Hello, world!');
chmodSync(`${httpd.dir}/apps`, 0o777);
const backend = spawn(
  process.execPath,
  [`${httpd.dir}/apps/server.js`, `${httpd.dir}/apps/node.sock`],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
await once(backend.stdout, 'data');
await httpd.start();
const url = (path: string) => `http://127.0.0.1:${String(httpd.port)}${path}`;
const node = (title: RegExp) => httpd.processes(title).map((p) => p.pid);

interface Contender {
  readonly name: string;
  readonly path: string;
  back(): number[];
}
const contenders: Contender[] = [
  { name: 'static file', path: '/hello.txt', back: () => [] },
  { name: 'mod_proxy_http, unix socket', path: '/proxy', back: () => [backend.pid ?? 0] },
  {
    name: 'mod_tsgi, (req, res)',
    path: '/server',
    back: () => node(/^tsgi: (worker|supervisor) server/),
  },
  {
    name: 'mod_tsgi, callable',
    path: '/callable',
    back: () => node(/^tsgi: (worker|supervisor) callable/),
  },
];
interface Sample extends Load {
  readonly front: number;
  readonly back: number;
}
const samples = new Map<string, Sample[]>(contenders.map((c) => [c.name, []]));

try {
  for (const { path } of contenders) {
    await waitFor(async () => (await httpd.ask(path)).status === 200);
    await wrk(url(path), connections, 1);
  }
  for (let round = 0; round < rounds; round++) {
    for (const contender of contenders) {
      const back = contender.back();
      const front = tree(httpd.pid).filter(
        (pid) => !httpd.processes(/^tsgi: /).some((p) => p.pid === pid),
      );
      const before = [sum(front, cpuMicros), sum(back, cpuMicros)] as const;
      const load = await wrk(url(contender.path), connections, seconds);
      if (load.errors > 0) throw new Error(`${contender.name}: ${String(load.errors)} errors`);
      samples.get(contender.name)?.push({
        ...load,
        front: (sum(front, cpuMicros) - before[0]) / load.requests,
        back: (sum(back, cpuMicros) - before[1]) / load.requests,
      });
    }
  }
} finally {
  backend.kill();
  await httpd.stop();
}

const result = contenders.map(({ name }) => {
  const all = samples.get(name) ?? [];
  const of = (pick: (s: Sample) => number) => median(all.map(pick));
  return {
    name,
    perSecond: of((s) => s.perSecond),
    front: of((s) => s.front),
    back: of((s) => s.back),
    cpu: of((s) => s.front + s.back),
    p50: of((s) => s.p50Us),
    p99: of((s) => s.p99Us),
  };
});
const proxy = result.find((r) => r.name.startsWith('mod_proxy'));
console.log(
  `\nhello, ${String(connections)} connections, ${String(rounds)} rounds of ${String(seconds)} s, medians; node ${process.version}\n`,
);
console.log(
  table(
    ['', 'CPU µs', 'front', 'back', 'req/s', 'p50 µs', 'p99 µs', 'CPU / mod_proxy'],
    result.map((r) => [
      r.name,
      r.cpu.toFixed(1),
      r.front.toFixed(1),
      r.back.toFixed(1),
      r.perSecond.toFixed(0),
      r.p50.toFixed(0),
      r.p99.toFixed(0),
      (r.cpu / (proxy?.cpu ?? NaN)).toFixed(2),
    ]),
  ),
);
