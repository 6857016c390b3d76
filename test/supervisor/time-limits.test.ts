import { expect } from 'chai';
import { waitFor } from '../harness/wait.ts';
import { isAlive, TestGroup } from './harness.ts';

/** Has one request in hand for ever, and does not go by itself. */
const stubborn = `
process.on('SIGTERM', () => undefined);
module.exports = (req, res) => {
  if (req.url === '/') res.end(String(process.pid));
  if (req.url === '/block') for (;;);
};
`;
/** What it says when its time is over, and what the supervisor says of one that cannot speak. */
const ends = [
  ['/hang', (pid: string) => `^4 ${pid} host TSGI0731: .* 0\\.7 s .* cut off: 1`],
  ['/block', (pid: string) => `TSGI0508: .*pid ${pid}.* 0\\.7 s`],
] as const;

for (const [path, said] of ends) {
  describe(`a worker that does not finish what it has in hand (${path})`, () => {
    let group: TestGroup;
    afterEach(() => group.stop());

    /** @returns the pid of the worker that has the request. */
    async function hang(): Promise<number> {
      const { socket, script } = group.serve('app.js', stubborn);
      const pid = Number((await group.ask(socket, script)).body);
      let isSent = false;
      group
        .ask(socket, script, path, () => {
          isSent = true;
        })
        .catch(() => undefined); // It ends with its worker.
      await waitFor(() => isSent);
      return pid;
    }

    it('ends when graceful-timeout is over, after a reload', async () => {
      group = new TestGroup(['graceful-timeout=700', 'shutdown-timeout=5000']);
      const pid = await hang();
      process.kill(group.pid, 'SIGHUP');
      await group.logged(new RegExp(said(String(pid))));
      await waitFor(() => !isAlive(pid));
      await waitFor(() => group.workers().length === 1);
    });

    it('ends when shutdown-timeout is over, at the end', async () => {
      group = new TestGroup(['graceful-timeout=60000', 'shutdown-timeout=700']);
      const pid = await hang();
      group.send('shutdown');
      await group.logged(new RegExp(said(String(pid))));
      expect(await group.exited()).to.equal('status 0');
      expect(isAlive(pid)).to.equal(false);
    });
  });
}
