import { expect } from 'chai';
import { waitFor } from '../harness/wait.ts';
import { FIN, request, T } from './wire-client.ts';
import { KIND, TestWorker } from './worker.ts';

describe('output', () => {
  let worker: TestWorker;
  beforeEach(async () => {
    worker = await TestWorker.start();
  });
  afterEach(async () => {
    await worker.stop();
  });

  /** Bytes in which every position can be told, made by the test and the worker alike. */
  const pattern = (size: number): Buffer =>
    Buffer.from(Array.from({ length: size }, (_, i) => (i * 31) & 0xff));

  for (const size of [1, 16_383, 16_384, 65_536, 65_537, 5_000_001]) {
    it(`sends ${size} bytes in frames that the wire allows`, async () => {
      const client = await worker.greet();
      client.send(request());
      const { id } = await worker.next(KIND.request);
      await worker.run(
        ({ channel }, i, n) => {
          const bytes = Buffer.from(Array.from({ length: n }, (_, k) => (k * 31) & 0xff));
          channel.respond(i, 200, '', '', bytes, true, true);
        },
        id,
        size,
      );
      await client.expect(T.RESPONSE);
      const pieces = [];
      for (let last = false; !last;) {
        const data = await client.expect(T.DATA);
        expect(data.payload.length).to.be.within(1, 262_144);
        pieces.push(data.payload);
        last = (data.flags & FIN) !== 0;
      }
      expect(Buffer.concat(pieces).equals(pattern(size))).to.equal(true);
      await worker.next(KIND.finish);
    });
  }

  for (const latin1 of [true, false]) {
    it(`sends large strings as ${latin1 ? 'latin1' : 'UTF-8'}`, async () => {
      const client = await worker.greet();
      client.send(request());
      const { id } = await worker.next(KIND.request);
      await worker.run(
        ({ channel }, i, l) => {
          channel.respond(i, 200, '', '', 'ä'.repeat(300_000), l, false);
          channel.write(i, 'ö'.repeat(30_000), l, true);
        },
        id,
        latin1,
      );
      await client.expect(T.RESPONSE);
      const expected = 'ä'.repeat(300_000) + 'ö'.repeat(30_000);
      const got = await client.readBody();
      expect(got.equals(Buffer.from(expected, latin1 ? 'latin1' : 'utf8'))).to.equal(true);
    });
  }

  it('says how much waits for a slow reader, and DRAIN when it is little again', async () => {
    const client = await worker.greet();
    client.send(request());
    const { id } = await worker.next(KIND.request);
    client.socket.pause();
    const waiting = await worker.run(({ channel }, i) => {
      channel.respond(i, 200, '', '', undefined, true, false);
      let n = 0;
      for (let k = 0; k < 100 && n < 200_000; k++) {
        n = channel.write(i, Buffer.alloc(50_000, k), true, false);
      }
      return n;
    }, id);
    expect(waiting).to.be.greaterThan(65_536);
    expect(worker.events.some(({ kind }) => kind === KIND.drain)).to.equal(false);
    client.socket.resume();
    expect((await worker.next(KIND.drain)).id).to.equal(id);
    const small = await worker.run(({ channel }, i) => channel.write(i, 'end', true, true), id);
    expect(small).to.be.lessThan(16_384);
    await client.expect(T.RESPONSE);
    const bytes = await client.readBody();
    expect(bytes.subarray(-3).toString()).to.equal('end');
    const order = bytes.subarray(0, -3).every((byte, i) => byte === Math.floor(i / 50_000));
    expect(order).to.equal(true);
    expect(worker.events.filter(({ kind }) => kind === KIND.drain).length).to.equal(1);
  });

  it('says FINISH only when a slow reader has taken everything', async () => {
    const client = await worker.greet();
    client.send(request());
    const { id } = await worker.next(KIND.request);
    client.socket.pause();
    await worker.run(
      ({ channel }, i) => channel.respond(i, 200, '', '', Buffer.alloc(3_000_000), true, true),
      id,
    );
    await worker.run(() => new Promise((resolve) => setTimeout(resolve, 20)));
    expect(worker.events.some(({ kind }) => kind === KIND.finish)).to.equal(false);
    client.socket.resume();
    await worker.next(KIND.finish);
    await client.expect(T.RESPONSE);
    expect((await client.readBody()).length).to.equal(3_000_000);
  });

  it('says CLOSE, not FINISH, when the reader goes with bytes unwritten', async () => {
    const client = await worker.greet();
    client.send(request());
    const { id } = await worker.next(KIND.request);
    client.socket.pause();
    await worker.run(
      ({ channel }, i) => channel.respond(i, 200, '', '', Buffer.alloc(3_000_000), true, true),
      id,
    );
    await client.close();
    expect((await worker.next(KIND.close)).id).to.equal(id);
    expect(worker.events.some(({ kind }) => kind === KIND.finish)).to.equal(false);
  });

  it('lets a slow reader hold up nobody else', async () => {
    const slow = await worker.greet();
    slow.send(request());
    const { id } = await worker.next(KIND.request);
    slow.socket.pause();
    await worker.run(
      ({ channel }, i) => channel.respond(i, 200, '', '', Buffer.alloc(3_000_000), true, true),
      id,
    );
    const quick = await worker.greet();
    quick.send(request());
    const other = await worker.next(KIND.request);
    await worker.run(
      ({ channel }, i) => channel.respond(i, 200, '', '', 'x', true, true),
      other.id,
    );
    await quick.expect(T.RESPONSE);
  });
});

