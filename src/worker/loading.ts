/** A script on its way to its app: until it has been evaluated, and until it listens or exports one. */
import type { Server } from 'node:http';
import type { TsgiError } from '../errors.ts';
import type { Exports } from './find.ts';
import type { Runner } from './typescript.ts';

/** A script that is being loaded. */
export interface Loading {
  readonly script: string;
  readonly runner: Runner;
  exports: Exports | undefined;
  /** The http server of the app, while it listens. */
  server: Server | undefined;
  /** Where others listen. */
  readonly elsewhere: string[];
  /** The app lets this server listen. */
  hear(server: Server): void;
  /**
   * Waits no longer: fails with the error, unless a server listens already. Then it is served,
   * though the script itself goes on, as with `for await (… of on(server, 'request'))`.
   */
  end(error: TsgiError): void;
}

/** Who listens to one of these can answer a request. */
const HANDLED = ['request', 'checkContinue', 'checkExpectation', 'upgrade', 'connect', 'stream'];

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

/** A script on its way to its app. */
export class LoadingScript implements Loading {
  readonly script: string;
  readonly runner: Runner;
  exports: Exports | undefined;
  server: Server | undefined;
  readonly elsewhere: string[] = [];
  readonly #ended = new Deferred();
  #heard = new Deferred();
  /** Why the wait has ended. */
  #error: TsgiError | undefined;

  constructor(script: string, runner: Runner) {
    this.script = script;
    this.runner = runner;
  }

  hear(server: Server): void {
    this.server = server;
    const heard = this.#heard;
    if (HANDLED.some((event) => server.listenerCount(event) > 0)) {
      heard.resolve();
      return;
    }
    // Requests wait until somebody is there for them; one that looks for a free port never has any.
    server.on('newListener', function onListener(event: string) {
      if (!HANDLED.includes(event)) return;
      server.removeListener('newListener', onListener);
      heard.resolve();
    });
  }

  /** The server was closed again. */
  unhear(): void {
    this.server = undefined;
    this.#heard.resolve();
    this.#heard = new Deferred();
  }

  end(error: TsgiError): void {
    this.#error = error;
    if (this.server) this.#ended.resolve();
    else this.#ended.reject(error);
  }

  /** @returns what the promise gives, undefined if the wait has ended before. */
  orEnd<T>(promise: Promise<T>): Promise<T | undefined> {
    return Promise.race([promise, this.#ended.promise.then(() => undefined)]);
  }

  /** Waits for a server that listens and has a handler. */
  async nextServer(): Promise<Server> {
    for (;;) {
      const heard = this.#heard;
      await this.orEnd(heard.promise);
      if (this.server && heard === this.#heard) return this.server;
      if (this.#error) throw this.#error;
    }
  }
}
