/**
 * Apache's error log as an assertion: a line of level warn or above that no test announced fails the suite
 * (the idea is pyhttpd's HttpdErrorLog).
 */
import { existsSync, readFileSync } from 'node:fs';

const SERIOUS = /\[(?:\w+:)?(?:warn|error|crit|alert|emerg)\]/;

/**
 * Lines of httpd itself that say nothing about us: it warns when asked to stop while a request is running, and at every
 * start about parts of the machine that tests don't control.
 */
const ALWAYS_FINE = [
  /AH00558|AH00045|AH00046|AH10159/, // server's name unknown; a child did not exit yet
];

export class ErrorLog {
  readonly #path: string;
  readonly #announced: RegExp[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  /** All lines so far. */
  lines(): string[] {
    if (!existsSync(this.#path)) return [];
    return readFileSync(this.#path, 'utf8').split('\n').filter(Boolean);
  }

  /** Lines that match. */
  matching(pattern: RegExp): string[] {
    return this.lines().filter((line) => pattern.test(line));
  }

  /** Announces lines that the test provokes. They are fine from now on, and need not come. */
  allow(...patterns: (RegExp | string)[]): void {
    this.#announced.push(...patterns.map((p) => (typeof p === 'string' ? new RegExp(p) : p)));
  }

  /** The serious lines that nobody announced. */
  unexpected(): string[] {
    return this.lines().filter(
      (line) =>
        SERIOUS.test(line) &&
        !ALWAYS_FINE.some((p) => p.test(line)) &&
        !this.#announced.some((p) => p.test(line)),
    );
  }

  /** @throws Error that lists every serious line that was not announced. */
  expectClean(): void {
    const bad = this.unexpected();
    if (bad.length > 0)
      throw new Error(`unannounced lines in Apache's error log:\n${bad.join('\n')}`);
  }

  /** The last lines, for the message of a failure. */
  tail(count = 40): string {
    return this.lines().slice(-count).join('\n');
  }
}
