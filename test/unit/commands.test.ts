import { expect } from 'chai';
import fc from 'fast-check';
import { TsgiError } from '../../src/errors.ts';
import { parseCommand, type Command } from '../../src/supervisor/commands.ts';

const generation = '0f'.repeat(16);
const secret = 'ab'.repeat(32);

function parse(fields: readonly string[], fds: readonly number[] = []): Command {
  return parseCommand(Buffer.from(fields.map((field) => `${field}\0`).join('')), fds);
}

function groupOf(...pairs: string[]): Extract<Command, { verb: 'group' }>['options'] {
  const command = parse(['group', 'shop', generation, secret, ...pairs]);
  if (command.verb !== 'group') throw new Error(command.verb);
  return command.options;
}

describe('parseCommand', () => {
  it('reads a group with its defaults', () => {
    expect(groupOf()).to.deep.equal({
      name: 'shop',
      generation,
      secret,
      processes: 1,
      concurrency: 64,
      maxUpgrades: 0,
      upgradeIdleTimeoutMs: 0,
      peerUid: -1,
      node: process.execPath,
      nodeArgs: [],
      scriptArgs: [],
      env: [],
      startupTimeoutMs: 15_000,
      gracefulTimeoutMs: 15_000,
      evictionTimeoutMs: 15_000,
      deadlockTimeoutMs: 60_000,
      isReloading: false,
      port: 80,
      ready: 'listen',
      reload: 'rolling',
      watch: [],
      limits: {
        maximumRequests: 0,
        restartIntervalMs: 0,
        jitter: 0.1,
        inactivityMs: 0,
        memory: 0,
        cpuMs: 0,
      },
      shutdownTimeoutMs: 5_000,
    });
  });

  it('reads what a group says', () => {
    const options = groupOf(
      'node=/opt/node',
      'home=/srv',
      'node-arg=--import',
      'node-arg=x=y',
      'script-arg=--port',
      'script-arg=80',
      'env=A=1',
      'env=B=b=c',
      'env=EMPTY=',
      'startup-timeout=250',
      'display-name=a %{GROUP}',
      'umask=0022',
      'script-reloading=on',
      'port=8080',
      'listen=port:3000',
      'ready=message',
      'reload=all',
      'maximum-requests=500',
      'jitter=0',
      'restart-interval=86400000',
      'inactivity-timeout=60000',
      'memory-limit=1099511627776',
      'cpu-time-limit=1000',
      'watch=lib/**/*.js',
      'watch=tmp/restart',
      'unknown=1',
    );
    expect(options).to.deep.include({
      node: '/opt/node',
      home: '/srv',
      nodeArgs: ['--import', 'x=y'],
      scriptArgs: ['--port', '80'],
      env: [
        ['A', '1'],
        ['B', 'b=c'],
        ['EMPTY', ''],
      ],
      startupTimeoutMs: 250,
      isReloading: true,
      limits: {
        maximumRequests: 500,
        restartIntervalMs: 86_400_000,
        jitter: 0,
        inactivityMs: 60_000,
        memory: 1024 ** 4,
        cpuMs: 1000,
      },
      port: 8080,
      listenPort: 3000,
      ready: 'message',
      reload: 'all',
      watch: ['lib/**/*.js', 'tmp/restart'],
      displayName: 'a %{GROUP}',
    });
  });

  it('reads a group with the socket for questions about deaths', () => {
    expect(parse(['group', 'g', generation, secret], [9])).to.include({ inquestFd: 9 });
    expect(parse(['group', 'g', generation, secret])).to.include({ inquestFd: undefined });
  });

  it('takes listen=first as not given, and refuses what is neither', () => {
    expect(groupOf('listen=first')).not.to.have.property('listenPort');
    for (const value of ['port:', 'port:x', 'second']) {
      expect(() => groupOf(`listen=${value}`)).to.throw(/TSGI0502: .*expected first or port:N/);
    }
  });

  it('refuses a port that is none', () => {
    for (const value of ['0', '65536', 'x']) {
      expect(() => groupOf(`port=${value}`)).to.throw(/TSGI0502: .*expected 1 to 65535/);
    }
  });

  it('takes an empty value as not given', () => {
    expect(groupOf('home=', 'env-file=')).not.to.have.any.keys('home', 'envFile');
  });

  it('reads an exact application with its sockets', () => {
    const command = parse(
      ['app', 'shop|/', '2', 'boot', 'exact', '/srv/a.js', '/srv/b.js'],
      [7, 8],
    );
    expect(command).to.deep.equal({
      verb: 'app',
      application: 'shop|/',
      slots: 2,
      start: 'boot',
      scripts: { mode: 'exact', paths: ['/srv/a.js', '/srv/b.js'] },
      fds: [7, 8],
    });
  });

  it('reads a pattern, and a name that is empty', () => {
    const command = parse(['app', '', '1', 'on-demand', 'pattern', '/srv/'], [7]);
    expect(command).to.deep.include({
      application: '',
      scripts: { mode: 'pattern', roots: ['/srv/'] },
    });
  });

  for (const verb of ['successor', 'apps-end', 'drain', 'shutdown']) {
    it(`reads ${verb}`, () => {
      expect(parse([verb])).to.deep.equal({ verb });
    });
  }

  const wrong: readonly (readonly [string, readonly string[], number[]?])[] = [
    ['an unknown verb', ['dance']],
    ['no verb', ['']],
    ['a group without a name', ['group', '', generation, secret]],
    ['a generation that is too short', ['group', 'g', generation.slice(1), secret]],
    ['a secret that is no hex', ['group', 'g', generation, 'x'.repeat(64)]],
    ['a key without a value', ['group', 'g', generation, secret, 'home']],
    ['a number that is none', ['group', 'g', generation, secret, 'concurrency=many']],
    ['a number out of range', ['group', 'g', generation, secret, 'processes=0']],
    ['an env without =', ['group', 'g', generation, secret, 'env=NAME']],
    ['an app without slots', ['app', 'a', '0', 'boot', 'exact', '/x']],
    ['an app with an unknown start', ['app', 'a', '1', 'soon', 'exact', '/x']],
    ['an app with an unknown mode', ['app', 'a', '1', 'boot', 'maybe', '/x']],
    ['an app without scripts', ['app', 'a', '1', 'boot', 'exact']],
    ['an app with a relative script', ['app', 'a', '1', 'boot', 'exact', 'x.js']],
    ['fewer sockets than slots', ['app', 'a', '2', 'boot', 'exact', '/x'], [5]],
    ['sockets that nobody expects', ['drain'], [5]],
    ['a group with two sockets', ['group', 'g', generation, secret], [5, 6]],
  ];
  for (const [what, fields, fds] of wrong) {
    it(`refuses ${what} with TSGI0502`, () => {
      expect(() => parse(fields, fds))
        .to.throw(TsgiError)
        .with.property('number', 502);
    });
  }

  it('refuses any other bytes with TSGI0502, and never fails otherwise', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          parseCommand(Buffer.from(bytes), []);
        } catch (error) {
          expect(error).to.have.property('number', 502);
        }
      }),
    );
  });
});
