import { expect } from 'chai';
import { events } from '../chaos/events/index.ts';
import { runEvent } from '../chaos/runner.ts';

// The short form of `npm run test:chaos`: few faults, no verdict about durations.
describe('under load', () => {
  for (const event of events) {
    const { short: times } = event;
    if (times === undefined) continue;
    it(`${event.name}: ${event.goal}`, async function () {
      this.timeout(90_000);
      const row = await runEvent(event, { times, isTimed: false, mpm: 'event' });
      if (row.verdict === 'skipped') this.skip();
      expect(row.reasons).to.deep.equal([]);
      expect(row.requests).to.be.greaterThan(0);
    });
  }
});
