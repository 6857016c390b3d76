import { expect } from 'chai';
import fc from 'fast-check';
import { contenders } from '../../bench/contenders.ts';
import { goals, judge, parseGoal, type Goal } from '../../bench/goals.ts';
import { growths } from '../../bench/growth.ts';
import { loadNames, loads } from '../../bench/loads.ts';
import { disturbance, goalTable, markdown, show } from '../../bench/report.ts';
import { medianOf, relate, Results, type Sample } from '../../bench/results.ts';
import { draw } from '../../bench/svg.ts';
import { workers } from '../../bench/workers.ts';

const everybody = [...contenders, ...workers, ...growths];
const all = goals(20);

const goal = (more: Partial<Goal> = {}): Goal => ({
  ...{ text: 'a goal', load: 'hello', metric: 'cpuUs', of: ['us'], over: ['them'] },
  ...{ isDifference: false, connections: [16, 64], atMost: 0.5, ...more },
});

/** Samples of cpuUs. */
function measured(figures: Readonly<Record<string, readonly number[]>>): Results {
  const results = new Results();
  for (const [key, values] of Object.entries(figures)) {
    const [contender = '', connections = '0'] = key.split('@');
    for (const cpuUs of values) results.add('hello', contender, Number(connections), { cpuUs });
  }
  return results;
}

describe('the goals', () => {
  it('are about contenders, loads and numbers of connections that are measured', () => {
    expect(all.length).to.be.greaterThan(20);
    for (const { load, of, over, connections } of all) {
      expect(loadNames).to.include(load);
      const usual = load === 'alone' ? [0] : loads[load as keyof typeof loads].connections;
      expect(usual).to.include.members([...connections]);
      for (const name of [...of, ...over]) {
        const contender = everybody.find((one) => one.name === name);
        expect(contender?.loads, `${name}/${load}`).to.include(load);
      }
    }
  });

  it('have one limit each', () => {
    for (const { atMost, atLeast } of all) {
      expect([atMost, atLeast].filter((limit) => limit !== undefined)).to.have.length(1);
    }
  });

  it('want the start faster of newer Nodes', () => {
    const start = (major: number) =>
      goals(major).find(({ metric }) => metric === 'startMs')?.atMost;
    expect(start(22)).to.be.lessThan(start(20) ?? 0);
  });

  it('are refused when a line is none', () => {
    for (const line of [
      '',
      'hello | 16 | cpuUs | a | b | ≤ 1',
      'hello|16|speed|a|b|≤ 1|x',
      'hello|16|cpuUs|a|b|= 1|x',
    ]) {
      expect(() => parseGoal(line), line).to.throw('expected a goal');
    }
  });
});

describe('a goal', () => {
  it('is reached when the ratio is within the limit at all connections', () => {
    const results = measured({ 'us@16': [4], 'them@16': [10], 'us@64': [5], 'them@64': [10] });
    expect(judge(goal(), results)).to.include({ measured: 0.5, isReached: true });
  });

  it('is missed when one of several ratios is beyond the limit', () => {
    const results = measured({ 'us@16': [4], 'them@16': [10], 'us@64': [6], 'them@64': [10] });
    expect(judge(goal(), results)).to.include({ measured: 0.6, isReached: false });
  });

  it('compares with the best of several others', () => {
    const results = measured({ 'us@16': [15], 'them@16': [10], 'others@16': [12] });
    const atLeast = goal({ over: ['them', 'others'], atLeast: 1.3 });
    delete (atLeast as { atMost?: number }).atMost;
    expect(judge(atLeast, results)).to.include({ measured: 1.25, isReached: false });
  });

  it('counts the worst of several of ours', () => {
    const results = measured({ 'us@16': [4], 'we@16': [7], 'them@16': [10] });
    expect(judge(goal({ of: ['us', 'we'] }), results).measured).to.equal(0.7);
  });

  it('may be about a difference, or about the figure itself', () => {
    const results = measured({ us: [40], them: [30] });
    const alone = { connections: [0], atMost: 15 };
    expect(judge(goal({ ...alone, isDifference: true }), results).measured).to.equal(10);
    expect(judge(goal({ ...alone, over: [] }), results)).to.include({
      measured: 40,
      isReached: false,
    });
  });

  it('is neither reached nor missed when something that it needs was not measured', () => {
    for (const results of [
      measured({}),
      measured({ 'us@16': [4] }),
      measured({ 'us@16': [NaN], 'them@16': [10] }),
    ]) {
      expect(judge(goal(), results)).to.include({ measured: undefined, isReached: undefined });
    }
  });

  it('is judged by the connections that were measured', () => {
    const results = measured({ 'us@64': [4], 'them@64': [10] });
    expect(judge(goal(), results)).to.include({ measured: 0.4, isReached: true });
  });
});

