/**
 * A private Apache httpd for one suite: its own ServerRoot, port and logs; nothing of the system's Apache
 * is read or touched but its binary and modules.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask, raw, type Answer, type Ask, type RawConnection } from './client.ts';
import { ErrorLog } from './errorlog.ts';
import { isRoot, nodeInUse, place } from './place.ts';
import { descendants, listensTcp, processOf, type Process } from './processes.ts';
import { expectNoReports, sanitizedEnvironment, sanitizedNode } from './sanitizer.ts';
import { waitFor } from './wait.ts';

export type Mpm = 'event' | 'worker' | 'prefork';

export interface HttpdOptions {
  /** The part of the configuration that the suite is about. `@PORT@`, `@ROOT@` and `@APPS@` are replaced. */
  readonly config: string;
  readonly mpm?: Mpm;
  /** TSGINode; otherwise TSGI_TEST_NODE or the one that runs the tests. An ordinary user must be able to execute it. */
  readonly node?: string;
  /** Start it as root (for suites where users switch); otherwise as an ordinary user. */
  readonly asRoot?: boolean;
  /** Further modules by name, e.g. 'ssl'. */
  readonly modules?: readonly string[];
  readonly logLevel?: string;
  /** Replaces the harness's few children and threads. */
  readonly limits?: string;
  /** Off for benchmarks. */
  readonly accessLog?: boolean;
  /** Off for a server without mod_tsgi, to compare with. */
  readonly tsgi?: boolean;
  /** Further variables in httpd's environment. */
  readonly environment?: Readonly<NodeJS.ProcessEnv>;
}

const MODULES =
  'authn_core authz_core authz_host authz_user authn_file auth_basic mime dir alias env setenvif rewrite headers filter deflate include reqtimeout'.split(
    ' ',
  );

function findHttpd(): { binary: string; modules: string } {
  const candidates = [
    ['/usr/sbin/apache2', '/usr/lib/apache2/modules'],
    ['/usr/sbin/httpd', '/usr/lib64/httpd/modules'],
  ] as const;
  const found = candidates.find(([binary]) => existsSync(binary));
  if (!found) throw new Error('expected Apache httpd at /usr/sbin/apache2; run scripts/setup.sh');
  return { binary: found[0], modules: found[1] };
}
const installed = findHttpd();
const compiledIn = execFileSync(installed.binary, ['-l'], { encoding: 'utf8' });

/** An account without rights for what must not be root. */
export const ordinary = { name: 'nobody', uid: 65534, gid: 65534 };

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

function loadModules(mpm: Mpm, extra: readonly string[]): string {
  return [`mpm_${mpm}`, ...MODULES, ...extra]
    .filter((name) => !compiledIn.includes(`mod_${name}.c`) && !compiledIn.includes(`${name}.c`))
    .map((name) => `LoadModule ${name}_module ${installed.modules}/mod_${name}.so`)
    .join('\n');
}

function loadTsgi({ node }: HttpdOptions, dir: string): string {
  return `LoadModule tsgi_module "${place()}/dist/mod_tsgi.so"
TSGIRuntimeDir "${dir}/run"
TSGINode "${sanitizedNode(dir, node ?? nodeInUse)}"`;
}

function frame(o: HttpdOptions, dir: string, port: number): string {
  const mpm = o.mpm ?? 'event';
  const users = o.asRoot ? `User www-data\nGroup www-data\n` : '';
  const limits =
    o.limits ??
    (mpm === 'prefork'
      ? 'StartServers 4\nMinSpareServers 2\nMaxRequestWorkers 16\n'
      : 'StartServers 2\nServerLimit 8\nThreadsPerChild 16\nThreadLimit 16\nMaxRequestWorkers 48\nMinSpareThreads 16\nMaxSpareThreads 48\n');
  return `ServerRoot "${dir}"
DefaultRuntimeDir "${dir}/run"
PidFile "${dir}/httpd.pid"
Listen 127.0.0.1:${String(port)}
ServerName localhost:${String(port)}
${loadModules(mpm, o.modules ?? [])}
${o.tsgi === false ? '' : loadTsgi(o, dir)}
${users}${limits}
ErrorLog "${dir}/error.log"
LogLevel ${o.logLevel ?? (process.env['TSGI_TRACE'] ? 'info tsgi:trace4' : 'info')}
LogFormat "%m %U%q %>s %B %{TSGI_REQUEST_ID}e" test
${o.accessLog === false ? '' : `CustomLog "${dir}/access.log" test`}
DocumentRoot "${dir}/htdocs"
TypesConfig /dev/null
AddType text/html .html
AddType text/plain .txt
<Directory />
  AllowOverride None
  Require all granted
</Directory>
`;
}