describe('drain', () => {
  it('says GOAWAY on every connection, finishes what is in hand, refuses what crosses', async () => {
    const worker = await TestWorker.start();
    const busy = await worker.greet();
    const idle = await worker.greet();
    busy.send(request());
    const { id } = await worker.next(KIND.request);
    await worker.run(({ channel }) => {
      channel.drain();
      channel.drain();
    });
    await busy.expect(T.GOAWAY);
    await idle.expect(T.GOAWAY);
    idle.send(request());
    await idle.expect(T.REFUSED);
    await worker.run(({ channel }, i) => channel.respond(i, 200, '', '', 'x', true, true), id);
    await busy.expect(T.RESPONSE);
    await worker.next(KIND.finish);
    await worker.stop();
  });

  it('accepts no more: connections wait for the next worker', async () => {
    const worker = await TestWorker.start();
    await worker.run(({ channel }) => {
      channel.drain();
    });
    const client = worker.connect();
    // Nobody else holds the socket here, so the kernel turns the connection away.
    expect(await client.waitForEnd()).to.match(/ECONNREFUSED|ECONNRESET|end/);
    expect(client.pending).to.deep.equal([]);
    await worker.stop();
  });

  it('refuses requests that waited for room', async () => {
    const worker = await TestWorker.start({ channel: { concurrency: 1 } });
    const busy = await worker.greet();
    busy.send(request());
    await worker.next(KIND.request);
    const waiting = await worker.greet();
    waiting.send(request());
    await worker.run(() => new Promise((resolve) => setImmediate(resolve)));
    await worker.run(({ channel }) => {
      channel.drain();
    });
    await waiting.expect(T.GOAWAY);
    await waiting.expect(T.REFUSED);
    await worker.stop();
  });
});

describe('lack of descriptors', () => {
  before(function () {
    // A sanitizer needs descriptors for its own checks.
    if (process.env['TSGI_TEST_ADDON'] !== undefined) this.skip();
  });

  it('leaves connections in the backlog until there are some again', async () => {
    const worker = await TestWorker.start({ under: ['sh', '-c', 'ulimit -n 64; exec "$0" "$@"'] });
    await worker.run(({ kept }) => {
      const { openSync } = process.getBuiltinModule('node:fs');
      const opened: number[] = [];
      kept['opened'] = opened;
      try {
        for (;;) opened.push(openSync('/dev/null', 'r'));
      } catch {
        // all are taken
      }
    });
    const client = worker.connect();
    await waitFor(() => worker.log.length > 0);
    expect(worker.log[0]?.[0]).to.equal(794);
    expect(client.pending).to.deep.equal([]);
    await worker.run(({ kept }) => {
      const { closeSync } = process.getBuiltinModule('node:fs');
      for (const fd of kept['opened'] as number[]) closeSync(fd);
    });
    await client.expect(T.HELLO);
    await worker.stop();
  });
});
