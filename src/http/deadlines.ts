/** request-timeout: ends exchanges whose app takes too long until its response head. */
import type { Exchange } from './exchange.ts';
import type { ExchangeTable } from './table.ts';

/** Between two looks: a hundredth of the limit, within these. Apache waits a second more than the limit. */
const MIN_STEP_MS = 50;
const MAX_STEP_MS = 250;

/**
 * One timer for all exchanges, which runs only while there are any: a request pays for neither a timer
 * nor a look at the clock. The time of an exchange counts from the first look that finds it whole, so it
 * ends at most two steps late, and never early.
 */
export class Deadlines {
  readonly #exchanges: ExchangeTable;
  readonly #expire: (exchange: Exchange) => void;
  #timer: NodeJS.Timeout | undefined;
  #stepMs = MAX_STEP_MS;

  constructor(exchanges: ExchangeTable, expire: (exchange: Exchange) => void) {
    this.#exchanges = exchanges;
    this.#expire = expire;
  }

  /** An exchange with this limit is in the table; 0 = it has none. */
  watch(timeoutMs: number): void {
    if (timeoutMs === 0) return;
    const stepMs = Math.max(MIN_STEP_MS, Math.min(MAX_STEP_MS, timeoutMs / 100));
    if (this.#timer !== undefined && stepMs >= this.#stepMs) return;
    clearInterval(this.#timer);
    this.#stepMs = stepMs;
    this.#timer = setInterval(() => {
      this.#look();
    }, stepMs).unref();
  }

  #look(): void {
    if (this.#exchanges.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const now = performance.now();
    for (const exchange of this.#exchanges) {
      const { timeoutMs } = exchange.head;
      if (timeoutMs === 0 || !exchange.isAnswerDue) continue;
      if (exchange.dueSince === 0) exchange.dueSince = now;
      else if (now - exchange.dueSince >= timeoutMs) this.#expire(exchange);
    }
  }
}