export class Httpd {
  readonly port: number;
  /** ServerRoot. Suites may write into it; it goes with the server. */
  readonly dir: string;
  readonly log: ErrorLog;
  readonly #options: HttpdOptions;
  readonly #environment: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;
  /** Those that run; none is left behind, however the suite ends. */
  static readonly #running = new Set<Httpd>();
  #exited: Promise<number | null> = Promise.resolve(null);
  #output = '';

  static {
    process.on('exit', () => {
      for (const httpd of Httpd.#running) httpd.#kill();
    });
  }

  private constructor(options: HttpdOptions, port: number) {
    this.#options = options;
    this.port = port;
    this.dir = mkdtempSync(join(tmpdir(), 'tsgi-httpd-'));
    execFileSync('chmod', ['755', this.dir]);
    mkdirSync(join(this.dir, 'run'));
    mkdirSync(join(this.dir, 'htdocs'));
    mkdirSync(join(this.dir, 'apps'));
    this.#environment = { ...sanitizedEnvironment(this.dir), ...options.environment };
    this.log = new ErrorLog(join(this.dir, 'error.log'));
    this.configure(options.config);
    if (isRoot && !options.asRoot) {
      for (const sub of ['', 'run', 'htdocs', 'apps', 'httpd.conf']) {
        chownSync(join(this.dir, sub), ordinary.uid, ordinary.gid);
      }
    }
  }

  /** Makes the directory and the configuration; starts nothing. */
  static async prepare(options: HttpdOptions): Promise<Httpd> {
    if (options.asRoot && !isRoot)
      throw new Error('this suite needs root; it must not be defined without');
    return new Httpd(options, await freePort());
  }

  /** Makes one and starts it; resolves when it accepts connections. */
  static async start(options: HttpdOptions): Promise<Httpd> {
    const httpd = await Httpd.prepare(options);
    await httpd.start();
    return httpd;
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error('httpd is not running');
    return this.#child.pid;
  }

  get #identity(): { uid?: number; gid?: number } {
    return isRoot && !this.#options.asRoot ? { uid: ordinary.uid, gid: ordinary.gid } : {};
  }

