import { expect } from 'chai';
import { R_STARTED, readHead, request, T } from './wire-client.ts';
import { type HostEvent, KIND, TestWorker } from './worker.ts';

describe('end of the process', () => {
  let worker: TestWorker;
  beforeEach(async () => {
    worker = await TestWorker.start();
  });
  afterEach(async () => {
    await worker.stop();
  });

  const ways: Record<string, string> = {
    'process.exit': 'process.exit(7)',
    'process.reallyExit': 'process.reallyExit(7)',
    'an uncaught error': 'throw new Error("thrown on purpose")',
    'an uncaught error in a tick':
      'process.nextTick(() => { throw new Error("thrown on purpose") })',
    'an unhandled rejection': 'Promise.reject(new Error("thrown on purpose"))',
    'native.fatalException': 'host.native.fatalException(new Error("thrown on purpose"))',
  };
  for (const [what, code] of Object.entries(ways)) {
    it(`lets a response leave whose turn ends by ${what}`, async () => {
      const client = await worker.greet();
      await worker.run((host, body) => {
        // eslint-disable-next-line @typescript-eslint/no-implied-eval -- one way per test
        const end = new Function('host', body) as (h: unknown) => void;
        host.onBatch = ([event]: HostEvent[]) => {
          host.channel.respond(event?.id ?? 0, 200, '', '', 'last words', true, true);
          end(host);
        };
      }, code);
      client.send(request());
      await client.expect(T.RESPONSE);
      expect((await client.readBody()).toString()).to.equal('last words');
      const status = await worker.waitForExit();
      expect(status).to.equal(code.includes('xit(7)') ? 7 : 1);
    });
  }

  it('refuses requests of the batch that the app was not given', async () => {
    const clients = await Promise.all([worker.greet(), worker.greet(), worker.greet()]);
    await worker.run((host) => {
      host.onBatch = (batch) => {
        if (batch.length < 3) return;
        host.channel.progress[0] = batch[1]?.at ?? 0;
        process.exit(0);
      };
    });
    worker.child.kill('SIGSTOP');
    for (const [i, client] of clients.entries()) {
      await new Promise((resolve) => client.socket.write(request({ uri: `/${i}` }), resolve));
    }
    worker.child.kill('SIGCONT');
    await worker.waitForExit();
    await clients[2].expect(T.REFUSED);
    for (const client of clients.slice(0, 2)) {
      await client.waitForEnd();
      expect(client.pending).to.deep.equal([]);
    }
  });

  it('refuses no request of the batch when nobody tells how far it was handed over', async () => {
    const client = await worker.greet();
    await worker.run((host) => {
      host.onBatch = () => process.exit(0);
    });
    client.send(request({ flags: R_STARTED }));
    await client.waitForEnd();
    expect(client.pending).to.deep.equal([]);
  });

  it('waits for a slow reader, but for one second at most', async () => {
    const client = await worker.greet();
    client.socket.pause();
    await worker.run((host) => {
      host.onBatch = ([event]) => {
        host.channel.respond(event?.id ?? 0, 200, '', '', Buffer.alloc(3_000_000), true, true);
        process.exit(0);
      };
    });
    const before = performance.now();
    client.send(request());
    await worker.waitForExit();
    expect(performance.now() - before).to.be.within(900, 3000);
  });

  it('writes everything to a reader that reads', async () => {
    const client = await worker.greet();
    await worker.run((host) => {
      host.onBatch = ([event]) => {
        host.channel.respond(event?.id ?? 0, 200, '', '', Buffer.alloc(3_000_000), true, true);
        process.exit(0);
      };
    });
    client.send(request());
    await client.expect(T.RESPONSE);
    expect((await client.readBody()).length).to.equal(3_000_000);
  });

  it('comes after flush() has written what waits, within the given time', async () => {
    const client = await worker.greet();
    client.send(request());
    const { id } = await worker.next(KIND.request);
    client.socket.pause();
    const ms = await worker.run(({ channel }, i) => {
      const begin = performance.now();
      channel.respond(i, 200, '', '', 'x', true, false);
      channel.flush(5000);
      const quick = performance.now() - begin;
      channel.write(i, Buffer.alloc(3_000_000), true, false);
      channel.flush(200);
      return [quick, performance.now() - begin];
    }, id);
    expect(ms[0]).to.be.lessThan(1000);
    expect(ms[1]).to.be.within(190, 2000);
    client.socket.resume();
    expect(readHead((await client.expect(T.RESPONSE)).payload, []).status).to.equal(200);
  });

  it('is quiet when the loop ends by itself with the channel open', async () => {
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
