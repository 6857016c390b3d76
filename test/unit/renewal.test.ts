import { expect } from 'chai';
import { newLife } from '../../src/supervisor/recycling.ts';
import { Renewal } from '../../src/supervisor/renewal.ts';
import { Slot } from '../../src/supervisor/slot.ts';
import type { SlotState } from '../../src/supervisor/states.ts';
import { Worker } from '../../src/supervisor/worker.ts';

const limits = {
  maximumRequests: 0,
  restartIntervalMs: 0,
  jitter: 0,
  inactivityMs: 0,
  memory: 0,
  cpuMs: 0,
};

function slots(...states: SlotState[]): Slot[] {
  return states.map((state, index) => {
    const slot = new Slot(index, index, `slot ${String(index)}`, -1);
    slot.state = state;
    return slot;
  });
}
const indexes = (renewal: Renewal, all: readonly Slot[]) =>
  renewal.take(all).map(({ slot }) => slot.index);

describe('Renewal', () => {
  it('takes one slot after the other, each when the one before has no successor any more', () => {
    const all = slots('ready', 'ready');
    const renewal = new Renewal(false);
    for (const slot of all) renewal.add(slot, 'reload');
    expect(indexes(renewal, all)).to.deep.equal([0]);
    const [first] = all;
    if (first) first.successor = new Worker(first, 'fresh', newLife(limits));
    expect(indexes(renewal, all)).to.deep.equal([]);
    if (first) first.successor = undefined;
    expect(indexes(renewal, all)).to.deep.equal([1]);
    expect(indexes(renewal, all)).to.deep.equal([]);
  });

  it('takes all slots of a reload at once where reload=all says so, but never those of a recycle', () => {
    const all = slots('ready', 'ready', 'ready');
    const renewal = new Renewal(true);
    for (const slot of all) renewal.add(slot, 'recycle');
    expect(indexes(renewal, all)).to.deep.equal([0]);
    for (const slot of all) renewal.add(slot, 'reload');
    expect(indexes(renewal, all)).to.deep.equal([1, 2, 0]);
  });

  it('does not wait for a slot that boots to reload it, but to recycle it', () => {
    const all = slots('booting', 'ready');
    const renewal = new Renewal(false);
    for (const slot of all) renewal.add(slot, 'recycle');
    expect(indexes(renewal, all)).to.deep.equal([1]);
    expect(indexes(renewal, all)).to.deep.equal([]);
    for (const slot of all) renewal.add(slot, 'reload');
    expect(indexes(renewal, all)).to.deep.equal([0]);
  });

  it('forgets a slot that failed', () => {
    const all = slots('waiting', 'ready');
    const renewal = new Renewal(false);
    for (const slot of all) renewal.add(slot, 'reload');
    expect(indexes(renewal, all)).to.deep.equal([1]);
    for (const slot of all) slot.state = 'ready';
    expect(indexes(renewal, all)).to.deep.equal([]);
  });

  it('serves reloads before recycles, and forgets by reason', () => {
    const all = slots('ready', 'ready');
    const renewal = new Renewal(false);
    const [first, second] = all;
    if (!first || !second) throw new Error('two slots expected');
    renewal.add(first, 'recycle');
    renewal.add(second, 'reload');
    renewal.add(second, 'recycle');
    expect(renewal.take(all)).to.deep.equal([{ slot: second, reason: 'reload' }]);
    renewal.clear('reload');
    expect(indexes(renewal, all)).to.deep.equal([0]);
  });
});
