/** What the supervisor remembers of dead workers, and who waits to hear of it. */

/** Deaths that are remembered. */
const MEMORY = 64;
/** How long a question about a worker that lives waits for its death. */
const PATIENCE_MS = 250;
/** Longest answer in bytes. */
const MAX_WORDS = 512;

/** Somebody wants to know how a process died. */
export interface Question {
  readonly pid: number;
  /** Called once, with at most 512 bytes of UTF-8. */
  answer(words: Buffer): void;
}

/** @returns the text as bytes, cut off between two characters where it is too long. */
export function boundedWords(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length <= MAX_WORDS) return bytes;
  const mark = Buffer.from('…');
  let end = MAX_WORDS - mark.length;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return Buffer.concat([bytes.subarray(0, end), mark]);
}

export class Inquest {
  /** In the order in which they died. */
  readonly #deaths = new Map<number, string>();
  readonly #waiting = new Map<Question, number>();
  #hasForgotten = false;
  #isSuccessor = false;

  /** Workers of a supervisor before this one may have died with it. */
  succeed(): void {
    this.#isSuccessor = true;
  }

  /** A worker is dead. */
  died(pid: number, words: string): void {
    this.#deaths.delete(pid);
    this.#deaths.set(pid, words);
    for (const oldest of this.#deaths.keys()) {
      if (this.#deaths.size <= MEMORY) break;
      this.#deaths.delete(oldest);
      this.#hasForgotten = true;
    }
    for (const question of this.#waiting.keys()) {
      if (question.pid === pid) this.#answer(question, words);
    }
  }

  /** @param isAlive whether the process is a worker of ours that is not known to be dead. */
  ask(question: Question, isAlive: boolean, now: number): void {
    if (isAlive) this.#waiting.set(question, now + PATIENCE_MS);
    else this.#answer(question, this.#deaths.get(question.pid) ?? this.#nothingKnown());
  }

  /** What is due by time. @returns when it has to be called again. */
  duties(now: number): number {
    let next = Infinity;
    for (const [question, deadline] of this.#waiting) {
      if (deadline <= now) this.#answer(question, 'it lives; the connection was closed');
      else next = Math.min(next, deadline);
    }
    return next;
  }

  #nothingKnown(): string {
    return this.#isSuccessor && !this.#hasForgotten
      ? 'it died with its supervisor'
      : 'how it died is not known: its supervisor does not know it';
  }

  #answer(question: Question, words: string): void {
    this.#waiting.delete(question);
    question.answer(boundedWords(words));
  }
}
