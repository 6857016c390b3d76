// npm start [-- --port N]: serves the examples from a private Apache.
//
// From a fresh clone: installs what is missing, builds, starts an Apache with a ServerRoot of
// its own below the temporary directory, waits until every example answers, and stops it on
// Ctrl-C or SIGTERM. Nothing of the system's Apache is read or touched but its files.
import { requireNode } from './lib/node-version.mjs';

requireNode();
const { spawn, spawnSync } = await import('node:child_process');
const fs = await import('node:fs');
const { createServer } = await import('node:net');
const { request } = await import('node:http');
const { tmpdir } = await import('node:os');
const { join } = await import('node:path');
const { parseArgs } = await import('node:util');
const { setTimeout: delay } = await import('node:timers/promises');
const { Failure, main, prepare, root } = await import('./lib/prepare.mjs');
const { findHttpd, loadModules, unprivilegedAccount } = await import('./lib/httpd.mjs');
const { needsStaging, nodeFor, stage } = await import('./lib/stage.mjs');

const startTimeoutMs = 60_000;
const stopTimeoutMs = 15_000;
const ownModules = ['authz_core', 'alias', 'dir', 'env', 'log_config', 'mime', 'unixd'];

/** What is served, for the list that is printed and for the wait until all of it answers. */
const addresses = [
  { name: 'index', path: '/', about: 'static pages' },
  { name: 'hello', path: '/hello', about: 'a TSGI callable' },
  { name: 'mode', path: '/mode', about: 'daemon or embedded mode' },
  { name: 'greet', path: '/greet/hello/world', about: 'a file that also runs alone' },
  { name: 'express', path: '/express/', about: 'an unmodified Express 5 application' },
  { name: 'hono', path: '/hono/', about: 'a fetch handler' },
  { name: 'typescript', path: '/typescript/', about: 'a .ts entry' },
  { name: 'sideapp', path: '/sideapp', about: 'an application beside static pages' },
  {
    name: 'site',
    host: 'site.localhost',
    path: '/',
    about: 'an application at / of a virtual host',
  },
  { name: 'robots', host: 'site.localhost', path: '/robots.txt', about: 'a file beside it' },
];

function parsePort() {
  let values;
  try {
    ({ values } = parseArgs({ options: { port: { type: 'string', default: '8000' } } }));
  } catch (error) {
    throw new Failure(`${error.message}. Usage: npm start -- [--port N]`);
  }
  const port = Number(values.port);
  if (!/^\d+$/.test(values.port) || port < 1 || port > 65_535) {
    throw new Failure(`Expected --port to be a number from 1 to 65535, got "${values.port}".`);
  }
  return port;
}

/** Fails with one sentence when the port cannot be had. */
async function requirePort(port) {
  const server = createServer();
  try {
    await new Promise((resolve, reject) => {
      server.once('error', reject).listen({ port, host: '127.0.0.1', exclusive: true }, resolve);
    });
  } catch (error) {
    if (error.code === 'EADDRINUSE') {
      throw new Failure(
        `Port ${port} on 127.0.0.1 is taken: stop what listens there, or choose another port: npm start -- --port ${port === 8000 ? 8001 : 8000}`,
      );
    }
    throw new Failure(`Port ${port} on 127.0.0.1 cannot be used: ${error.message}.`);
  }
  await new Promise((resolve) => server.close(resolve));
}

/** A directory that the applications' user can look into, whatever the umask. */
function makeRunDirectory(account) {
  let parent = tmpdir();
  if (account) {
    const { uid, gid } = account;
    const open = spawnSync('test', ['-x', parent], { uid, gid, cwd: '/' }).status === 0;
    if (!open) parent = '/var/tmp';
  }
  const directory = fs.mkdtempSync(join(parent, 'mod_tsgi-'));
  fs.chmodSync(directory, 0o755);
  fs.mkdirSync(join(directory, 'tsgi'), { mode: 0o700 });
  return directory;
}

/** A cache for compiled TypeScript: the account's home is often not there, or not its own. */
function makeCache(run, { uid, gid }) {
  const directory = join(run, 'cache');
  fs.mkdirSync(directory, { mode: 0o700 });
  fs.chownSync(directory, uid, gid);
  return directory;
}

