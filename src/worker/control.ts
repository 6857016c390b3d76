/** The worker's end of the control socket (fd 3): the boot line, then messages both ways. */
import { readSync, writeSync } from 'node:fs';
import { TsgiError } from '../errors.ts';
import { LineSplitter } from '../ipc/lines.ts';
import {
  encodeMessage,
  parseToWorker,
  type BootMessage,
  type DrainMessage,
  type ToSupervisor,
} from '../ipc/messages.ts';
import type { NativeAddon, Watch } from '../native.ts';
import { KILL_MARGIN_MS } from './drain.ts';

export const CONTROL_FD = 3;

/** After supervisor and Apache have gone, the process group is killed this much later, whatever it does. */
const ABANDON_KILL_MS = 3_500;
const MAX_BOOT = 1024 * 1024;

/** What came with, or after, the boot line in the same read. */
export interface BootRead {
  readonly boot: BootMessage;
  readonly rest: Buffer;
}

/**
 * Reads the boot line; blocks until it is there.
 * @throws TsgiError 0616 at the end of the stream, 0617 if it is no boot message.
 */
export function readBoot(fd = CONTROL_FD): BootRead {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const chunk = Buffer.alloc(16 * 1024);
    const count = readSync(fd, chunk);
    if (count === 0) throw new TsgiError(616);
    const newline = chunk.subarray(0, count).indexOf(0x0a);
    if (newline >= 0) {
      chunks.push(chunk.subarray(0, newline));
      return { boot: parseBoot(Buffer.concat(chunks)), rest: chunk.subarray(newline + 1, count) };
    }
    chunks.push(chunk.subarray(0, count));
    length += count;
    if (length > MAX_BOOT) throw new TsgiError(617, { reason: 'it is too long' });
  }
}

function parseBoot(bytes: Buffer): BootMessage {
  const message = parseToWorker(bytes.toString('utf8'));
  if (message.type !== 'boot') throw new TsgiError(617, { reason: `type is ${message.type}` });
  return message;
}

export interface ControlHandlers {
  onDrain(message: DrainMessage): void;
  /** The supervisor has gone; Apache lives. */
  onOrphaned(): void;
  /** Apache has gone as well. */
  onAbandoned(): void;
}

/** Sends at once and synchronously: what is said right before process.exit() arrives. */
export function sendToSupervisor(message: ToSupervisor, fd = CONTROL_FD): void {
  const bytes = Buffer.from(encodeMessage(message));
  try {
    for (let sent = 0; sent < bytes.length;) sent += writeSync(fd, bytes, sent);
  } catch {
    // EPIPE: the supervisor has gone, and the watch thread is about to say so.
  }
}

/**
 * Begins to listen to the supervisor.
 * @param rest bytes that were read behind the boot line
 */
export function watchControl(
  native: Pick<NativeAddon, 'Watch'>,
  { boot, rest }: BootRead,
  handlers: ControlHandlers,
): Watch {
  const onLine = (line: string): void => {
    const message = parseToWorker(line);
    if (message.type === 'drain') handlers.onDrain(message);
  };
  // Messages are pure ASCII, so bytes and characters are one.
  let pending = '';
  const splitter = new LineSplitter((line) => {
    queueMicrotask(() => {
      onLine(line);
    });
  });
  const lastNewline = rest.lastIndexOf(0x0a);
  splitter.push(rest.subarray(0, lastNewline + 1));
  pending = rest.toString('latin1', lastNewline + 1);
  return new native.Watch({
    fd: CONTROL_FD,
    apache: boot.apache,
    orphanKillMs: boot.gracefulTimeoutMs + KILL_MARGIN_MS,
    abandonKillMs: ABANDON_KILL_MS,
    onLine(line) {
      const whole = pending + line;
      pending = '';
      onLine(whole);
    },
    onEof() {
      handlers.onOrphaned();
    },
    onApacheEnd() {
      handlers.onAbandoned();
    },
  });
}
