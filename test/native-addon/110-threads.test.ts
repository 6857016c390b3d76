import { expect } from 'chai';
import { waitFor } from '../harness/wait.ts';
import { request, T } from './wire-client.ts';
import { addonPath, KIND, TestWorker } from './worker.ts';

describe('worker_threads', () => {
  let worker: TestWorker;
  afterEach(async () => {
    await worker.stop();
  });

  it('load the addon, each for itself, as often as one likes', async () => {
    worker = await TestWorker.start();
    const codes = await worker.run(async (_, path) => {
      const { Worker } = process.getBuiltinModule('node:worker_threads');
      const code = `const native = require(${JSON.stringify(path)});
        require('node:worker_threads').parentPort.postMessage(native.wireMajor);`;
      const result: unknown[] = [];
      for (let i = 0; i < 3; i++) {
        const thread = new Worker(code, { eval: true });
        thread.on('message', (value: unknown) => result.push(value));
        result.push(await new Promise((resolve) => thread.on('exit', resolve)));
      }
      return result;
    }, addonPath);
    expect(codes).to.deep.equal([1, 0, 1, 0, 1, 0]);
    (await worker.greet()).send(request());
    await worker.next(KIND.request);
  });

  /** Starts a thread in the worker that serves the listening socket and answers all. */
  async function serveInThread(end: string): Promise<void> {
    worker = await TestWorker.start({ channel: { idle: true }, stdio: ['pipe'] });
    await worker.run(
      async ({ kept }, path, how) => {
        const { Worker } = process.getBuiltinModule('node:worker_threads');
        const code = `
          const native = require(${JSON.stringify(path)});
          const { parentPort } = require('node:worker_threads');
          const channel = new native.Channel({
            fd: 3, generation: Buffer.alloc(16), secret: Buffer.alloc(32, 9), concurrency: 5, peerUid: -1,
            onEvents() {
              if (channel.events[0] !== 1) return;
              channel.respond(channel.events[1], 200, '', '', 'from a thread', true, true);
              ${how}
            },
          });
          channel.start();
          const times = { orphanKillMs: 1000, abandonKillMs: 1000 };
          new native.Watch({ fd: 5, apache: 0, ...times, onLine() {}, onEof() {}, onApacheEnd() {} });
          native.watchReadable(5, () => {});
          parentPort.postMessage('ready');`;
        const thread = new Worker(code, { eval: true });
        kept['thread'] = thread;
        thread.on('exit', (status) => {
          kept['status'] = status;
        });
        await new Promise((resolve) => thread.once('message', resolve));
      },
      addonPath,
      end,
    );
  }

  const status = (): Promise<unknown> => worker.run(({ kept }) => kept['status'] as unknown);

  it('serve with a channel of their own, and are terminated with it open', async () => {
    await serveInThread('');
    const client = await worker.greet();
    client.send(request());
    await client.expect(T.RESPONSE);
    expect((await client.readBody()).toString()).to.equal('from a thread');
    await worker.run(({ kept }) =>
      (kept['thread'] as { terminate(): Promise<number> }).terminate(),
    );
    await client.waitForEnd();
    expect(await status()).to.equal(1);
  });

  it('let a response leave although the thread ends in the same turn', async () => {
    await serveInThread('process.exit(3);');
    const client = await worker.greet();
    client.send(request());
    await client.expect(T.RESPONSE);
    expect((await client.readBody()).toString()).to.equal('from a thread');
    await waitFor(async () => (await status()) !== undefined);
    expect(await status()).to.equal(3);
  });

  it('end with the process, with everything open', async () => {
    await serveInThread('');
    await worker.greet();
    await worker.run(() => {
      setImmediate(() => process.exit(0));
    });
    expect(await worker.waitForExit()).to.equal(0);
    expect(worker.stderr).to.equal('');
  });
});
