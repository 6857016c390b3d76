import { expect } from 'chai';
import type { GroupOptions } from '../../src/supervisor/commands.ts';
import { readGroupEnvironment, workerEnvironment } from '../../src/supervisor/environment.ts';
import { supervisorTitle, workerTitle } from '../../src/supervisor/launch.ts';
import { Loop } from '../../src/supervisor/loop.ts';
import { inspectorAddress, workerArguments, workingDirectory } from '../../src/supervisor/spawn.ts';
import { move, slotMoves, workerMoves, type SlotState } from '../../src/supervisor/states.ts';

const noLimits = {
  maximumRequests: 0,
  restartIntervalMs: 0,
  jitter: 0.1,
  inactivityMs: 0,
  memory: 0,
  cpuMs: 0,
};
const options: GroupOptions = {
  name: 'shop',
  generation: '',
  secret: '',
  processes: 1,
  concurrency: 1,
  maxUpgrades: 0,
  upgradeIdleTimeoutMs: 0,
  peerUid: -1,
  node: '/usr/bin/node',
  nodeArgs: ['--enable-source-maps'],
  scriptArgs: ['--port', '80'],
  env: [['ONE', 'own']],
  startupTimeoutMs: 1,
  gracefulTimeoutMs: 1,
  evictionTimeoutMs: 1,
  deadlockTimeoutMs: 0,
  shutdownTimeoutMs: 1,
  isReloading: false,
  port: 80,
  ready: 'listen',
  reload: 'rolling',
  watch: [],
  limits: noLimits,
};

describe('the environment of workers', () => {
  it('holds what Apache made for the user, env-file and env, the later ones first', () => {
    const inherited = { HOME: '/home/shop', PATH: '/bin', SECRET_OF_APACHE: 'x', TZ: 'UTC' };
    const read = (path: string): string =>
      path === '/etc/shop.env' ? 'ONE=file\nTWO="a b" # note\n' : '';
    const environment = readGroupEnvironment(
      { ...options, envFile: '/etc/shop.env' },
      inherited,
      read,
    );
    expect(environment).to.deep.equal({
      HOME: '/home/shop',
      PATH: '/bin',
      TZ: 'UTC',
      ONE: 'own',
      TWO: 'a b',
    });
  });

  it('is not there while env-file cannot be read', () => {
    const read = (): string => {
      throw new Error('EACCES: permission denied');
    };
    const make = (): unknown =>
      readGroupEnvironment({ ...options, envFile: '/root/x' }, { USER: 'shop' }, read);
    expect(make).to.throw(/^TSGI0503: env-file \/root\/x cannot be read by shop: EACCES/);
  });

  it('tells the app where it is, and leaves PORT to the app', () => {
    const worker = workerEnvironment(
      { PORT: '3000', TSGI_HOSTED: 'no' },
      'shop',
      'shop|/',
      2,
      [],
      80,
    );
    expect(worker).to.deep.equal({
      PORT: '3000',
      NODE_ENV: 'production',
      TSGI_HOSTED: '1',
      TSGI_PROCESS_GROUP: 'shop',
      TSGI_APPLICATION_GROUP: 'shop|/',
      NODE_APP_INSTANCE: '2',
    });
  });

  it('is that of production, unless something else is said', () => {
    const of = (shared: Record<string, string>): unknown =>
      workerEnvironment(shared, 'g', 'a', 0, [], 80)['NODE_ENV'];
    expect(of({})).to.equal('production');
    expect(of({ NODE_ENV: 'test' })).to.equal('test');
    expect(of({ NODE_ENV: '' })).to.equal('');
  });

  it('has a port that an app can insist on', () => {
    expect(workerEnvironment({}, 'g', 'a', 0, [], 3000)).to.have.property('PORT', '3000');
    expect(workerEnvironment({ PORT: '5' }, 'g', 'a', 0, [], 3000)).to.have.property('PORT', '5');
  });

  it('keeps tsx from a cache that it could not make private', () => {
    for (const [shared, nodeArgs] of [
      [{}, ['--import', 'x']],
      [{ NODE_OPTIONS: '--loader=x' }, []],
      [{}, ['-r', 'tsx/cjs']],
    ] as const) {
      expect(workerEnvironment(shared, 'g', 'a', 0, nodeArgs, 80)).to.have.property(
        'TSX_DISABLE_CACHE',
        '1',
      );
    }
    expect(workerEnvironment({}, 'g', 'a', 0, ['--important'], 80)).not.to.have.property(
      'TSX_DISABLE_CACHE',
    );
  });
});

