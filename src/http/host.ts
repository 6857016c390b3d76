/**
 * The worker's host: takes what the channel hands over once a turn, and serves each request to its
 * app inside its own asynchronous scope.
 */
import { errorLine, TsgiError } from '../errors.ts';
import { closeSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import {
  EVENT_BODY,
  EVENT_BODY_END,
  EVENT_CLOSE,
  EVENT_DRAIN,
  EVENT_FINISH,
  EVENT_REQUEST,
  EVENT_SOCKET,
  FLAG_STARTED,
  SOCKET_FD,
} from '../events.ts';
import type { Channel, NativeAddon } from '../native.ts';
import type { App, HostOptions } from './app.ts';
import { CallableExchange } from './callable.ts';
import type { HostContext } from './exchange.ts';
import { Exchange, reasonOf } from './exchange.ts';
import { Deadlines } from './deadlines.ts';
import { installFacts } from './facts.ts';
import { serverOfFetch } from './fetch.ts';
import { Head, S_SCRIPT } from './head.ts';
import { NodeExchange } from './request.ts';
import { installResponseHooks } from './response.ts';
import { ExchangeTable } from './table.ts';
import { UpgradeExchange, upgradeOf } from './upgrade.ts';
import { Upgrades } from './upgrades.ts';

/** Levels of syslog(3). */
const LEVEL_WARNING = 4;
const LEVEL_INFO = 6;
/** Connections of Apache that were never needed end so, too: nothing to worry about. */
const SILENT_CONNECTIONS = 795;

/** For apps that are no server: it listens to nothing. */
const NOBODY = createServer();

/** A request whose app is still being loaded. Keeps what comes, and stops the body meanwhile. */
class PendingExchange extends Exchange {
  readonly #chunks: Buffer[] = [];
  #trailers: string | undefined;

  begin(): void {
    if (this.head.hasBody) this.channel.pause(this.id);
  }

  takeBody(chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  endBody(trailers: string): void {
    this.#trailers = trailers;
  }

  takeDrain(): void {
    // Nothing was written.
  }

  takeFinish(): void {
    this.isOpen = false;
  }

  get isAnswerDue(): boolean {
    return !this.head.hasBody || this.#trailers !== undefined;
  }

  protected left(): void {
    // There is no app yet that could be told.
  }

  /** Gives the body so far to the exchange that takes this one's place. */
  replay(exchange: Exchange): void {
    if (!this.head.hasBody) return;
    if (exchange.isOpen) this.channel.resume(this.id);
    for (const chunk of this.#chunks) exchange.takeBody(chunk);
    if (this.#trailers !== undefined) exchange.endBody(this.#trailers);
  }
}

export class Host implements HostContext {
  readonly native: NativeAddon;
  readonly options: HostOptions;
  readonly channel: Channel;
  readonly upgrades: Upgrades;
  readonly #exchanges = new ExchangeTable();
  readonly #deadlines = new Deadlines(this.#exchanges, (exchange) => {
    this.#expire(exchange);
  });
  #drained: (() => void)[] = [];
  #taken = 0;
  #notifyAt = 0;
  #onTaken: () => void = () => undefined;

  /** Installs the hooks on Node's http classes; serves nothing before start(). */
  constructor(native: NativeAddon, options: HostOptions) {
    installResponseHooks();
    installFacts();
    this.native = native;
    this.options = options;
    this.upgrades = new Upgrades(options, () => {
      this.#checkDrained();
    });
    const { fd, generation, secret, concurrency, peerUid } = options;
    this.channel = new native.Channel({
      fd,
      generation,
      secret,
      concurrency,
      peerUid,
      onEvents: (count) => {
        this.#onEvents(count);
      },
      onLog: (code, text) => {
        const level = code === SILENT_CONNECTIONS ? LEVEL_INFO : LEVEL_WARNING;
        options.log(level, errorLine(code, { reason: text }));
      },
    });
  }

  /** Begins to take requests. */
  start(): void {
    this.channel.start();
  }

  /** Takes no new request. @returns a promise that resolves when nothing is in hand. */
  drain(): Promise<void> {
    this.channel.drain();
    if (this.inHand === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained.push(resolve);
    });
  }

  /** server.closeAllConnections(): requests that it has in hand; not what was upgraded, as in Node. */
  closeConnections(server: Server): void {
    for (const exchange of [...this.#exchanges]) {
      if (exchange instanceof NodeExchange && exchange.server === server) exchange.socket.destroy();
    }
  }

  /** Writes what is waiting, blocking, within `ms`: for the way out. */
  flush(ms: number): void {
    this.channel.flush(ms);
  }

  /** Requests that were given to an app and are not over, and clients that were handed over to it. */
  get inHand(): number {
    return this.#exchanges.size + this.upgrades.passed;
  }

  /** Requests that came, ever. */
  get taken(): number {
    return this.#taken;
  }

  /** Calls `onTaken` once, when that many requests have come. */
  notify(count: number, onTaken: () => void): void {
    this.#notifyAt = count;
    this.#onTaken = onTaken;
  }

  forget(id: number): void {
    this.#exchanges.delete(id);
    this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.#drained.length === 0 || this.inHand > 0) return;
    const drained = this.#drained;
    this.#drained = [];
    for (const resolve of drained) resolve();
  }

  #onEvents(count: number): void {
    const { events, payloads, progress } = this.channel;
    for (let i = 0, at = 0; i < count; i++) {
      const kind = events[at] ?? 0;
      const id = events[at + 1] ?? 0;
      const place = events[at + 2] ?? -1;
      const payload = place < 0 ? '' : (payloads[place] ?? '');
      if (kind === EVENT_REQUEST) {
        // Should this app end the process, the requests behind it go to other workers.
        progress[0] = at;
        this.#tryRequest(events, at, id, String(payload));
      } else if (kind === EVENT_SOCKET) {
        this.#takeSocket(id, events[at + SOCKET_FD] ?? -1, payload);
      } else this.#takeEvent(kind, id, payload);
      at += events[at + 3] ?? 0;
    }
  }

  #takeEvent(kind: number, id: number, payload: string | Buffer): void {
    const exchange = this.#exchanges.get(id);
    if (exchange === undefined) return;
    if (kind === EVENT_FINISH && exchange.finishQuietly()) {
      this.forget(id);
      return;
    }
    try {
      exchange.runInAsyncScope(dispatch, exchange, kind, payload);
    } catch (error) {
      this.native.fatalException(error);
    }
    if (kind === EVENT_FINISH || kind === EVENT_CLOSE) this.forget(id);
  }

  #takeSocket(id: number, fd: number, payload: string | Buffer): void {
    const exchange = this.#exchanges.get(id);
    if (exchange?.takeSocket === undefined) {
      closeSync(fd);
      return;
    }
    try {
      exchange.runInAsyncScope(() => {
        exchange.takeSocket?.(fd, Buffer.from(payload));
      });
    } catch (error) {
      this.native.fatalException(error);
    }
  }

  /** A server may have been made with classes of its own, whose code can throw. */
  #tryRequest(events: Int32Array, at: number, id: number, text: string): void {
    try {
      this.#takeRequest(events, at, id, text);
    } catch (error) {
      this.native.fatalException(error);
    }
  }

  #takeRequest(events: Int32Array, at: number, id: number, text: string): void {
    const head = new Head(events, at, text, this.native.tokenNames);
    if (++this.#taken === this.#notifyAt) this.#onTaken();
    this.#deadlines.watch(head.timeoutMs);
    let app: App | Promise<App>;
    try {
      // Outside of the request's scope: what an app sets up while it is loaded is nobody's request.
      app = this.options.resolve(head.text(S_SCRIPT));
    } catch (error) {
      app = Promise.reject(error instanceof Error ? error : new Error(reasonOf(error)));
    }
    const exchange = app instanceof Promise ? undefined : this.#makeExchange(id, head, app);
    if (exchange instanceof Exchange) this.#begin(exchange);
    else this.#await(id, head, exchange ?? app);
  }

  /** @returns a promise where the app's kind needs something loaded first. */
  #makeExchange(id: number, head: Head, app: App): Exchange | Promise<Exchange> {
    if (app.kind === 'server') {
      const upgrade = head.isUpgrade ? upgradeOf(this, id, head, app.server) : undefined;
      return upgrade ?? new NodeExchange(this, id, head, app.server);
    }
    if (head.isConnect) return new UpgradeExchange(this, id, head, NOBODY);
    if (app.kind === 'callable') return new CallableExchange(this, id, head, app.application);
    const server = serverOfFetch(app.fetch);
    if (!(server instanceof Promise)) return new NodeExchange(this, id, head, server);
    return server.then((made) => new NodeExchange(this, id, head, made));
  }

  #await(id: number, head: Head, found: App | Promise<App | Exchange> | Exchange): void {
    const pending = new PendingExchange(this, id, head);
    this.#exchanges.set(pending);
    pending.begin();
    this.#finishLoading(pending, found).catch((error: unknown) => {
      if (error instanceof TsgiError) pending.failWith(error, error.cause);
      else pending.fail(715, { reason: reasonOf(error) }, error);
    });
  }

  async #finishLoading(
    pending: PendingExchange,
    found: App | Promise<App | Exchange> | Exchange,
  ): Promise<void> {
    const app = await found;
    const { id, head } = pending;
    const exchange = app instanceof Exchange ? app : await this.#makeExchange(id, head, app);
    if (!pending.isOpen) return;
    pending.isOpen = false;
    exchange.dueSince = pending.dueSince;
    this.#begin(exchange);
    exchange.runInAsyncScope(() => {
      pending.replay(exchange);
    });
  }

  #begin(exchange: Exchange): void {
    this.#exchanges.set(exchange);
    try {
      exchange.runInAsyncScope(start, exchange);
    } catch (error) {
      this.native.fatalException(error);
    }
  }

  #expire(exchange: Exchange): void {
    try {
      exchange.runInAsyncScope(timeOut, exchange);
    } catch (error) {
      this.native.fatalException(error);
    }
  }
}

function timeOut(this: Exchange): void {
  this.timeOut();
}

/** Calls the app, if Apache has not taken the request back. Runs in the exchange's scope. */
function start(this: Exchange): void {
  if ((this.head.flags & FLAG_STARTED) !== 0 && !this.channel.started(this.id)) {
    this.isOpen = false;
    this.host.forget(this.id);
    return;
  }
  this.begin();
}

/** Runs in the exchange's scope. */
function dispatch(this: Exchange, kind: number, payload: string | Buffer): void {
  switch (kind) {
    case EVENT_BODY:
      if (typeof payload !== 'string') this.takeBody(payload);
      break;
    case EVENT_BODY_END:
      this.endBody(String(payload));
      break;
    case EVENT_DRAIN:
      this.takeDrain();
      break;
    case EVENT_FINISH:
      this.takeFinish();
      break;
    case EVENT_CLOSE:
      this.takeClose();
      break;
    default:
      break;
  }
}
