/** The scripts of a worker: loads each once, one after another, and knows the app of each. */
import type { Server } from 'node:http';
import { errorLine, TsgiError } from '../errors.ts';
import type { App } from '../http/app.ts';
import type { BootMessage } from '../ipc/messages.ts';
import { adviseDecorators, adviseEngines } from './advice.ts';
import { runAsMain, runAsOneOfMany } from './entry.ts';
import { classifyFailure } from './failure.ts';
import { describe, describeExports, findApp, type Exports } from './find.ts';
import type { Decision } from './listen.ts';
import { resolveScript, type Entry } from './scripts.ts';
import { chooseRunner, missingFeature, registerTsx, type Runner } from './typescript.ts';

const NOTICE = 5;
const INFO = 6;

/** A script that is being loaded. */
export interface Loading {
  readonly script: string;
  readonly runner: Runner;
  exports: Exports | undefined;
  /** The http server that the app let listen. */
  server: Server | undefined;
  /** The app lets this server listen. */
  hear(server: Server): void;
  /**
   * Waits no longer: fails with the error, unless a server listens already. Then it is served,
   * though the script itself goes on, as with `for await (… of on(server, 'request'))`.
   */
  end(error: TsgiError): void;
}

/** A promise to be settled from outside. Nobody has to wait for it. */
class Deferred {
  resolve!: () => void;
  reject!: (error: Error) => void;
  readonly promise = new Promise<void>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });

  constructor() {
    this.promise.catch(() => undefined);
  }
}

function serverOf({ script, server }: Loading): Server {
  if (server) return server;
  throw new TsgiError(600, { script, reason: 'the wait for an app ended without one' });
}

export interface AppsOptions {
  readonly boot: BootMessage;
  log(level: number, text: string): void;
  /** A file that the configuration does not name decides what is about to be loaded. */
  onLoad(file: string): void;
}

