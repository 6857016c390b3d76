import { expect } from 'chai';
import {
  beginLife,
  heapArguments,
  isHopeless,
  jittered,
  judge,
  judgeAt,
  newLife,
  noteStats,
  statsIntervalMs,
  type Life,
  type Limits,
} from '../../src/supervisor/recycling.ts';
import { usageOf } from '../../src/supervisor/usage.ts';

const none: Limits = {
  maximumRequests: 0,
  restartIntervalMs: 0,
  jitter: 0.1,
  inactivityMs: 0,
  memory: 0,
  cpuMs: 0,
};
const MIB = 1024 * 1024;

/** A worker that got ready at 1000. */
function lifeWith(limits: Limits, random = 0): Life {
  const life = newLife(limits, () => random);
  beginLife(life, limits, 1000, () => random);
  return life;
}

describe('the life of a worker', () => {
  it('has no end without limits', () => {
    const life = lifeWith(none);
    Object.assign(life, { requests: 1e9, memory: 1e12, cpuMs: 1e12 });
    expect(judge(life, none, 1e15, false)).to.equal(undefined);
    expect(judgeAt(life, none, false)).to.equal(Infinity);
    expect(isHopeless(life, none)).to.equal(false);
  });

  it('ends at maximum-requests, up to jitter earlier', () => {
    const limits = { ...none, maximumRequests: 500 };
    expect(lifeWith(limits, 0.5).maximumRequests).to.equal(475);
    const life = lifeWith(limits);
    noteStats(life, 499, 1, 2000);
    expect(judge(life, limits, 2000, false)).to.equal(undefined);
    noteStats(life, 500, 1, 2001);
    expect(judge(life, limits, 2001, false)).to.deep.equal({
      kind: 'recycle',
      cause: '500 requests',
      isSuspicious: false,
    });
  });

  it('ends after restart-interval, up to jitter earlier', () => {
    const limits = { ...none, restartIntervalMs: 10_000 };
    expect(lifeWith(limits, 1).restartAt).to.equal(10_000);
    const life = lifeWith(limits);
    expect(judgeAt(life, limits, false)).to.equal(11_000);
    expect(judge(life, limits, 10_999, false)).to.equal(undefined);
    expect(judge(life, limits, 11_000, false)?.kind).to.equal('recycle');
  });

  it('has jitter that leaves at least one request', () => {
    expect(jittered(1, 1, 0.99)).to.equal(1);
    expect(jittered(0, 1, 0.5)).to.equal(Infinity);
  });

  it('ends when nobody asked for inactivity-timeout, unless something is in hand', () => {
    const limits = { ...none, inactivityMs: 5000 };
    const life = lifeWith(limits);
    noteStats(life, 1, 1, 2000);
    expect(judge(life, limits, 100_000, false)).to.equal(undefined);
    expect(judgeAt(life, limits, false)).to.equal(Infinity);
    noteStats(life, 1, 0, 50_000);
    expect(judgeAt(life, limits, false)).to.equal(55_000);
    expect(judge(life, limits, 54_999, false)).to.equal(undefined);
    expect(judge(life, limits, 55_000, false)?.kind).to.equal('recycle');
  });

  it('is not renewed for inactivity before it was used, but sleeps where it is on demand', () => {
    const limits = { ...none, inactivityMs: 5000 };
    const life = lifeWith(limits);
    expect(judge(life, limits, 1e9, false)).to.equal(undefined);
    expect(judge(life, limits, 5999, true)).to.equal(undefined);
    expect(judge(life, limits, 6000, true)?.kind).to.equal('sleep');
  });

  it('ends above memory-limit, and is hopeless above twice as much', () => {
    const limits = { ...none, memory: 100 * MIB };
    const life = lifeWith(limits);
    life.memory = 100 * MIB;
    expect(judge(life, limits, 2000, false)).to.equal(undefined);
    life.memory++;
    expect(judge(life, limits, 2000, false)).to.include({ kind: 'recycle', isSuspicious: true });
    life.memory = 200 * MIB;
    expect(isHopeless(life, limits)).to.equal(false);
    life.memory++;
    expect(isHopeless(life, limits)).to.equal(true);
  });

  it('ends at cpu-time-limit', () => {
    const limits = { ...none, cpuMs: 3000 };
    const life = lifeWith(limits);
    life.cpuMs = 2999;
    expect(judge(life, limits, 2000, false)).to.equal(undefined);
    life.cpuMs = 3000;
    expect(judge(life, limits, 2000, false)?.cause).to.equal('3 s of processor time');
  });

  it('is told by the worker only where that is needed', () => {
    expect(statsIntervalMs(none)).to.equal(0);
    expect(statsIntervalMs({ ...none, inactivityMs: 1000 })).to.equal(250);
    expect(statsIntervalMs({ ...none, inactivityMs: 60_000 })).to.equal(1000);
  });
});

describe("the heap of memory-limit's workers", () => {
  const limits = { ...none, memory: 400 * MIB };
  it('is a quarter larger than the limit', () => {
    expect(heapArguments(limits, ['--import', 'x'])).to.deep.equal(['--max-old-space-size=500']);
    expect(heapArguments(none, [])).to.deep.equal([]);
  });

  for (const option of ['--max-old-space-size=99', '--max_old_space_size=9', '--max-heap-size=7']) {
    it(`is left to ${option}`, () => {
      expect(heapArguments(limits, [option])).to.deep.equal([]);
    });
  }
});

describe('what a process uses', () => {
  it('is read from /proc', () => {
    const usage = usageOf(process.pid);
    const { user, system } = process.cpuUsage();
    expect(usage?.memory).to.be.within(
      process.memoryUsage.rss() / 2,
      process.memoryUsage.rss() * 2,
    );
    expect(usage?.cpuMs).to.be.within((user + system) / 2000, (user + system) / 500);
  });

  it('is unknown when it has gone', () => {
    expect(usageOf(2 ** 30)).to.equal(undefined);
  });
});
