import { expect } from 'chai';
import { waitFor } from '../harness/wait.ts';
import { Allowance } from '../../src/supervisor/allowance.ts';

describe('what one worker may log', () => {
  let now = 0;
  let reports: number[] = [];
  let allowance: Allowance;
  beforeEach(() => {
    now = 0;
    const own: number[] = (reports = []); // what earlier tests have dropped is told later
    allowance = new Allowance({ now: () => now, report: (dropped) => own.push(dropped) });
  });
  const taken = (lines: number, bytes: number, source: 'out' | 'err' = 'out') => {
    let count = 0;
    for (let i = 0; i < lines; i++) if (allowance.take(source, bytes)) count++;
    return count;
  };

  it('is 5000 lines at once, then 1000 a second', () => {
    expect(taken(6000, 10)).to.equal(5000);
    now += 500;
    expect(taken(6000, 10)).to.equal(500);
    now += 60_000;
    expect(taken(6000, 10)).to.equal(5000);
  });

  it('is 4 MiB at once, then 1 MiB a second, the last line whole', () => {
    expect(taken(100, 64 * 1024)).to.equal(64);
    now += 1000;
    expect(taken(100, 64 * 1024)).to.equal(16);
    now += 1000;
    expect(taken(100, 10 * 1024 * 1024)).to.equal(1);
    now += 8000;
    expect(taken(100, 1)).to.equal(0);
  });

  it('is counted for each source apart: chatter on stdout hides no error', () => {
    expect(taken(6000, 10)).to.equal(5000);
    expect(taken(1, 10, 'err')).to.equal(1);
  });

  it('tells once what was dropped', async () => {
    taken(6000, 10);
    await waitFor(() => reports.length > 0);
    expect(reports).to.deep.equal([1000]);
  });
});