const STILL_EVALUATED = 'unknown, since it is still being evaluated';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class Apps {
  readonly #options: AppsOptions;
  /** By the path that the configuration names. */
  readonly #apps = new Map<string, App>();
  readonly #pending = new Map<string, Promise<App>>();
  readonly #adopted = new Set<Server>();
  #last: Promise<unknown> = Promise.resolve();
  #loading: Loading | undefined;
  #isTsxRegistered = false;

  constructor(options: AppsOptions) {
    this.#options = options;
  }

  /** The script that is being loaded now. */
  get loading(): Loading | undefined {
    return this.#loading;
  }

  /** Servers that the app let listen and that Apache serves. */
  get adopted(): ReadonlySet<Server> {
    return this.#adopted;
  }

  /**
   * Loads an exact set whole. The first script begins to run before this returns.
   * @returns the real paths.
   * @throws TsgiError if one cannot be loaded; what an app throws is uncaught (entry.ts).
   */
  async loadAll(paths: readonly string[]): Promise<string[]> {
    const entries: string[] = [];
    for (const script of paths) {
      const entry = resolveScript(script, this.#options.boot.scripts);
      for (const file of entry.decisive) this.#options.onLoad(file);
      if (entries.length === 0) this.#becomeMain(entry);
      entries.push(entry.path);
      this.#apps.set(script, await this.#load(script, entry.path, true));
    }
    return entries;
  }

  /** The app of a request's script; loads it if it belongs to a pattern and is new. */
  resolve(script: string): App | Promise<App> {
    const app = this.#apps.get(script);
    if (app) return app;
    const { scripts } = this.#options.boot;
    if (scripts.mode === 'exact') {
      throw new TsgiError(606, { script, roots: scripts.paths.join(', ') });
    }
    return this.#pending.get(script) ?? this.#loadLater(script);
  }

  /** For the listen hook: what becomes of an http server that is about to listen. */
  decide(server: Server, where: string): Decision {
    if (this.#adopted.has(server) || this.#ownerOfNext() !== undefined) return 'adopt';
    const script = this.#loading?.script ?? [...this.#apps.keys()].join(', ');
    this.#options.log(NOTICE, errorLine(618, { script, where }));
    return 'real';
  }

  /** For the listen hook: the server is ours from now on. */
  adopt(server: Server): void {
    const script = this.#ownerOfNext();
    this.#adopted.add(server);
    if (this.#loading && !this.#loading.server) {
      this.#loading.hear(server);
    } else if (script !== undefined) {
      this.#apps.set(script, { kind: 'server', server });
    }
  }

  /** The event loop has nothing left while an app is awaited. */
  onIdle(): void {
    const loading = this.#loading;
    if (!loading) return;
    const { script, exports } = loading;
    if (!exports) {
      const never = 'unknown, since its top-level await never ends';
      loading.end(new TsgiError(611, { script, exports: never }));
    } else if (exports.default !== undefined) {
      loading.end(this.#unknownExport(script, exports));
    } else {
      loading.end(new TsgiError(611, { script, exports: describeExports(exports) }));
    }
  }

  /** The script whose app a listen() would be now: one that loads, or a single one that exported. */
  #ownerOfNext(): string | undefined {
    if (this.#loading) return this.#loading.server ? undefined : this.#loading.script;
    if (this.#adopted.size > 0 || this.#apps.size !== 1) return undefined;
    return [...this.#apps.keys()][0];
  }

  #unknownExport(script: string, exports: Exports): TsgiError {
    const came = describe(exports.default);
    const expected =
      'an http server, a function (req, res), an object with fetch(), or an app of Express, Koa or ' +
      'Fastify; or an export named application; or a listen()';
    return new TsgiError(613, { script, came, name: 'default', expected });
  }

  #loadLater(script: string): Promise<App> {
    const load = async (): Promise<App> => {
      const { path } = resolveScript(script, this.#options.boot.scripts);
      this.#options.onLoad(script);
      if (this.#apps.size === 0) process.argv[1] = path;
      const app = await this.#load(script, path, false);
      this.#apps.set(script, app);
      return app;
    };
    const loadOrTell = (): Promise<App> =>
      load().catch((error: unknown) => {
        throw classifyFailure(script, error);
      });
    // Strictly one after another, also after one that failed.
    const promise = this.#last.then(loadOrTell);
    this.#last = promise.catch(() => undefined);
    this.#pending.set(script, promise);
    const forget = (): boolean => this.#pending.delete(script);
    promise.then(forget, forget);
    return promise;
  }

  #becomeMain({ path, directory }: Entry): void {
    process.argv[1] = path;
    // The supervisor has started us there, unless a link was switched meanwhile; and Node's permission
    // model may forbid it.
    const isElsewhere = this.#options.boot.home === undefined && process.cwd() !== directory;
    if (isElsewhere) process.chdir(directory);
  }

  /** Said once, by the first worker. */
  #advise(path: string, runner: Runner): void {
    if (this.#options.boot.slot !== 0) return;
    for (const advice of [adviseEngines(path), adviseDecorators(path, runner)]) {
      if (advice !== undefined) this.#options.log(NOTICE, advice);
    }
  }

  async #load(script: string, path: string, isMain: boolean): Promise<App> {
    const runner = chooseRunner(path, this.#options.boot.forceTsx);
    this.#advise(path, runner);
    if (runner === 'tsx') await this.#useTsx(script);
    const heard = new Deferred();
    const ended = new Deferred();
    const loading: Loading = {
      script,
      runner,
      exports: undefined,
      server: undefined,
      hear(server) {
        loading.server = server;
        heard.resolve();
      },
      end(error) {
        if (loading.server) ended.resolve();
        else ended.reject(error);
      },
    };
    this.#loading = loading;
    const timer = this.#limit(loading, isMain);
    try {
      const run = isMain ? runAsMain(path, runner) : this.#runOneOfMany(script, path, runner);
      loading.exports = (await Promise.race([run, ended.promise])) ?? undefined;
      await turn();
      if (!loading.server && loading.exports) {
        const found = await Promise.race([findApp(loading.exports, script), ended.promise]);
        if (found) return found;
      }
      if (!loading.server) await Promise.race([heard.promise, ended.promise]);
      return { kind: 'server', server: serverOf(loading) };
    } finally {
      clearTimeout(timer);
      this.#loading = undefined;
    }
  }

  /** Ends the wait for an app at startup-timeout: of the process, or of a script loaded later. */
  #limit(loading: Loading, isMain: boolean): NodeJS.Timeout {
    const { startupTimeoutMs } = this.#options.boot;
    const { script } = loading;
    const onTimeout = (): void => {
      const exports = loading.exports ? describeExports(loading.exports) : STILL_EVALUATED;
      loading.end(new TsgiError(612, { script, seconds: startupTimeoutMs / 1000, exports }));
    };
    return setTimeout(onTimeout, startupTimeoutMs - (isMain ? performance.now() : 0)).unref();
  }

  async #runOneOfMany(script: string, path: string, runner: Runner): Promise<Exports> {
    try {
      return await runAsOneOfMany(path);
    } catch (error) {
      if (runner !== 'strip' || missingFeature(error) === undefined) throw error;
    }
    await this.#useTsx(script);
    return runAsOneOfMany(path);
  }

  async #useTsx(script: string): Promise<void> {
    if (this.#isTsxRegistered) return;
    await registerTsx(script, (text) => {
      this.#options.log(INFO, text);
    });
    this.#isTsxRegistered = true;
  }
}
