import { expect } from 'chai';
import { isAlive, TestGroup } from './harness.ts';

const app = (when: string) => `
const answer = (req, res) => res.end(String(typeof process.send));
require('node:http').createServer(answer).listen(3000);
${when}`;

describe('readiness', () => {
  let group: TestGroup;
  afterEach(() => group.stop());

  it('is what the app says with ready=message, not that it listens', async () => {
    group = new TestGroup(['ready=message']);
    const { socket, script } = group.serve(
      'app.js',
      `let word = 'too early';
      require('node:http').createServer((req, res) => res.end(word)).listen(3000);
      setTimeout(() => {
        word = 'in time';
        process.send('ready', () => console.log('said'));
      }, 300);`,
    );
    expect((await group.ask(socket, script)).body).to.equal('in time');
    await group.logged(/out said$/);
  });

  it('may be said before the app listens', async () => {
    group = new TestGroup(['ready=message']);
    const { socket, script } = group.serve('app.js', `process.send('ready');${app('')}`);
    expect((await group.ask(socket, script)).body).to.equal('function');
  });

  it('has to be said within startup-timeout', async () => {
    group = new TestGroup(['ready=message', 'startup-timeout=500']);
    const { socket, script } = group.serve('app.js', app(`process.send('almost');`));
    await group.logged(/TSGI0621: the app .*app\.js did not call process\.send/);
    expect((await group.ask(socket, script)).unavailable?.code).to.equal(621);
  });

  it('decides when an old worker may go', async () => {
    group = new TestGroup(['ready=message', 'script-reloading=on', 'startup-timeout=700']);
    const pidApp = (tail: string) =>
      `require('node:http').createServer((q, s) => s.end(String(process.pid))).listen(1);${tail}`;
    const { socket, script } = group.serve('app.js', pidApp(`process.send('ready')`));
    const old = Number((await group.ask(socket, script)).body);
    group.write('app.js', pidApp(''));
    await group.logged(/TSGI0512/);
    expect(isAlive(old)).to.equal(true);
    expect(Number((await group.ask(socket, script)).body)).to.equal(old);
  });

  it('is that the app listens otherwise, and there is no process.send()', async () => {
    group = new TestGroup();
    const { socket, script } = group.serve('app.js', app(''));
    expect((await group.ask(socket, script)).body).to.equal('undefined');
  });
});
