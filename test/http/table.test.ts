import { expect } from 'chai';
import fc from 'fast-check';
import type { Exchange } from '../../src/http/exchange.ts';
import { ExchangeTable } from '../../src/http/table.ts';

describe('the table of exchanges', () => {
  it('is to its user a map from ids, whatever ids there are', () => {
    const id = fc.oneof(fc.nat(40), fc.integer({ min: 1, max: 0xffff }));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), id)), (steps) => {
        const table = new ExchangeTable();
        const model = new Map<number, Exchange>();
        for (const [isAdded, one] of steps) {
          const exchange = { id: one } as unknown as Exchange;
          if (isAdded) {
            table.set(exchange);
            model.set(one, exchange);
          } else {
            table.delete(one);
            model.delete(one);
          }
          expect(table.size).to.equal(model.size);
        }
        for (const [, one] of steps) expect(table.get(one)).to.equal(model.get(one));
      }),
    );
  });
});
