/** The scripts of a worker: loads each once, one after another, and knows the app of each. */
import type { Server } from 'node:http';
import type { Server as NetServer } from 'node:net';
import { errorLine, TsgiError } from '../errors.ts';
import type { App } from '../http/app.ts';
import type { BootMessage, ScriptSet } from '../ipc/messages.ts';
import { adviseDecorators, adviseEngines } from './advice.ts';
import { runAsMain, runAsOneOfMany } from './entry.ts';
import { classifyFailure, headline } from './failure.ts';
import { checkHandlers, describe, describeExports, findApp, type Exports } from './find.ts';
import type { Decision } from './listen.ts';
import { LoadingScript, type Loading } from './loading.ts';
import { describePlace, type Place } from './place.ts';
import { resolveScript, type Entry } from './scripts.ts';
import { Servers } from './servers.ts';
import { chooseRunner, missingFeature, registerTsx, type Runner } from './typescript.ts';

const ERROR = 3;
const NOTICE = 5;
const INFO = 6;

export interface AppsOptions {
  readonly boot: BootMessage;
  log(level: number, text: string): void;
  /** A file that the configuration does not name decides what is about to be loaded. */
  onLoad(file: string): void;
}

const STILL_EVALUATED = 'unknown, since it is still being evaluated';

function exactly(path: string): ScriptSet {
  return { mode: 'exact', paths: [path] };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class Apps {
  readonly #options: AppsOptions;
  /** By the path that the configuration names. */
  readonly #apps = new Map<string, App>();
  readonly #pending = new Map<string, Promise<App>>();
  readonly #adopted = new Set<Server>();
  readonly #servers = new Servers();
  #last: Promise<unknown> = Promise.resolve();
  #loading: LoadingScript | undefined;
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
    const { scripts, clusterFork } = this.#options.boot;
    for (const script of paths) {
      const entry = resolveScript(script, scripts);
      for (const file of entry.decisive) this.#options.onLoad(file);
      const exec = entries.length === 0 ? clusterFork?.exec : undefined;
      // Named by the script that the configuration names; the other checks are the same.
      const main = exec === undefined ? entry.path : resolveScript(exec, exactly(exec)).path;
      if (entries.length === 0) this.#becomeMain(main, entry);
      entries.push(entry.path);
      this.#apps.set(script, await this.#load(script, main, true));
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

  /** For the listen hook: whether a server whose listen() is called is the app of a script. */
  claim(server: Server, port: number | undefined): boolean {
    const { listenPort } = this.#options.boot;
    if (listenPort !== undefined && port !== listenPort) return false;
    const script = this.#servers.scriptOf(server) ?? this.#ownerOfNext();
    if (script !== undefined) this.#servers.claim(server, script);
    return script !== undefined;
  }

  isClaimed(server: Server): boolean {
    return this.#servers.has(server);
  }

  /** For the listen hook: the script that lets a server listen. */
  scriptOf(server: NetServer): string | undefined {
    return this.#servers.scriptOf(server) ?? this.#loading?.script;
  }

  /** A claimed server does not listen after all. */
  release(server: Server): void {
    this.#servers.release(server);
  }

  /** For the listen hook: what becomes of another http server. */
  decide(place: Place): Decision {
    const script = this.#scriptOfNow();
    const where = describePlace(place);
    if (this.#servers.isServedAt(place.port)) {
      this.#options.log(INFO, errorLine(624, { script, where }));
      return 'beside';
    }
    const { listenPort } = this.#options.boot;
    const served =
      listenPort === undefined ? 'the first one' : `the one on port ${String(listenPort)}`;
    this.#loading?.elsewhere.push(where);
    this.#options.log(NOTICE, errorLine(618, { script, where, served }));
    return 'real';
  }

  /** For the listen hook: a port may not be bound. */
  deny(place: Place): void {
    const details = { script: this.#scriptOfNow(), where: describePlace(place) };
    this.#options.log(NOTICE, errorLine(625, details));
  }

  /** For the listen hook: a server is ours from now on. */
  adopt(server: Server, port: number): void {
    this.#adopted.add(server);
    const script = this.#servers.listens(server, port);
    if (script === undefined) return;
    if (this.#loading?.script === script) this.#loading.hear(server);
    else this.#takeOver(script, server);
  }

  /** For the listen hook. @returns the script whose app closes; undefined: it was none. */
  close(server: Server): string | undefined {
    this.#adopted.delete(server);
    const script = this.#servers.close(server);
    if (script !== undefined && this.#loading?.script === script) this.#loading.unhear();
    return script;
  }

  /** The script's app listens, or is about to. */
  isServed(script: string): boolean {
    return this.#servers.serves(script);
  }

  /** The event loop has nothing left while an app is awaited. */
  onIdle(): void {
    const loading = this.#loading;
    if (!loading) return;
    const { script, exports } = loading;
    if (loading.elsewhere.length > 0) {
      loading.end(this.#listensElsewhere(loading));
    } else if (!exports) {
      const never = 'unknown, since its top-level await never ends';
      loading.end(new TsgiError(611, { script, exports: never }));
    } else if (exports.default !== undefined) {
      loading.end(this.#unknownExport(script, exports));
    } else {
      loading.end(new TsgiError(611, { script, exports: describeExports(exports) }));
    }
  }

  /** The script whose app a listen() would be now: one that loads, or that has lost its server. */
  #ownerOfNext(): string | undefined {
    const loading = this.#loading?.script;
    if (loading !== undefined) return this.#servers.serves(loading) ? undefined : loading;
    const [script] = this.#apps.keys();
    if (script !== undefined && this.#apps.size === 1) {
      return this.#servers.serves(script) ? undefined : script;
    }
    const closed = this.#servers.closedOf(this.#apps.keys());
    return closed.length === 1 ? closed[0] : undefined;
  }

  #scriptOfNow(): string {
    return this.#loading?.script ?? [...this.#apps.keys()].join(', ');
  }

  /** A later listen(): the app that was found before is served no more. */
  #takeOver(script: string, server: Server): void {
    this.#apps.set(script, { kind: 'server', server });
    try {
      checkHandlers(server, script);
    } catch (error) {
      this.#options.log(ERROR, headline(error));
    }
  }

  #listensElsewhere({ script, elsewhere }: Loading): TsgiError {
    const { listenPort: port = 0 } = this.#options.boot;
    return new TsgiError(623, { script, where: elsewhere.join(', '), port });
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

  #becomeMain(main: string, { directory }: Entry): void {
    process.argv[1] = main;
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
    const loading = new LoadingScript(script, runner);
    this.#loading = loading;
    const timer = this.#limit(loading, isMain);
    try {
      const run = isMain ? runAsMain(path, runner) : this.#runOneOfMany(script, path, runner);
      loading.exports = await loading.orEnd(run);
      await turn();
      const app = (await this.#found(loading)) ?? {
        kind: 'server',
        server: await loading.nextServer(),
      };
      if (app.kind === 'server') checkHandlers(app.server, script);
      return app;
    } finally {
      clearTimeout(timer);
      this.#loading = undefined;
    }
  }

  /** @returns the app among the exports, unless a server listens. */
  async #found(loading: LoadingScript): Promise<App | undefined> {
    const { script, exports } = loading;
    if (!exports || this.#servers.serves(script)) return undefined;
    const app = await loading.orEnd(findApp(exports, script));
    return app && !this.#servers.serves(script) ? app : undefined;
  }

  /** Ends the wait for an app at startup-timeout: of the process, or of a script loaded later. */
  #limit(loading: Loading, isMain: boolean): NodeJS.Timeout {
    const { startupTimeoutMs } = this.#options.boot;
    const { script } = loading;
    const onTimeout = (): void => {
      const exports = loading.exports ? describeExports(loading.exports) : STILL_EVALUATED;
      if (loading.elsewhere.length > 0) {
        loading.end(this.#listensElsewhere(loading));
        return;
      }
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
