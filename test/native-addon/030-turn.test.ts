import { expect } from 'chai';
import { processOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';
import { body, bodyEnd, R_BODY, request, T } from './wire-client.ts';
import { KIND, TestWorker } from './worker.ts';

describe('one turn of the loop', () => {
  let worker: TestWorker;
  beforeEach(async () => {
    worker = await TestWorker.start();
  });
  afterEach(async () => {
    await worker.stop();
  });

  /** Stops the worker's loop while `send` runs, so that all of it waits for one turn. */
  async function whileBlocked(send: () => void | Promise<void>): Promise<void> {
    const { child } = worker;
    // Two round trips: with the second, the turn in which it read the greetings is surely over.
    for (let i = 0; i < 2; i++) await worker.run(() => undefined);
    child.kill('SIGSTOP');
    // A poll that is still under way would return with the first of what is sent.
    await waitFor(() => child.pid !== undefined && processOf(child.pid)?.state === 'T');
    await send();
    child.kill('SIGCONT');
  }

  it('hands over all requests that came in one call', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => worker.greet()));
    await whileBlocked(async () => {
      for (const client of clients) {
        await new Promise((resolve) => client.socket.write(request(), resolve));
      }
    });
    await waitFor(() => worker.events.length === 20);
    expect(worker.batches.length).to.equal(1);
  });

  it('hands over head, body and end of a request in one call, in order', async () => {
    const client = await worker.greet();
    await whileBlocked(
      () =>
        new Promise((resolve) => {
          client.socket.write(
            Buffer.concat([request({ flags: R_BODY }), body('a'), body('b'), bodyEnd()]),
            () => {
              resolve();
            },
          );
        }),
    );
    await worker.next(KIND.bodyEnd);
    expect(worker.batches.length).to.equal(1);
    expect(worker.events.map(({ kind }) => kind)).to.deep.equal([1, 2, 2, 3]);
  });

  it('writes when ticks and microtasks have run', async () => {
    await worker.run((host) => {
      host.onBatch = ([event]) => {
        if (event?.kind !== 1) return;
        host.channel.respond(event.id, 200, '', '', undefined, true, false);
        process.nextTick(() => {
          host.channel.write(event.id, 'tick ', true, false);
          void Promise.resolve().then(() => host.channel.write(event.id, 'microtask', true, true));
        });
      };
    });
    const client = await worker.greet();
    let writes = 0;
    client.socket.on('data', () => writes++);
    client.send(request());
    await client.expect(T.RESPONSE);
    expect((await client.readBody()).toString()).to.equal('tick microtask');
    expect(writes).to.equal(1);
  });

  it('writes what timers, immediates and I/O wrote', async () => {
    await worker.run((host) => {
      host.onBatch = ([event]) => {
        if (event?.kind !== 1) return;
        const { id } = event;
        setTimeout(() => {
          host.channel.respond(id, 200, '', '', 'timer ', true, false);
          setImmediate(() => {
            host.channel.write(id, 'immediate ', true, false);
            process
              .getBuiltinModule('node:fs')
              .stat('/', () => host.channel.write(id, 'io', true, true));
          });
        }, 5);
      };
    });
    const client = await worker.greet();
    client.send(request());
    await client.expect(T.RESPONSE);
    expect((await client.readBody()).toString()).to.equal('timer immediate io');
  });

  it('gives an error thrown in onEvents to uncaughtException, and goes on', async () => {
    await worker.run((host) => {
      process.on('uncaughtException', (error) => {
        host.kept['caught'] = error.message;
      });
      host.onBatch = () => {
        host.onBatch = undefined;
        throw new Error('thrown on purpose');
      };
    });
    const client = await worker.greet();
    client.send(request());
    await waitFor(
      async () => (await worker.run(({ kept }) => String(kept['caught']))) === 'thrown on purpose',
    );
    const other = await worker.greet();
    other.send(request({ uri: '/other' }));
    await waitFor(() => worker.events.some((event) => event.request?.['uri'] === '/other'));
  });

  it('hands over more events than its first array holds', async () => {
    const headers = Array.from({ length: 2000 }, (_, i) => [`X-${i}`, String(i)] as const);
    const client = await worker.greet();
    client.send(request({ headers }));
    const { request: head } = await worker.next(KIND.request);
    expect(head?.headers).to.deep.equal(headers);
  });

  it('keeps no loop alive that has unref called', async () => {
    await worker.run((host) => {
      host.channel.unref();
      setImmediate(() => {
        process.disconnect();
      });
    });
    expect(await worker.waitForExit()).to.equal(0);
  });

  it('may be closed by what it calls', async () => {
    const client = await worker.greet();
    const other = await worker.greet();
    await worker.run((host) => {
      host.onBatch = (batch) => {
        host.channel.respond(batch[0]?.id ?? 0, 200, '', '', 'lost', true, true);
        host.channel.close();
      };
    });
    client.send(request());
    await client.waitForEnd();
    await other.waitForEnd();
    expect(await worker.run(({ channel }) => channel.inHand)).to.equal(0);
  });
});
