import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { contenders } from '../../bench/contenders.ts';
import { isNeeded, parseGoal } from '../../bench/goals.ts';
import { growths } from '../../bench/growth.ts';
import { loadNames } from '../../bench/loads.ts';
import { choose, parseOptions, UsageError, type Catalogue } from '../../bench/options.ts';
import { MissingPackages, provide, type System } from '../../bench/packages.ts';
import { workers } from '../../bench/workers.ts';
import { root } from '../harness/place.ts';

const everybody = [...contenders, ...workers, ...growths];

describe('the command line of the benchmark', () => {
  const catalogue: Catalogue = {
    ...{ contenders: ['static', 'tsgi-callable', 'tsgi-server'], loads: ['hello', 'tls', 'alone'] },
    goals: [parseGoal('hello|16 64|cpuUs|tsgi-callable|static|≤ 0.5|a goal')],
  };
  const chosen = (args: readonly string[], usual = [1, 16, 64]) => {
    const { connectionsOf } = parseOptions(args, catalogue);
    return catalogue.contenders.flatMap((contender) =>
      ['hello', 'tls'].flatMap((load) =>
        connectionsOf(load, contender, usual).map((n) => `${contender}/${load}@${n}`),
      ),
    );
  };

  it('measures everything at all usual connections unless told otherwise', () => {
    expect(chosen([])).to.have.length(3 * 2 * 3);
    expect(chosen(['--connections', '8'])).to.have.length(3 * 2);
  });

  it('measures what the goals need, once, when it is to be quick', () => {
    expect(chosen(['--quick'])).to.deep.equal(['static/hello@16', 'tsgi-callable/hello@16']);
  });

  it('combines names of contenders and of loads, and takes pairs', () => {
    expect(chosen(['--only', 'tsgi-*,hello', '--connections', '16'])).to.deep.equal([
      'tsgi-callable/hello@16',
      'tsgi-server/hello@16',
    ]);
    expect(chosen(['--only', 'static/tls', '--quick'])).to.deep.equal(['static/tls@16']);
    expect(chosen(['tls', '--quick'])).to.have.length(3);
  });

  it('does not split a server alone by connections', () => {
    const { connectionsOf } = parseOptions(['--connections', '16'], catalogue);
    expect(connectionsOf('alone', 'static', [0])).to.deep.equal([0]);
  });

  it('refuses names and numbers that mean nothing, and says what it expected', () => {
    expect(() => choose(['hallo'], catalogue)).to.throw(UsageError, 'got "hallo"');
    expect(() => choose(['static/hallo'], catalogue)).to.throw(UsageError, 'static/hallo');
    for (const bad of ['0', 'x', '-1', '601', '1.5', '']) {
      expect(() => parseOptions([`--seconds=${bad}`], catalogue), bad).to.throw('--seconds from 1');
    }
    expect(() => parseOptions(['--connections', '16,9999'], catalogue)).to.throw('9999');
  });

  it('needs of a goal its own load only', () => {
    expect(isNeeded(catalogue.goals, 'hello', 'static', 64, false)).to.be.true;
    expect(isNeeded(catalogue.goals, 'hello', 'static', 64, true)).to.be.false;
    expect(isNeeded(catalogue.goals, 'tls', 'static', 16, false)).to.be.false;
  });
});

describe('the apps of the benchmark', () => {
  it('are told apart in docs/performance.md by the names that --only takes', () => {
    const page = readFileSync(join(root, 'docs/performance.md'), 'utf8');
    const missing = [...everybody.map(({ name }) => name), ...loadNames].filter(
      (name) => !page.includes(`\`${name.replace(/-2$/, '')}`),
    );
    expect(missing).to.deep.equal([]);
  });
});

describe('what the benchmark needs of the system', () => {
  const system = (present: string[], canInstall: boolean, arrives: readonly string[] = []) => {
    const installed: string[] = [];
    const made: System = {
      has: (file) => present.includes(file),
      canInstall,
      install(packages) {
        installed.push(...packages);
        present.push(...arrives);
      },
    };
    return { made, installed };
  };

  it('is installed by its packages, only what is missing, once', () => {
    const { made, installed } = system(['wrk'], true, ['h2load', 'uwsgi']);
    provide(['wrk', 'h2load', 'uwsgi', 'h2load'], made);
    expect(installed).to.deep.equal(['nghttp2-client', 'uwsgi-core', 'uwsgi-plugin-python3']);
  });

  it('is named with the one command to run where it cannot be installed', () => {
    const { made, installed } = system([], false);
    expect(() => {
      provide(['wrk', 'nginx'], made);
    }).to.throw(
      MissingPackages,
      'expected wrk, nginx, not installed: run "apt-get install --no-install-recommends wrk nginx-light" as root',
    );
    expect(installed).to.deep.equal([]);
  });

  it('is named when apt-get failed', () => {
    const { made } = system([], true, ['wrk']);
    expect(() => {
      provide(['wrk', 'nginx'], made);
    }).to.throw(MissingPackages, 'apt-get did not install nginx');
  });
});
