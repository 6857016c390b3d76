/** The file in which test/apps/chaos.js notes what reaches it: one line, one write(2), appended. */
import { closeSync, existsSync, openSync, readSync } from 'node:fs';

/** A worker that began to listen. */
export interface Ready {
  readonly pid: number;
  /** From the start of its process to the listening app. */
  readonly bootMs: number;
  /** Date.now() at that moment. */
  readonly at: number;
}

export class AppRecord {
  readonly ready: Ready[] = [];
  /** When workers were told to take nothing new. */
  readonly drains: { readonly pid: number; readonly at: number }[] = [];
  readonly #path: string;
  /** The worker that began a request, by the request's id; the last one if there were several. */
  readonly #begun = new Map<string, number>();
  readonly #twice: string[] = [];
  #offset = 0;
  #rest = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** Reads what was appended since the last time. */
  refresh(): this {
    if (!existsSync(this.#path)) return this;
    const fd = openSync(this.#path, 'r');
    const buffer = Buffer.alloc(1 << 20);
    try {
      for (let n; (n = readSync(fd, buffer, 0, buffer.length, this.#offset)) > 0;) {
        this.#offset += n;
        const lines = (this.#rest + buffer.toString('latin1', 0, n)).split('\n');
        this.#rest = lines.pop() ?? '';
        for (const line of lines) this.#learn(line);
      }
    } finally {
      closeSync(fd);
    }
    return this;
  }

  /** The pid of the worker whose app saw the request; undefined: none did. */
  begunBy(id: string): number | undefined {
    return this.#begun.get(id);
  }

  /** Requests that reached the app. */
  get size(): number {
    return this.#begun.size;
  }

  /** The ids of those that reached it more than once. */
  get twice(): readonly string[] {
    return this.#twice;
  }

  #learn(line: string): void {
    const [id = '', pid, ...more] = line.split(' ');
    const [first, second] = more.map(Number);
    if (id === '#ready') {
      this.ready.push({ pid: Number(pid), bootMs: first ?? NaN, at: second ?? NaN });
    } else if (id === '#drain') {
      this.drains.push({ pid: Number(pid), at: first ?? NaN });
    } else {
      if (this.#begun.has(id)) this.#twice.push(id);
      this.#begun.set(id, Number(pid));
    }
  }
}
