import { readdirSync } from 'node:fs';
import { expect } from 'chai';
import { waitFor } from '../harness/wait.ts';
import { isAlive, TestGroup } from './harness.ts';

const app = `
const ways = {
  '/exit': () => process.exit(3),
  '/': (req, res) => res.end(String(process.pid)),
};
module.exports = (req, res) => ways[req.url](req, res);
`;

describe('the inquest socket of a supervisor', () => {
  let group: TestGroup;
  let socket: string;
  let script: string;
  let pid: number;
  beforeEach(async () => {
    group = new TestGroup();
    ({ socket, script } = group.serve('app.js', app));
    pid = Number((await group.ask(socket, script)).body);
  });
  afterEach(async () => {
    await group.stop();
  });

  it('tells how a worker died, again and again', async () => {
    await group.ask(socket, script, '/exit').catch(() => undefined);
    expect(await group.question(pid)).to.equal('exit status 3');
    expect(await group.question(pid)).to.equal('exit status 3');
  });

  it('waits for the end of a worker that is just dying', async () => {
    process.kill(group.pid, 'SIGSTOP');
    const asked = group.question(pid);
    process.kill(pid, 'SIGKILL');
    await waitFor(() => !isAlive(pid));
    process.kill(group.pid, 'SIGCONT');
    expect(await asked).to.equal('signal SIGKILL');
  });

  it('says so of a worker that lives', async () => {
    expect(await group.question(pid)).to.equal('it lives; the connection was closed');
    expect(isAlive(pid)).to.equal(true);
  });

  it('knows nothing of other processes, but that a supervisor before it may have had them', async () => {
    expect(await group.question(group.pid)).to.match(/^how it died is not known/);
    group.send('successor');
    expect(await group.question(group.pid)).to.equal('it died with its supervisor');
  });

  it('answers nobody who does not know the secret, and logs that once', async () => {
    expect(await group.question(pid, Buffer.alloc(36))).to.equal('');
    await group.logged(/TSGI0520: .*its secret is wrong/);
    expect(await group.question(pid, Buffer.alloc(36))).to.equal('');
    expect(group.log.filter((line) => line.includes('TSGI0520'))).to.have.length(1);
  });

  for (const [what, size] of [
    ['too short', 35],
    ['too long', 37],
  ] as const) {
    it(`answers no packet that is ${what}`, async () => {
      expect(await group.question(pid, Buffer.alloc(size))).to.equal('');
      await group.logged(/TSGI0520: .*it is no question/);
    });
  }

  it('closes the connection of those who ask nothing, and keeps nothing of anybody', async () => {
    const before = readdirSync(`/proc/${String(group.pid)}/fd`).length;
    const start = performance.now();
    expect(await group.question(pid, Buffer.alloc(0))).to.equal('');
    expect(performance.now() - start).to.be.greaterThan(900);
    await group.question(group.pid);
    expect(readdirSync(`/proc/${String(group.pid)}/fd`).length).to.equal(before);
    expect(group.log.filter((line) => line.includes('TSGI05'))).to.deep.equal([]);
  });
});
