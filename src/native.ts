/**
 * The native addon, typed by hand. The only module that loads it; everything below `dist/` that
 * needs it imports this file. See native/README.md for the C++ side.
 */
import { createRequire } from 'node:module';
import { errorLine } from './errors.ts';

export * from './events.ts';

/**
 * The N of TSGI<N>; the text goes into `{reason}` of its row in errors.ts. 790: a peer of the
 * wrong user, 791: wrong secret, 792: wrong version of the wire, 793: violation of the wire,
 * 794: lack of descriptors or memory, 795: no secret in time.
 */
export type ChannelLogCode = 790 | 791 | 792 | 793 | 794 | 795;

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
  /** A connection whose secret has not come within so many ms is closed; 60 000. */
  readonly greetingTimeoutMs?: number;
  /**
   * Called once per turn of the event loop with everything that came, through napi_make_callback:
   * `count` events in `events`/`payloads`. It must not throw: it catches per request and calls
   * {@link NativeAddon.fatalException}. When it returns, ticks and microtasks run, and then
   * all that was written leaves.
   */
  onEvents(count: number): void;
  /**
   * Something for the log of the process: a peer that was turned away or broke the rules (its
   * connection is closed, nothing else happens), or a lack of resources. At most 10 a second.
   */
  onLog?(code: ChannelLogCode, text: string): void;
}

/**
 * The worker's end of the wire. All methods are for the loop's thread. `id` names an exchange; calls with
 * a dead id do nothing. What is written leaves at the end of the turn, one write per connection.
 */
export interface Channel {
  /**
   * Overwritten before each onEvents: read it there only, and take it from the channel each
   * time, since it is another array when more room was needed.
   */
  readonly events: Int32Array;
  /** As `events`; may be emptied when onEvents has returned. */
  readonly payloads: readonly (string | Buffer)[];
  /**
   * progress[0] = offset in `events` of the request that is being handed to the app, set by
   * onEvents before each. If the process ends within onEvents, the requests behind it are
   * REFUSED, so that other workers get them. Who never sets it has handed over everything.
   */
  readonly progress: Int32Array;
  /** Requests in hand. */
  readonly inHand: number;
  /** Begin to accept. */
  start(): void;
  /**
   * Sends STARTED at once (a completed send). Must be called before the app is when FLAG_STARTED is set.
   * @returns false if Apache has taken the request back: do not call the app. EVENT_CLOSE follows.
   */
  started(id: number): boolean;
  /**
   * Sends CONTINUE: Apache begins to read the body of an `Expect: 100-continue` request. Does
   * nothing for other requests, the second time, and when the response has begun.
   */
  sendContinue(id: number): void;
  /** Interim response 102..199, before respond(); headers as `Name: value\r\n…`, latin1. */
  inform(id: number, status: number, headers: string): void;
  /**
   * The head. `headers`: `Name: value\r\n…`, latin1, validated by the caller; Connection,
   * Keep-Alive, Transfer-Encoding, Proxy-Connection and (but with status 101) Upgrade are dropped
   * here. Status 101, without fin, begins a tunnel, if the request has FLAG_UPGRADE: from then on
   * write() and EVENT_BODY are what goes to the client and comes from it, end() and EVENT_BODY_END
   * the ends of the halves; EVENT_FINISH comes when both have ended. `body`: first
   * piece or undefined. `latin1` tells how a string is encoded. fin: the response is complete
   * with this call.
   * @returns bytes waiting to be written on this connection. After 64 KiB or more EVENT_DRAIN
   *   comes when they are below 16 KiB; for a complete response EVENT_FINISH tells instead. 64 KiB
   *   as well when the id is dead or dies by this call: then EVENT_CLOSE follows, if it has not come.
   * @throws TypeError with a `code` if a header name, value, the reason or the status cannot be
   *   sent: nothing was written then. Error ERR_TSGI_STATE if the response has begun already.
   */
  respond(
    id: number,
    status: number,
    reason: string,
    headers: string,
    body: string | Uint8Array | undefined,
    latin1: boolean,
    fin: boolean,
  ): number;
  /**
   * A piece of the body, of any size (split into frames here). Bytes are written or copied before
   * it returns. @returns as respond. @throws Error ERR_TSGI_STATE before respond().
   */
  write(id: number, chunk: string | Uint8Array, latin1: boolean, fin: boolean): number;
  /** End of the response; trailers as `Name: value\r\n…` or ''. @throws as write() and respond(). */
  end(id: number, trailers: string): void;
  /**
   * The response cannot be finished: ABORT, then the connection closes. code: the N of TSGI<N>.
   * The id is dead at once, no event follows. Does nothing to a response that is complete.
   */
  abort(id: number, code: number, message: string): void;
  /**
   * This request was not begun and will not be. Apache sends it to another worker. The id is dead
   * at once, no event follows. @throws Error ERR_TSGI_STATE if anything but log() was sent for it.
   */
  refuse(id: number): void;
  /**
   * Asks for the client's own descriptor: EVENT_SOCKET follows, or EVENT_CLOSE. respond() with fin then
   * tells what the app has answered, for the access log only.
   * @returns false if Apache has not offered it (FLAG_PASS).
   */
  requestSocket(id: number): boolean;
  /**
   * Ends a tunnel both ways when what waits has left, or the exchange of a client that was handed
   * over. The id is dead at once, no event follows.
   */
  hangUp(id: number): void;
  /** A line for this request's error log; level as in syslog(3). */
  log(id: number, level: number, text: string): void;
  /** Stop, or go on, reading this request's body. */
  pause(id: number): void;
  resume(id: number): void;
  /**
   * GOAWAY on every connection, accept no more (the listening socket is closed here). Exchanges
   * in hand go on; requests that come all the same are REFUSED.
   */
  drain(): void;
  /**
   * Blocking, bounded by timeoutMs: write all that is waiting. Used on the way out. What is still
   * there when the process ends by exit(3), as after process.exit() and uncaught errors, is
   * written then, for at most 1 s.
   */
  flush(timeoutMs: number): void;
  /** Closes everything at once; nothing is called back any more. */
  close(): void;
  /** The channel keeps the event loop alive (ref, the default) or not. */
  ref(): void;
  unref(): void;
}

