/**
 * The native addon, typed by hand. The only module that loads it; everything below `dist/` that
 * needs it imports this file. See native/README.md for the C++ side.
 */
import { createRequire } from 'node:module';

export * from './events.ts';

export interface ChannelOptions {
  /** The listening socket (non-blocking from here on); the channel owns it. */
  readonly fd: number;
  /** 16 bytes. */
  readonly generation: Uint8Array;
  /** 32 bytes. */
  readonly secret: Uint8Array;
  /** Most requests in hand; surplus heads stay unread in their sockets. */
  readonly concurrency: number;
  /** uids that may connect besides root: checked by SO_PEERCRED. −1 = any (the secret decides). */
  readonly peerUid: number;
  /**
   * Called once per turn of the event loop with everything that came, through napi_make_callback:
   * `count` events in `events`/`payloads`. It must not throw: it catches per request and calls
   * {@link NativeAddon.fatalException}.
   */
  onEvents(count: number): void;
}

/**
 * The worker's end of the wire. All methods are for the loop's thread. `id` names an exchange; calls with
 * a dead id do nothing. What is written leaves at the end of the turn, one write per connection.
 */
export interface Channel {
  /** Overwritten before each onEvents; read it there only. */
  readonly events: Int32Array;
  readonly payloads: readonly (string | Buffer)[];
  /** Requests in hand. */
  readonly inHand: number;
  /** Begin to accept. */
  start(): void;
  /**
   * Sends STARTED at once (a completed send). Must be called before the app is when FLAG_STARTED is set.
   * @returns false if Apache has taken the request back: do not call the app.
   */
  started(id: number): boolean;
  /** Sends CONTINUE: Apache begins to read the body of an `Expect: 100-continue` request. */
  sendContinue(id: number): void;
  /** Interim response 102..199; headers as `Name: value\r\n…`, latin1. */
  inform(id: number, status: number, headers: string): void;
  /**
   * The head. `headers`: `Name: value\r\n…`, latin1, validated by the caller; Connection, Keep-Alive,
   * Transfer-Encoding and Proxy-Connection are dropped here. `body`: first piece or undefined. `latin1` tells how a string is encoded.
   * fin: the response is complete with this call.
   * @returns bytes waiting to be written for this exchange.
   */
  respond(id: number, status: number, reason: string, headers: string, body: string | Uint8Array | undefined, latin1: boolean, fin: boolean): number;
  /** A piece of the body, of any size (split into frames here). @returns as respond. */
  write(id: number, chunk: string | Uint8Array, latin1: boolean, fin: boolean): number;
  /** End of the response; trailers as `Name: value\r\n…` or ''. */
  end(id: number, trailers: string): void;
  /** The response cannot be finished: ABORT, then the connection closes. code: the N of TSGI<N>. */
  abort(id: number, code: number, message: string): void;
  /** This request was not begun and will not be. Apache sends it to another worker. */
  refuse(id: number): void;
  /** A line for this request's error log; level as in syslog(3). */
  log(id: number, level: number, text: string): void;
  /** Stop, or go on, reading this request's body. */
  pause(id: number): void;
  resume(id: number): void;
  /** GOAWAY on every connection, accept no more; exchanges in hand go on. */
  drain(): void;
  /** Blocking, bounded by timeoutMs: write all that is waiting. Used on the way out. */
  flush(timeoutMs: number): void;
  /** Closes everything. */
  close(): void;
  /** The channel keeps the event loop alive (ref, the default) or not. */
  ref(): void;
  unref(): void;
}

export interface WatchOptions {
  /** The control socket, fd 3. */
  readonly fd: number;
  /** After EOF the process group is killed this many ms later whatever the event loop does. */
  readonly hardKillMs: number;
  /** A line came from the supervisor. */
  onLine(line: string): void;
  /** EOF: the supervisor has gone. */
  onEof(): void;
}

/** A thread that polls the control socket, so that a blocked event loop cannot hold the process alive. */
export interface Watch {
  /** Arms (ms > 0) or disarms (0) a hard SIGKILL of the own process group. */
  hardKill(ms: number): void;
  close(): void;
}

export interface CommandReceiver {
  close(): void;
}

export interface ReadableWatcher {
  start(): void;
  stop(): void;
  close(): void;
}

export interface NativeAddon {
  readonly wireMajor: number;
  readonly wireMinor: number;
  /** tokenNames[t] = the header name of token t (1..127 canonical case, bit 7 set: lower case); index 0 is ''. */
  readonly tokenNames: readonly string[];
  readonly Channel: new (options: ChannelOptions) => Channel;
  readonly Watch: new (options: WatchOptions) => Watch;
  /** Sets FD_CLOEXEC. */
  closeOnExec(fd: number): void;
  /** PR_SET_PDEATHSIG; @returns false if the parent is not `expectedParent` (it has gone already). */
  setParentDeathSignal(signal: number, expectedParent: number): boolean;
  /** napi_fatal_exception: as if thrown on the loop ('uncaughtException', exit 1 …). */
  fatalException(error: unknown): void;
  /** Reads SOCK_SEQPACKET messages with their fds (FD_CLOEXEC set; the callee owns them). message null = EOF. */
  receiveCommands(fd: number, onMessage: (message: Buffer | null, fds: number[]) => void): CommandReceiver;
  /** Level-triggered readability of any fd, on the loop. Begins stopped. */
  watchReadable(fd: number, onReadable: () => void): ReadableWatcher;
  /**
   * Accepts every pending connection of a listening socket, answers UNAVAILABLE, closes it.
   * @returns how many.
   */
  refuseAll(listenFd: number, code: number, retryAfter: number): number;
  /** Non-blocking write(2) of one packet to the log pipe. @returns 0 or an errno (EAGAIN = full). */
  writePacket(fd: number, packet: Uint8Array): number;
}

// eslint-disable-next-line @typescript-eslint/no-unsafe-type-assertion -- the addon's own surface, typed above
export const native = createRequire(__filename)('./tsgi.node') as NativeAddon;
