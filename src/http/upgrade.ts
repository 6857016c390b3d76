/**
 * A request that asks for another protocol, for an app with an 'upgrade' listener, or (CONNECT) for a
 * tunnel, for one with a 'connect' listener. The listener gets the client's own socket (passed.ts) where
 * Apache can hand it over, else one whose bytes Apache relays (tunnel.ts); it cannot tell one from the
 * other. As with `node app.js`, what the app then writes is an HTTP response by hand: 101 (200 to a
 * CONNECT), or why not.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { errorLine } from '../errors.ts';
import { enterConnection, leaveConnection, tellConnection } from './connections.ts';
import type { HostContext } from './exchange.ts';
import { Exchange, HIGH_WATER, reasonOf } from './exchange.ts';
import type { Head } from './head.ts';
import { S_METHOD } from './head.ts';
import type { HostedRequest } from './incoming.ts';
import { makeRequest } from './incoming.ts';
import type { WriteCallback } from './internals.ts';
import { planOf } from './internals.ts';
import { openPassed, watchHead } from './passed.ts';
import type { ParsedHead, RawSink } from './raw.ts';
import { RawResponse } from './raw.ts';
import { asSocket, openSocket } from './socket.ts';
import { TunnelSocket } from './tunnel.ts';
import type { UpgradeKind } from './upgrades.ts';

/** syslog(3)'s LOG_WARNING. */
const LEVEL_WARNING = 4;
const NOTHING = Buffer.alloc(0);
const NO_TUNNELS = 'Content-Length: 0\r\nAllow: GET, HEAD\r\n';
const TOO_MANY = 'Content-Length: 0\r\nRetry-After: 5\r\n';

type Phase =
  /** The listener has not been called: the client's descriptor is awaited. */
  | 'awaiting'
  /** Nothing has been answered; Apache would relay. */
  | 'asked'
  /** An ordinary response is under way. */
  | 'answering'
  /** 101 was answered; Apache relays. */
  | 'tunnel'
  /** The app has the client's own descriptor; nothing has been answered. */
  | 'passed'
  /** All has been answered. */
  | 'over';

/** http.Server of Node 24 and newer. */
interface ChoosyServer extends Server {
  shouldUpgradeCallback?(req: HostedRequest): unknown;
}

/** @returns undefined if the app serves it as an ordinary request, by the rules of parserOnIncoming(). */
export function upgradeOf(
  host: HostContext,
  id: number,
  head: Head,
  server: Server,
): UpgradeExchange | undefined {
  if (head.isConnect) return new UpgradeExchange(host, id, head, server);
  const choosy = server as ChoosyServer;
  if (choosy.shouldUpgradeCallback === undefined) {
    return server.listenerCount('upgrade') > 0
      ? new UpgradeExchange(host, id, head, server)
      : undefined;
  }
  const exchange = new UpgradeExchange(host, id, head, server);
  const isWanted = exchange.runInAsyncScope(() => choosy.shouldUpgradeCallback?.(exchange.req));
  return isWanted ? exchange : undefined;
}

export class UpgradeExchange extends Exchange implements RawSink {
  readonly server: Server;
  /** Replaced by the client's own, where that is passed. */
  readonly socket: TunnelSocket;
  readonly req: HostedRequest;
  readonly #kind: UpgradeKind;
  readonly #reader: RawResponse;
  #phase: Phase = 'asked';
  /** The write that waits for a drain. */
  #blocked: WriteCallback | undefined;

  constructor(host: HostContext, id: number, head: Head, server: Server) {
    super(host, id, head);
    this.server = server;
    this.#kind = head.isPassable ? 'passed' : 'relayed';
    this.#reader = new RawResponse(this, head.string(S_METHOD));
    this.socket = openSocket(TunnelSocket, this);
    this.socket.server = server;
    this.req = makeRequest(this, planOf(server));
    this.req.upgrade = true;
  }