describe('the command line of a worker', () => {
  it('is node, its options, worker.cjs, the first script or the root of all, and its arguments', () => {
    const scripts = { mode: 'exact', paths: ['/srv/a.js', '/srv/b.js'] } as const;
    expect(workerArguments(options, '/lib/worker.cjs', scripts)).to.deep.equal([
      '--enable-source-maps',
      '/lib/worker.cjs',
      '/srv/a.js',
      '--port',
      '80',
    ]);
    const pattern = { mode: 'pattern', roots: ['/srv'] } as const;
    expect(workerArguments(options, '/lib/worker.cjs', pattern).slice(1)).to.deep.equal([
      '/lib/worker.cjs',
      '/srv',
      '--port',
      '80',
    ]);
  });

  it("lets a worker read what it is made of under Node's permission model", () => {
    const scripts = { mode: 'exact', paths: ['/srv/a.js'] } as const;
    for (const flag of ['--permission', '--experimental-permission']) {
      const given = { ...options, nodeArgs: [flag, '--allow-addons'] };
      expect(workerArguments(given, '/lib/worker.cjs', scripts)).to.deep.equal([
        '--allow-fs-read=/lib/*',
        '--allow-fs-read=/srv/a.js',
        flag,
        '--allow-addons',
        '/lib/worker.cjs',
        '/srv/a.js',
        '--port',
        '80',
      ]);
    }
  });

  it('has a port for the inspector that is its own', () => {
    expect(inspectorAddress('9230', 1)).to.deep.equal({ host: '127.0.0.1', port: 9231 });
    expect(inspectorAddress('127.0.0.2:9000', 2)).to.deep.equal({ host: '127.0.0.2', port: 9002 });
    expect(inspectorAddress('[::1]:9000', 0)).to.deep.equal({ host: '::1', port: 9000 });
    expect(inspectorAddress('on', 0)).to.deep.equal({ host: '127.0.0.1', port: 9229 });
  });

  it('is run in home, else in the directory of the script, else in /', () => {
    const scripts = (path: string) => ({ mode: 'exact', paths: [path] }) as const;
    expect(workingDirectory({ ...options, home: '/tmp' }, scripts('/usr/x.js'))).to.equal('/tmp');
    expect(workingDirectory(options, scripts('/usr/x.js'))).to.equal('/usr');
    expect(workingDirectory(options, scripts('/usr/share'))).to.equal('/usr/share');
    expect(workingDirectory(options, scripts('/no/such/place/x.js'))).to.equal('/');
    expect(() => workingDirectory({ ...options, home: '/no/such' }, scripts('/x'))).to.throw(
      /home=\/no\/such/,
    );
  });

  it('is shown by a title that names group and slot', () => {
    expect(supervisorTitle('shop', undefined)).to.equal('tsgi: supervisor shop');
    expect(workerTitle('shop', undefined, 1)).to.equal('tsgi: worker shop/1');
    expect(supervisorTitle('shop', '(tsgi:%{GROUP})')).to.equal('(tsgi:shop)');
    expect(workerTitle('shop', '(tsgi:%{GROUP})', 0)).to.equal('(tsgi:shop)/0');
  });
});

describe('states', () => {
  const slot = (state: SlotState) => ({ state, label: 'slot a/0' });

  it('move as the table allows, and say so', () => {
    const traces: string[] = [];
    const subject = slot('idle');
    move(subject, 'booting', slotMoves, (text) => traces.push(text));
    expect(subject.state).to.equal('booting');
    expect(traces).to.deep.equal(['slot a/0: idle -> booting']);
  });

  it('do not move otherwise', () => {
    expect(() => {
      move(slot('closed'), 'booting', slotMoves, () => undefined);
    }).to.throw('slot a/0 cannot go from closed to booting');
  });

  it('lead to an end from everywhere', () => {
    for (const [state, moves] of Object.entries(slotMoves))
      if (state !== 'closed') expect(moves).to.include('closed');
    for (const [state, moves] of Object.entries(workerMoves))
      if (state !== 'dead') expect(moves).to.include('dead');
  });
});

describe('Loop', () => {
  it('acts in its order, whatever came first, and then on its duties', async () => {
    const seen: string[] = [];
    const done = new Promise<void>((resolve) => {
      const loop = new Loop<{ kind: 'a' | 'b'; n: number }>({
        order: ['b', 'a'],
        act: ({ kind, n }) => seen.push(`${kind}${String(n)}`),
        duties: () => {
          seen.push('duties');
          resolve();
          return Infinity;
        },
        now: () => 0,
      });
      for (const [n, kind] of (['a', 'b', 'a', 'b'] as const).entries()) loop.post({ kind, n });
    });
    await done;
    expect(seen).to.deep.equal(['b1', 'b3', 'a0', 'a2', 'duties']);
  });

  it('wakes up when a duty is due', async () => {
    let turns = 0;
    const start = performance.now();
    await new Promise<void>((resolve) => {
      const loop = new Loop<{ kind: 'a' }>({
        order: ['a'],
        act: () => undefined,
        duties: () => {
          if (++turns === 2) resolve();
          return turns === 1 ? start + 20 : Infinity;
        },
        now: () => performance.now(),
      });
      loop.wake();
    });
    expect(performance.now() - start).to.be.greaterThan(15);
  });
});
