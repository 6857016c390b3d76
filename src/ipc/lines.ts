/** Splits a stream of bytes into lines of UTF-8 text: control sockets, and what apps print. */
import { StringDecoder } from 'node:string_decoder';

/**
 * Feed it chunks as they come; it calls `onLine` for each line, without its `\n` or `\r\n`. A line
 * longer than `maxLength` characters is handed over in pieces, so a process that never ends its
 * line cannot make this one grow.
 */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  readonly #maxLength: number;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  constructor(onLine: (line: string) => void, maxLength = 64 * 1024) {
    this.#onLine = onLine;
    this.#maxLength = maxLength;
  }

  push(chunk: Buffer): void {
    this.#take(this.#decoder.write(chunk));
  }

  /** The stream has ended: hands over a last line that has no line end. */
  end(): void {
    this.#take(this.#decoder.end());
    if (this.#rest !== '') this.#onLine(this.#rest);
    this.#rest = '';
  }

  #take(text: string): void {
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      const line = this.#rest + text.slice(start, end);
      this.#rest = '';
      this.#emit(line.endsWith('\r') ? line.slice(0, -1) : line);
      start = end + 1;
    }
    this.#rest += text.slice(start);
    while (this.#rest.length > this.#maxLength) {
      this.#onLine(this.#rest.slice(0, this.#maxLength));
      this.#rest = this.#rest.slice(this.#maxLength);
    }
  }

  #emit(line: string): void {
    let rest = line;
    while (rest.length > this.#maxLength) {
      this.#onLine(rest.slice(0, this.#maxLength));
      rest = rest.slice(this.#maxLength);
    }
    this.#onLine(rest);
  }
}
