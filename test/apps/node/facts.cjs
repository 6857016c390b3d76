// Tells what a program can know of its process: as an app, or on stdout where it runs alone. The two
// are compared.
'use strict';
const { execFileSync, fork, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { Worker } = require('node:worker_threads');

/** Kinds of what is open, without what differs from one process to the next. */
const open = `
  const { readdirSync, readlinkSync } = require('node:fs');
  const kinds = [3, 4, 5, 6, 7, 8, 9].flatMap((fd) => {
    try { return [readlinkSync('/proc/self/fd/' + fd).replace(/[:(].*/, '')] } catch { return [] }
  });
  const blocked = require('node:fs').readFileSync('/proc/self/status', 'utf8').match(/^Sig(Blk|Ign):.*/gm);`;

const child = `${open}
  const told = { execArgv: process.execArgv, kinds, blocked, argv: process.argv.length,
    options: process.env.NODE_OPTIONS, uniqueId: process.env.NODE_UNIQUE_ID };
  process.send ? process.send(told) : console.log(JSON.stringify(told));`;

async function childrenOf() {
  const { file, args } = { file: process.execPath, args: ['-e', child] };
  const spawned = JSON.parse(spawnSync(file, args, { encoding: 'utf8' }).stdout);
  const executed = JSON.parse(execFileSync(file, args, { encoding: 'utf8' }));
  const forked = fork(__filename, ['child']);
  const [told] = await once(forked, 'message');
  await once(forked, 'exit');
  return { spawned, executed, forked: told };
}

async function threadOf() {
  const source = `
    const { isMainThread, parentPort, threadId } = require('node:worker_threads');
    const server = require('node:http').createServer((req, res) => res.end('thread'));
    server.listen(0, '127.0.0.1', async () => {
      const { port } = server.address();
      const answer = await (await fetch('http://127.0.0.1:' + port)).text();
      server.close();
      parentPort.postMessage({ isMainThread, answer, argv: process.argv.slice(2),
        execArgv: process.execArgv, title: process.title === '', hasPort: port > 1023 });
    });`;
  const thread = new Worker(source, { eval: true, argv: ['one'] });
  const [told] = await once(thread, 'message');
  await once(thread, 'exit');
  return told;
}

function processFacts() {
  return {
    argv: process.argv.slice(1),
    execArgv: process.execArgv,
    isMain: require.main === module,
    mainModule: process.mainModule === module,
    filename: require.main.filename,
    modulePaths: module.paths.slice(0, 2),
    parent: module.parent ?? null,
    cached: Object.keys(require.cache).filter((file) => file.endsWith('.cjs')),
    globals: Object.keys(globalThis).sort(),
    isTTY: [process.stdin.isTTY, process.stdout.isTTY, process.stderr.isTTY].map(Boolean),
    writable: [process.stdout.writable, process.stderr.writable],
    send: typeof process.send,
    connected: process.connected ?? null,
    channel: process.channel ?? null,
    exitCode: process.exitCode ?? null,
    isPrimary: require('node:cluster').isPrimary,
    sourceMaps: process.sourceMapsEnabled ?? null,
    noDeprecation: process.noDeprecation ?? null,
    features: process.features,
    stackTraceLimit: Error.stackTraceLimit,
    emitter: ['uncaughtException', 'unhandledRejection', 'warning', 'SIGUSR1', 'SIGUSR2', 'SIGHUP', 'SIGINT', 'message']
      .map((name) => [name, process.listenerCount(name)]),
    report: typeof process.report.getReport().header,
    utilization: typeof performance.eventLoopUtilization().utilization,
    cwd: process.cwd(),
  };
}

async function facts() {
  const stdin = await new Promise((resolve) => {
    process.stdin.on('error', (error) => resolve(error.code)).on('end', () => resolve('end')).resume();
  });
  return { ...processFacts(), stdin, children: await childrenOf(), thread: await threadOf() };
}

if (process.argv[2] === 'child') eval(child);
else {
  const told = facts();
  if (process.env.TSGI_HOSTED) {
    require('node:http')
      .createServer(async (req, res) => res.end(JSON.stringify(await told)))
      .listen(3000);
  } else told.then((all) => console.log(JSON.stringify(all)));
}