describe('results', () => {
  it('are compared round by round, so that a disturbed round disturbs both', () => {
    const results = measured({ us: [10, 100, 12], them: [20, 200, 20] });
    const [us, them] = ['us', 'them'].map((name) => results.find('hello', name, 0));
    expect(relate(us, them, 'cpuUs')).to.equal(0.5);
  });

  it('leave out a round in which one of the two failed', () => {
    const results = measured({ us: [10, NaN, 12], them: [20, 10, NaN] });
    const [us, them] = ['us', 'them'].map((name) => results.find('hello', name, 0));
    expect(relate(us, them, 'cpuUs')).to.equal(0.5);
  });

  it('survive being written and read again', () => {
    const sample: fc.Arbitrary<Sample> = fc.record({ cpuUs: fc.nat(), perSecond: fc.nat() });
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1 }), (samples) => {
        const results = new Results();
        for (const one of samples) results.add('hello', 'us', 16, one);
        const again = Results.from(
          JSON.parse(JSON.stringify(results.cells)) as typeof results.cells,
        );
        expect(again.cells).to.deep.equal(results.cells);
        expect(medianOf(again.cells[0], 'cpuUs')).to.equal(medianOf(results.cells[0], 'cpuUs'));
      }),
    );
  });
});

describe('the report', () => {
  it('says of every goal what was measured and whether it is reached', () => {
    const results = measured({ 'us@16': [6], 'them@16': [10] });
    const text = goalTable([goal(), goal({ text: 'another', load: 'upload' })], results);
    expect(text).to.match(/\| a goal +\| +≤ 0\.5 \| +0\.60 \| missed +\|/);
    expect(text).to.not.include('another');
    expect(text).to.include('0 reached, 1 missed, 1 not measured');
  });

  it('names a goal of which something failed', () => {
    const results = measured({ 'us@16': [NaN], 'them@16': [10] });
    expect(goalTable([goal()], results)).to.match(/\| a goal +\| +≤ 0\.5 \| +– \| not measured \|/);
  });

  it('has a table for each load and number of connections, with ratios to mod_proxy_http', () => {
    const results = measured({ 'proxy-unix@16': [10], 'us@16': [4], 'us@64': [5] });
    const names = { load: (name: string) => `load ${name}`, contender: (name: string) => name };
    const text = markdown(results, [], { machine: 'this one' }, names);
    expect(text).to.include('- machine: this one');
    expect(text).to.include('## load hello, 16 connections');
    expect(text).to.include('CPU µs / proxy-unix');
    expect(text).to.match(/^\| us +\| +4\.00 \|.*\| +0\.40 \|/m);
    expect(text.split('## load hello, 64 connections')[1]).to.not.include('/ proxy-unix');
  });

  it('tells how much of the machine other programs took', () => {
    const results = new Results();
    expect(disturbance(results)).to.equal('not measured');
    for (const others of [0.01, 0.02, 0.5]) results.add('hello', 'us', 16, { others });
    expect(disturbance(results)).to.include('2 % of the CPUs (median), at most 50 %');
  });

  it('shows three digits or so', () => {
    expect([0.456, 12.34, 123.4, -12.34, NaN].map(show)).to.deep.equal([
      '0.46',
      '12.3',
      '123',
      '-12.3',
      '–',
    ]);
  });
});

describe('the plot', () => {
  const bars = [
    { name: 'a <b> & "c"', parts: [10, 5], note: '15 µs', isOurs: true },
    { name: 'other', parts: [20, 10], note: '30 µs', isOurs: false },
  ];
  const svg = draw({ title: 'CPU', legend: ['front', 'back'], bars });

  it('escapes what it is given', () => {
    expect(svg).to.include('a &lt;b> &amp; &quot;c&quot;');
  });

  it('has a bar for each part, as long as its figure says', () => {
    const widths = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, w]) => Number(w));
    expect(widths).to.have.length(2 + 4); // the legend has two
    const [first = 0, second = 0, third = 0] = widths.slice(2);
    expect(first / second).to.be.closeTo(2, 0.01);
    expect(third / first).to.be.closeTo(2, 0.01);
  });

  it('stays within its width, and draws nothing where nothing was measured', () => {
    expect(draw({ title: 'none', legend: [], bars: [] })).to.include('</svg>');
    const right = [...svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g)].map(
      ([, x, w]) => Number(x) + Number(w),
    );
    expect(Math.max(...right)).to.be.lessThan(820);
  });
});
