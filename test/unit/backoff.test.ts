import { expect } from 'chai';
import { Backoff } from '../../src/supervisor/backoff.ts';

const MIDDLE = (): number => 0.5;

describe('Backoff', () => {
  it('doubles from 100 ms to 30 s', () => {
    const backoff = new Backoff(MIDDLE);
    const delays = Array.from({ length: 11 }, () => backoff.fail());
    expect(delays).to.deep.equal([
      100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000,
    ]);
  });

  it('stays at 30 s however often it fails', () => {
    const backoff = new Backoff(MIDDLE);
    for (let i = 0; i < 5000; i++) backoff.fail();
    expect(backoff.fail()).to.equal(30_000);
  });

  it('varies by 20 % each way', () => {
    expect(new Backoff(() => 0).fail()).to.equal(80);
    expect(new Backoff(() => 0.9999).fail()).to.equal(120);
  });

  it('allows at most 12 starts in the first minute, and fewer in later ones', () => {
    const startsPerMinute = (backoff: Backoff): number[] => {
      const minutes = [1, 0, 0];
      for (let at = backoff.fail(); at < 180_000; at += backoff.fail()) {
        const minute = Math.floor(at / 60_000);
        minutes[minute] = (minutes[minute] ?? 0) + 1;
      }
      return minutes;
    };
    expect(startsPerMinute(new Backoff(() => 0))).to.deep.equal([10, 3, 2]);
    expect(startsPerMinute(new Backoff(MIDDLE))).to.deep.equal([10, 2, 2]);
  });

  it('begins anew after a reset', () => {
    const backoff = new Backoff(MIDDLE);
    backoff.fail();
    backoff.fail();
    backoff.reset();
    expect(backoff.failures).to.equal(0);
    expect(backoff.fail()).to.equal(100);
  });

  it('begins anew for what worked ten times as long as it had to wait', () => {
    const backoff = new Backoff(MIDDLE);
    for (let i = 0; i < 20; i++) {
      backoff.worked(1000);
      expect(backoff.fail()).to.equal(100);
    }
    backoff.worked(999);
    expect(backoff.fail()).to.equal(200);
    backoff.worked(1999);
    expect(backoff.fail()).to.equal(400);
    backoff.worked(4000);
    expect(backoff.fail()).to.equal(100);
  });

  it('goes on growing for what works for a moment each time', () => {
    const backoff = new Backoff(MIDDLE);
    const delays = Array.from({ length: 9 }, () => {
      backoff.worked(500);
      return backoff.fail();
    });
    expect(delays.at(-1)).to.equal(25_600);
  });
});