export interface WatchOptions {
  /** The control socket, fd 3. */
  readonly fd: number;
  /** The pid of Apache's parent; 0 if it is not known. */
  readonly apache: number;
  /** After EOF the process group is killed this many ms later whatever the event loop does. */
  readonly orphanKillMs: number;
  /** The same when Apache has gone as well. */
  readonly abandonKillMs: number;
  /** A line came from the supervisor. */
  onLine(line: string): void;
  /** EOF: the supervisor has gone; Apache lives. */
  onEof(): void;
  /** The supervisor has gone, and Apache, too, at once or later; or it is not known whether it lives. */
  onApacheEnd(): void;
}

/** A thread that polls the control socket, so that a blocked event loop cannot hold the process alive. */
export interface Watch {
  /** Arms (ms > 0) or disarms (0) a hard SIGKILL of the own process group. */
  hardKill(ms: number): void;
  /**
   * From now on the thread sends `beat` lines, and one `blocked` line when the event loop does not turn
   * for `ms` > 0 (src/ipc/messages.ts). It asks the loop every ms / 4, at most every 5 s; the answer is
   * what `isDebugged` says: while that is true, the loop may stop as long as it likes. Once.
   */
  guard(ms: number, isDebugged: () => boolean): void;
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
  /** SIG_IGN, until somebody in this process handles it. What spawn() starts has it by default again. */
  ignoreSignal(signal: number): void;
  /** napi_fatal_exception: as if thrown on the loop ('uncaughtException', exit 1 …). */
  fatalException(error: unknown): void;
  /**
   * Reads SOCK_SEQPACKET messages with their fds (FD_CLOEXEC set; the callee owns them).
   * A message null is the end of the stream; null with an error is a packet over 64 KiB or with
   * more than 253 fds (code ERR_TSGI_COMMAND: it is lost, reading goes on), or a failed system call
   * (the receiver is closed). `fd` stays the caller's, open until close() or the end.
   */
  receiveCommands(
    fd: number,
    onMessage: (message: Buffer | null, fds: number[], error?: NodeJS.ErrnoException) => void,
  ): CommandReceiver;
  /**
   * Level-triggered readability of any fd, on the loop. Begins stopped, and keeps the loop alive
   * while it is started. `fd` stays the caller's, open until close().
   */
  watchReadable(fd: number, onReadable: () => void): ReadableWatcher;
  /**
   * Accepts every pending connection of a listening socket, answers UNAVAILABLE, closes it.
   * @returns how many.
   */
  refuseAll(listenFd: number, code: number, retryAfter: number): number;
  /**
   * Accepts one pending connection of a listening socket: non-blocking, FD_CLOEXEC, the caller's to
   * close. `uid` is the peer's (SO_PEERCRED). @returns undefined if nobody waits.
   */
  acceptPeer(listenFd: number): { readonly fd: number; readonly uid: number } | undefined;
  /**
   * A TCP socket bound to a numeric address, in such a way that other workers of the same user can
   * bind the same one (SO_REUSEPORT); IPv6 takes IPv4 as well, unless `onlyV6`.
   * @returns the descriptor, the caller's, non-blocking and FD_CLOEXEC; or an errno, negated.
   */
  bindShared(address: string, port: number, onlyV6: boolean): number;
  /** Non-blocking write(2) of one packet to a pipe or socket. @returns 0 or an errno (EAGAIN = full). */
  writePacket(fd: number, packet: Uint8Array): number;
}

function load(): NativeAddon {
  try {
    return createRequire(__filename)('./tsgi.node') as NativeAddon;
  } catch (error) {
    const isForbidden =
      error instanceof Error && 'code' in error && error.code === 'ERR_DLOPEN_DISABLED';
    if (!isForbidden) throw error;
    console.error(errorLine(629));
    process.exit(1);
  }
}

export const native = load();
