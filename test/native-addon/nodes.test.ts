import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { request, T } from './wire-client.ts';
import { KIND, nodes, TestWorker } from './worker.ts';

for (const node of nodes) {
  const version = execFileSync(node, ['--version'], { encoding: 'utf8' }).trim();

  describe(`the same binary in Node ${version}`, () => {
    let worker: TestWorker;
    beforeEach(async () => {
      worker = await TestWorker.start({ node });
    });
    afterEach(async () => {
      await worker.stop();
    });

    it('serves requests', async () => {
      const client = await worker.greet();
      client.send(request());
      const { id } = await worker.next(KIND.request);
      await worker.run(({ channel }, i) => channel.respond(i, 200, '', '', 'x', true, true), id);
      await client.expect(T.RESPONSE);
      await worker.next(KIND.finish);
    });

    it('writes what timers wrote, and wakes for what comes of it', async () => {
      await worker.run((host) => {
        host.onBatch = ([event]) => {
          if (event?.kind !== 1) return;
          setTimeout(() => host.channel.respond(event.id, 200, '', '', 'x', true, true), 5);
        };
      });
      const client = await worker.greet();
      client.send(request());
      await client.expect(T.RESPONSE);
      await worker.next(KIND.finish);
    });

    it('lets a response leave when the process exits', async () => {
      await worker.run((host) => {
        host.onBatch = ([event]) => {
          host.channel.respond(event?.id ?? 0, 200, '', '', 'last words', true, true);
          process.exit(0);
        };
      });
      const client = await worker.greet();
      client.send(request());
      await client.expect(T.RESPONSE);
      expect((await client.readBody()).toString()).to.equal('last words');
    });

    it('ends quietly with the channel open', async () => {
      await worker.greet();
      await worker.run((host) => {
        host.channel.unref();
        setImmediate(() => {
          process.disconnect();
        });
      });
      expect(await worker.waitForExit()).to.equal(0);
      expect(worker.stderr).to.equal('');
    });
  });
}
