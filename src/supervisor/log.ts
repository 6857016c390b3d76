/**
 * Records for the group's log pipe (docs/architecture.md, "Log"): `<level> <pid> <source> <text>\n`,
 * whole records in packets of at most 4096 bytes. Writing never blocks: what the pipe does not take
 * waits in a bounded queue, and what that does not hold is dropped and counted.
 */
import { errorLine } from '../errors.ts';

const MAX_PACKET = 4096;
const MAX_TEXT = 3500;
const MAX_QUEUE = 1024 * 1024;
/** Room on top of it for lines of mod_tsgi's own: they say, among others, what was dropped. */
const HOST_RESERVE = 64 * 1024;
const RETRY_MS = 20;
const EAGAIN = 11;
const EINTR = 4;

/** Levels of syslog(3) that are used here. */
export const LEVEL = { error: 3, warn: 4, notice: 5, info: 6, debug: 7 } as const;

/** Who wrote the text: the app's stdout, its stderr, or mod_tsgi itself. */
export type Source = 'out' | 'err' | 'host';

/** Non-blocking write of one packet. @returns 0 or an errno. */
export type WritePacket = (packet: Uint8Array) => number;

/** @returns where to cut `bytes` so that at most `most` bytes come first and no UTF-8 character breaks. */
function cutAt(bytes: Buffer, start: number, most: number): number {
  let end = Math.min(start + most, bytes.length);
  if (end === bytes.length) return end;
  while (end > start && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return end;
}

/**
 * @returns the records of one line of text. A text that goes on in the next record ends with a
 * backslash; so does, followed by an empty record, a text that itself ends with one.
 */
export function formatRecords(level: number, pid: number, source: Source, text: string): Buffer[] {
  const head = `${String(level)} ${String(pid)} ${source} `;
  const bytes = Buffer.from(text.replaceAll('\n', '\\n'), 'utf8');
  const records: Buffer[] = [];
  let start = 0;
  do {
    const end = cutAt(bytes, start, MAX_TEXT);
    const goesOn = end < bytes.length || bytes[end - 1] === 0x5c;
    const tail = goesOn ? '\\\n' : '\n';
    records.push(Buffer.concat([Buffer.from(head), bytes.subarray(start, end), Buffer.from(tail)]));
    if (goesOn && end === bytes.length) records.push(Buffer.from(`${head}\n`));
    start = end;
  } while (start < bytes.length);
  return records;
}

/** The supervisor's end of the group's log pipe. */
export class Log {
  readonly #write: WritePacket;
  readonly #packets: Buffer[] = [];
  #open: Buffer[] = [];
  #openBytes = 0;
  #queuedBytes = 0;
  #dropped = 0;
  #scheduled = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(write: WritePacket) {
    this.#write = write;
  }

  /** Queues one line of text; it leaves at the end of this turn of the event loop. */
  line(level: number, pid: number, source: Source, text: string): void {
    const most = MAX_QUEUE + (source === 'host' ? HOST_RESERVE : 0);
    for (const record of formatRecords(level, pid, source, text)) this.#add(record, most);
    if (this.#scheduled || this.#retry) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  /** A line of mod_tsgi's own. */
  host(level: number, text: string, pid = process.pid): void {
    this.line(level, pid, 'host', text);
  }

  /** Writes what the pipe takes now; the rest is tried again soon. */
  flush(): void {
    this.#closePacket();
    while (this.#packets[0]) {
      const error = this.#write(this.#packets[0]);
      if (error === EINTR) continue;
      if (error === EAGAIN) {
        this.#retryLater();
        return;
      }
      // Any other error means that no reader is left: there is nobody to tell.
      this.#queuedBytes -= this.#packets.shift()?.length ?? 0;
      if (this.#packets.length === 0) this.#reportDropped();
    }
  }

  #add(record: Buffer, most: number): void {
    if (this.#queuedBytes + this.#openBytes + record.length > most) {
      this.#dropped++;
      return;
    }
    if (this.#openBytes + record.length > MAX_PACKET) this.#closePacket();
    this.#open.push(record);
    this.#openBytes += record.length;
  }

  #closePacket(): void {
    if (this.#openBytes === 0) return;
    this.#packets.push(Buffer.concat(this.#open, this.#openBytes));
    this.#queuedBytes += this.#openBytes;
    this.#open = [];
    this.#openBytes = 0;
  }

  #retryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.flush();
    }, RETRY_MS).unref();
  }

  #reportDropped(): void {
    if (this.#dropped === 0) return;
    const text = errorLine(509, { count: this.#dropped });
    this.#dropped = 0;
    for (const record of formatRecords(LEVEL.warn, process.pid, 'host', text)) {
      this.#add(record, MAX_QUEUE + HOST_RESERVE);
    }
    this.#closePacket();
  }
}
