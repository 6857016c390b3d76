/** The exchanges in hand, by id. */
import type { Exchange } from './exchange.ts';

const FIRST_SIZE = 64;

/**
 * An array and not a Map: a Map that is written all the time leaves its outgrown tables in V8's old space, where they keep
 * requests that are long over from being collected with the young. That doubled the CPU of a request
 * (measured with 16 in flight on Node 20).
 *
 * The place of an id is its low bits, which the addon gives out so that no two in hand share them; where
 * they do all the same, the array grows until they do not.
 */
export class ExchangeTable {
  #places: (Exchange | undefined)[] = new Array<undefined>(FIRST_SIZE).fill(undefined);
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  get(id: number): Exchange | undefined {
    const exchange = this.#places[id & (this.#places.length - 1)];
    return exchange?.id === id ? exchange : undefined;
  }

  /** Adds an exchange, or puts it in the place of another one with its id. */
  set(exchange: Exchange): void {
    let place = exchange.id & (this.#places.length - 1);
    for (let there = this.#places[place]; there !== undefined; there = this.#places[place]) {
      if (there.id === exchange.id) {
        this.#places[place] = exchange;
        return;
      }
      this.#grow();
      place = exchange.id & (this.#places.length - 1);
    }
    this.#places[place] = exchange;
    this.#size++;
  }

  delete(id: number): void {
    if (this.get(id) === undefined) return;
    this.#places[id & (this.#places.length - 1)] = undefined;
    this.#size--;
  }

  /** All of them, in no order; they may be deleted meanwhile. */
  *[Symbol.iterator](): Iterator<Exchange> {
    for (const exchange of this.#places) if (exchange !== undefined) yield exchange;
  }

  /** What did not collide in half the size does not in the double one. */
  #grow(): void {
    const before = this.#places;
    const size = before.length * 2;
    this.#places = new Array<undefined>(size).fill(undefined);
    for (const exchange of before) {
      if (exchange !== undefined) this.#places[exchange.id & (size - 1)] = exchange;
    }
  }
}