  /** Replaces the suite's part of the configuration (takes effect at start, graceful or restart). */
  configure(config: string): void {
    const text = (frame(this.#options, this.dir, this.port) + config)
      .replaceAll('@PORT@', String(this.port))
      .replaceAll('@ROOT@', this.dir)
      .replaceAll('@PLACE@', place())
      .replaceAll('@APPS@', join(place(), 'test', 'apps'));
    writeFileSync(join(this.dir, 'httpd.conf'), text);
  }

  /** Writes an app (or any file) below <dir>/apps and returns its path. */
  write(name: string, text: string): string {
    const path = join(this.dir, 'apps', name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** `apachectl configtest`: exit status and everything it printed. */
  configtest(): { status: number | null; output: string } {
    const args = ['-t', '-d', this.dir, '-f', join(this.dir, 'httpd.conf')];
    const { status, stdout, stderr } = spawnSync(installed.binary, args, {
      encoding: 'utf8',
      env: this.#environment,
      ...this.#identity,
    });
    return { status, output: stdout + stderr };
  }

  async start(args: readonly string[] = ['-DFOREGROUND']): Promise<void> {
    const child = spawn(
      installed.binary,
      ['-d', this.dir, '-f', join(this.dir, 'httpd.conf'), ...args],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
        env: this.#environment,
        ...this.#identity,
      },
    );
    this.#child = child;
    Httpd.#running.add(this);
    this.#output = '';
    const keep = (data: Buffer): void => {
      this.#output += data.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    this.#exited = new Promise((resolve) => child.on('exit', resolve));
    await waitFor(
      async () => {
        if (child.exitCode !== null) return true;
        const { socket } = await raw(this.port, '');
        socket.destroy();
        return true;
      },
      { what: 'a listening httpd', timeoutMs: 20_000 },
    );
    if (child.exitCode !== null) {
      throw new Error(`httpd did not start:\n${this.#output}\n${this.log.tail()}`);
    }
  }

  /** Everything below httpd: its children, supervisors, workers, `tsgi: log`. */
  processes(title?: RegExp): Process[] {
    const all = descendants(this.pid);
    return title ? all.filter((p) => title.test(p.title)) : all;
  }

  /** Pids of Apache's children, those of an older generation of httpd among them. */
  children(): number[] {
    // By the name of their program: a supervisor is a child, too, and has no title at first.
    return this.processes(/^\S*(apache2|httpd)( |$)/)
      .filter(({ ppid }) => ppid === this.pid)
      .map(({ pid }) => pid);
  }

  /** Sends a signal to the Apache parent. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** `apachectl graceful`; resolves when the new generation of httpd is in place, and alone takes connections. */
  async graceful(signal: NodeJS.Signals = 'SIGUSR1'): Promise<void> {
    // In the order event, worker, prefork: the signal was received; normal operation goes on.
    const received = /AH0049[34]|AH0029[78]|AH0017[13]/;
    const resumed = /AH00489|AH00292|AH00163/;
    const count = (): number =>
      this.log.matching(received).length + this.log.matching(resumed).length;
    const before = count();
    const old = this.children();
    this.signal(signal);
    await waitFor(() => count() >= before + 2, {
      what: 'the end of the restart',
    });
    // Those that serve on what they have accepted stop accepting a moment later.
    await waitFor(() => !old.some(listensTcp), { what: 'old children that accept no more' });
  }

  ask(path: string, options?: Ask): Promise<Answer> {
    return ask(this.port, path, options);
  }

  raw(bytes: string | Uint8Array): Promise<RawConnection> {
    return raw(this.port, bytes);
  }

  /** The exit status of httpd, when it has gone. */
  get exited(): Promise<number | null> {
    return this.#exited;
  }

  /**
   * Stops it (SIGTERM), waits until it and everything below it has gone, and checks the error log.
   * @throws Error for a process that stays behind or an unannounced log line.
   */
  async stop({
    signal = 'SIGTERM',
    keep = false,
  }: { signal?: NodeJS.Signals; keep?: boolean } = {}): Promise<void> {
    const child = this.#child;
    try {
      if (child?.exitCode === null && child.signalCode === null) {
        const below = descendants(this.pid);
        process.kill(this.pid, signal);
        await waitFor(() => child.exitCode !== null || child.signalCode !== null, {
          what: `the end of httpd\n${this.log.tail()}`,
          timeoutMs: 20_000,
        });
        await waitFor(() => below.every((p) => processOf(p.pid)?.title !== p.title), {
          what: `the end of ${below
            .filter((p) => processOf(p.pid)?.title === p.title)
            .map((p) => `${String(p.pid)} ${p.title}`)
            .join(', ')}`,
          timeoutMs: 6000,
        });
      }
      expectNoReports(this.dir);
      this.log.expectClean();
    } finally {
      this.#child = undefined;
      Httpd.#running.delete(this);
      if (!keep && !process.env['TSGI_KEEP']) rmSync(this.dir, { recursive: true, force: true });
    }
  }

  #kill(): void {
    const child = this.#child;
    try {
      if (child?.exitCode !== null || child.signalCode !== null) return;
      for (const pid of [this.pid, ...this.processes().map((below) => below.pid)]) {
        process.kill(pid, 'SIGKILL');
      }
    } catch {
      // It has ended meanwhile.
    } finally {
      rmSync(this.dir, { recursive: true, force: true });
    }
  }
}