  begin(): void {
    this.req.complete = true;
    this.req.push(null);
    // Node closes the connection without a word.
    if (this.head.isConnect && this.server.listenerCount('connect') === 0)
      this.#answer(405, NO_TUNNELS);
    else if (!this.host.upgrades.enter(this.#kind)) this.#refuse();
    else if (this.#kind === 'relayed') this.#handOver(asSocket(this.socket), NOTHING);
    else {
      this.#phase = 'awaiting';
      this.channel.requestSocket(this.id);
    }
  }

  #refuse(): void {
    const { upgrades } = this.host;
    if (upgrades.mayComplain()) {
      this.log(LEVEL_WARNING, errorLine(750, { most: upgrades.most }));
    }
    this.#answer(503, TOO_MANY);
  }

  /** Instead of the app. */
  #answer(status: number, headers: string): void {
    this.#phase = 'over';
    this.channel.respond(this.id, status, '', headers, undefined, true, true);
  }

  #handOver(socket: Socket, received: Buffer): void {
    const { server } = this;
    this.host.upgrades.watch(socket, this.#kind);
    enterConnection(server);
    socket.once('close', () => {
      leaveConnection(server);
    });
    if (!tellConnection(server, socket)) return;
    const event = this.head.isConnect ? 'connect' : 'upgrade';
    const isHeard = server.emit(event, this.req, socket, received);
    // shouldUpgradeCallback() wanted it, and nobody is there for it: as Node.
    if (!isHeard) socket.destroy();
  }

  // ---- the client's own descriptor -----------------------------------------------------

  override takeSocket(fd: number, received: Buffer): void {
    let socket: Socket;
    try {
      socket = openPassed(fd, this.head, this.server);
    } catch (error) {
      this.host.upgrades.leave(this.#kind);
      this.fail(752, { reason: reasonOf(error) });
      return;
    }
    this.#phase = 'passed';
    this.req.socket = socket;
    const onClose = (): void => {
      this.#hangUp();
    };
    socket.once('close', onClose);
    watchHead(socket, (head) => {
      socket.removeListener('close', onClose);
      this.#tellAnswer(head);
    });
    this.#handOver(socket, received);
  }

  /** For the access log; then the exchange is over, and the app has the connection for itself. */
  #tellAnswer({ status, reason, headers }: ParsedHead): void {
    if (!this.isOpen) return;
    this.#phase = 'over';
    try {
      this.channel.respond(this.id, status, reason, headers, undefined, true, true);
    } catch {
      this.channel.respond(this.id, status, '', '', undefined, true, true);
    }
  }

  // ---- what the channel tells ----------------------------------------------------------

  takeBody(chunk: Buffer): void {
    this.socket.receive(chunk);
  }

  endBody(): void {
    this.socket.receiveEnd();
  }

  takeDrain(): void {
    this.waiting = 0;
    this.#unblock();
  }

  takeFinish(): void {
    this.isOpen = false;
    this.#unblock();
    if (this.#kind === 'passed' || this.#phase === 'tunnel') return;
    // The response was another one than 101: Apache serves the client's next request itself.
    this.socket.push(null);
    this.socket.destroy();
  }

  /** A client that was handed over is the app's: it may answer as late as it likes. */
  get isAnswerDue(): boolean {
    return this.#phase === 'awaiting' || this.#phase === 'asked';
  }

  protected left(): void {
    if (this.#phase === 'awaiting') this.host.upgrades.leave(this.#kind);
    else if (this.#kind === 'relayed') this.socket.destroy();
  }

  #unblock(): void {
    const callback = this.#blocked;
    this.#blocked = undefined;
    callback?.();
  }

  // ---- what the app does with a relayed socket -----------------------------------------

  /** The socket's _write(). */
  writeRaw(chunk: Buffer, callback: WriteCallback): void {
    if (!this.isOpen || this.#phase === 'over') {
      callback();
      return;
    }
    this.waiting =
      this.#phase === 'tunnel'
        ? this.channel.write(this.id, chunk, true, false)
        : this.#reader.write(chunk);
    if (this.waiting < HIGH_WATER) callback();
    else this.#blocked = callback;
  }

  /** The socket's _final(). */
  endRaw(): void {
    if (!this.isOpen) return;
    if (this.#phase === 'tunnel') this.channel.end(this.id, '');
    else if (!this.#reader.end()) this.socket.destroy();
  }

  /** The socket is destroyed: by the app, by takeClose(), or since both halves have ended. */
  socketDestroyed(error: Error | null): void {
    if (!this.isOpen || this.#phase === 'over') return;
    this.abortSignal();
    if (this.#phase === 'tunnel') this.#hangUp();
    else this.fail(712, { reason: error === null ? 'it gave no reason' : reasonOf(error) });
  }

  #hangUp(): void {
    if (!this.isOpen) return;
    this.channel.hangUp(this.id);
    this.isOpen = false;
    this.host.forget(this.id);
  }

  // ---- the HTTP response that the app writes by hand -----------------------------------

  interim(status: number, headers: string): void {
    if (status > 101) this.channel.inform(this.id, status, headers);
  }

  rawSwitch(reason: string, headers: string): number {
    return this.#respond(101, reason, headers, 'tunnel');
  }

  rawHead(status: number, reason: string, headers: string, isLast: boolean): number {
    return this.#respond(status, reason, headers, isLast ? 'over' : 'answering');
  }

  rawBody(chunk: Uint8Array, isLast: boolean): number {
    const { channel, id } = this;
    if (isLast) this.#phase = 'over';
    if (chunk.length > 0) return channel.write(id, chunk, true, isLast);
    if (isLast) channel.end(id, '');
    return this.waiting;
  }

  rawInvalid(reason: string): void {
    this.fail(713, { reason });
    this.socket.destroy();
  }

  #respond(status: number, reason: string, headers: string, next: Phase): number {
    const { channel, id } = this;
    try {
      const waiting = channel.respond(
        id,
        status,
        reason,
        headers,
        undefined,
        true,
        next === 'over',
      );
      this.#phase = next;
      return waiting;
    } catch (error) {
      this.fail(716, { reason: reasonOf(error) });
      this.socket.destroy();
      return 0;
    }
  }
}