/** Fills examples/httpd.conf.in. @returns the path of the configuration */
function writeConfiguration({ httpd, run, port, account, sideAccount }) {
  const base = needsStaging(account) ? join(run, 'staged') : root;
  if (base !== root) stage(base);
  const node = nodeFor(account, run);
  const config = spawnSync(node, [join(base, 'dist/cli.js'), 'module-config'], {
    encoding: 'utf8',
  });
  if (config.status !== 0) throw new Failure(config.stderr.trim());

  const user = (entry) => (entry ? `user=${entry.name} group=${entry.group}` : '');
  const values = {
    RUN: run,
    EXAMPLES: join(base, 'examples'),
    PORT: String(port),
    MODULES: loadModules(httpd, ownModules),
    TSGI: config.stdout.trim(),
    USER: account ? `User ${account.name}\nGroup ${account.group}` : '',
    SITE_USER: user(account),
    SIDE_USER: user(sideAccount),
    CACHE: account ? `env=XDG_CACHE_HOME=${makeCache(run, account)}` : '',
  };
  const template = fs.readFileSync(join(root, 'examples/httpd.conf.in'), 'utf8');
  const text = template
    .replace(/^#.*\n/gm, '')
    .replace(/@([A-Z_]+)@/g, (word, name) => values[name] ?? word);
  const file = join(run, 'httpd.conf');
  fs.writeFileSync(file, text);
  return file;
}

/** Starts httpd so that it ends with this process even if that is killed. */
function startHttpd(httpd, run, file) {
  const args = ['-d', run, '-f', file, '-DFOREGROUND'];
  const setpriv = '/usr/bin/setpriv';
  const command = fs.existsSync(setpriv)
    ? [setpriv, '--pdeathsig', 'TERM', httpd.binary, ...args]
    : [httpd.binary, ...args];
  // A process group of its own: Ctrl-C goes to this process alone, which then stops httpd.
  return spawn(command[0], command.slice(1), {
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

/** One GET. @returns the status, or undefined while nothing listens. */
function status(port, { host, path }) {
  return new Promise((resolve) => {
    const headers = { host: `${host ?? '127.0.0.1'}:${port}` };
    request(
      { host: '127.0.0.1', port, path, headers, agent: false, timeout: 20_000 },
      (response) => {
        response.resume().once('close', () => resolve(response.statusCode));
      },
    )
      .once('timeout', function () {
        this.destroy();
      })
      .once('error', () => resolve(undefined))
      .end();
  });
}

function logTail(run) {
  const file = join(run, 'error.log');
  if (!fs.existsSync(file)) return '';
  // What the requests of the wait below met is but the consequence of what stands here too.
  const lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n');
  const own = lines.filter((line) => !line.includes('[client '));
  return own.slice(-20).join('\n');
}

/** Waits until every address answers with success. */
async function untilServed(port, child, run) {
  const deadline = Date.now() + startTimeoutMs;
  for (const address of addresses) {
    for (;;) {
      const answered = await status(port, address);
      if (answered !== undefined && answered < 400) break;
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Failure(`${logTail(run)}\nApache ended instead of serving; its log is above.`);
      }
      if (Date.now() > deadline) {
        throw new Failure(
          `${logTail(run)}\n${address.path} answers ${answered ?? 'nothing'}; Apache's log is above.`,
        );
      }
      await delay(100);
    }
  }
}

function printAddresses(port, run) {
  console.log('\nmod_tsgi serves the examples from a private Apache:\n');
  for (const { name, host = '127.0.0.1', path, about } of addresses) {
    console.log(`  ${name.padEnd(11)}${about}`);
    console.log(`  ${' '.repeat(11)}curl http://${host}:${port}${path}`);
  }
  console.log(`\nLogs: ${run}/error.log, ${run}/access.log`);
  console.log('Ctrl-C stops it.');
}

/** SIGTERM, then SIGKILL if it does not go. */
async function stopHttpd(child) {
  const gone = new Promise((resolve) => child.once('exit', resolve));
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const late = new AbortController();
  const killed = delay(stopTimeoutMs, undefined, { signal: late.signal })
    .then(() => child.kill('SIGKILL'))
    .catch(() => undefined);
  await gone;
  late.abort();
  await killed;
}

await main(async () => {
  const port = parsePort();
  await requirePort(port);
  prepare();

  const isRoot = process.getuid() === 0;
  const account = isRoot ? unprivilegedAccount('www-data', 'apache', 'nobody') : undefined;
  const sideAccount = isRoot ? unprivilegedAccount('nobody', 'daemon') : undefined;
  const httpd = findHttpd();
  const run = makeRunDirectory(account);
  let child;
  const stopped = new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, resolve);
  });
  try {
    child = startHttpd(httpd, run, writeConfiguration({ httpd, run, port, account, sideAccount }));
    const ended = new Promise((resolve, reject) => {
      child.once('error', (error) =>
        reject(new Failure(`Apache did not start: ${error.message}.`)),
      );
      child.once('exit', () => resolve('ended'));
    });
    const served = untilServed(port, child, run).then(() => printAddresses(port, run));
    // Whichever of these loses the race may still fail, when nobody waits for it any more.
    served.catch(() => undefined);
    ended.catch(() => undefined);
    const first = await Promise.race([stopped, served.then(() => Promise.race([stopped, ended]))]);
    if (first === 'ended')
      throw new Failure(`${logTail(run)}\nApache has ended; its log is above.`);
    console.log('\nStopping Apache.');
  } finally {
    if (child?.pid !== undefined) await stopHttpd(child);
    fs.rmSync(run, { recursive: true, force: true });
  }
});
