import { expect } from 'chai';
import { waitFor } from '../harness/wait.ts';
import { body, bodyEnd, R_BODY, request, T } from './wire-client.ts';
import { KIND, TestWorker } from './worker.ts';

describe('body of a request', () => {
  let worker: TestWorker;
  beforeEach(async () => {
    worker = await TestWorker.start();
  });
  afterEach(async () => {
    await worker.stop();
  });

  const received = (): number =>
    worker.events
      .filter(({ kind }) => kind === KIND.body)
      .reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0);

  it('comes in whatever pieces, byte for byte', async () => {
    const client = await worker.greet();
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) & 0xff));
    client.send(request({ flags: R_BODY }));
    for (let at = 0; at < bytes.length;) {
      const size = Math.min(1 + ((at * 13) % 250_000), bytes.length - at);
      client.send(body(bytes.subarray(at, at + size)));
      at += size;
    }
    client.send(bodyEnd());
    await worker.next(KIND.bodyEnd);
    const pieces = worker.events.filter(({ kind }) => kind === KIND.body);
    const got = Buffer.concat(pieces.map(({ payload }) => payload as Uint8Array));
    expect(got.equals(bytes)).to.equal(true);
  });

  it('stops the sender when it is paused, and goes on when it is resumed', async () => {
    const client = await worker.greet();
    client.send(request({ flags: R_BODY }));
    const { id } = await worker.next(KIND.request);
    await worker.run(({ channel }, i) => {
      channel.pause(i);
    }, id);
    for (let i = 0; i < 40; i++) client.send(body(Buffer.alloc(250_000)));
    client.send(bodyEnd());
    // The kernel takes its share; the rest waits in the client.
    await waitFor(() => client.socket.writableLength > 5_000_000 && client.socket.bytesWritten > 0);
    expect(received()).to.equal(0);
    await worker.run(({ channel }, i) => {
      channel.resume(i);
    }, id);
    await worker.next(KIND.bodyEnd);
    expect(received()).to.equal(10_000_000);
  });

  it('is over with CLOSE within 1 s when the peer goes while it is paused', async () => {
    const client = await worker.greet();
    client.send(request({ flags: R_BODY }));
    const { id } = await worker.next(KIND.request);
    await worker.run(({ channel }, i) => {
      channel.pause(i);
    }, id);
    client.send(body(Buffer.alloc(100_000)));
    const before = performance.now();
    await client.close();
    expect((await worker.next(KIND.close)).id).to.equal(id);
    expect(performance.now() - before).to.be.lessThan(1000);
  });

  it('is read to its end after the response although it was paused', async () => {
    const client = await worker.greet();
    client.send(request({ flags: R_BODY }));
    const { id } = await worker.next(KIND.request);
    await worker.run(({ channel }, i) => {
      channel.pause(i);
      channel.respond(i, 200, '', '', 'done', true, true);
    }, id);
    await client.expect(T.RESPONSE);
    for (let i = 0; i < 10; i++) client.send(body(Buffer.alloc(250_000)));
    client.send(bodyEnd(), request({ uri: '/next' }));
    expect((await worker.next(KIND.request)).request?.['uri']).to.equal('/next');
    expect(received()).to.equal(0);
  });

  it('comes in large pieces however it is cut on its way, a frame each up to 64 KiB', async () => {
    const client = await worker.greet();
    const bytes = Buffer.from(Array.from({ length: 5 * 65_536 }, (_, i) => (i * 11) & 0xff));
    client.send(request({ flags: R_BODY }));
    await worker.next(KIND.request);
    for (let at = 0; at < bytes.length; at += 65_536) {
      const whole = body(bytes.subarray(at, at + 65_536));
      client.send(whole.subarray(0, 30_000));
      client.send(whole.subarray(30_000));
    }
    client.send(bodyEnd());
    await worker.next(KIND.bodyEnd);
    const pieces = worker.events.filter(({ kind }) => kind === KIND.body);
    expect(
      Buffer.concat(pieces.map(({ payload }) => payload as Uint8Array)).equals(bytes),
    ).to.equal(true);
    // Of the first frame some may have come with the head, and of each two ends.
    expect(pieces.length).to.be.lessThan(12);
  });

  it('is forgotten when its response ends in the middle of a large frame', async () => {
    const client = await worker.greet();
    const whole = body(Buffer.alloc(200_000, 1));
    client.send(request({ flags: R_BODY }), whole.subarray(0, 180_000));
    const { id } = await worker.next(KIND.request);
    await waitFor(() => received() > 65_536);
    await worker.run(({ channel }, i) => {
      channel.respond(i, 200, '', '', 'done', true, true);
    }, id);
    await client.expect(T.RESPONSE);
    await worker.next(KIND.finish);
    const before = received();
    client.send(whole.subarray(180_000), bodyEnd());
    client.send(request({ flags: R_BODY, uri: '/next' }), body(Buffer.alloc(100_000, 2)));
    const next = await worker.next(KIND.request);
    client.send(bodyEnd());
    await worker.next(KIND.bodyEnd);
    expect(received() - before).to.equal(100_000);
    const late = worker.events.filter((event) => event.kind === KIND.body && event.id === next.id);
    expect(
      late.every(({ payload }) => (payload as Uint8Array).every((byte) => byte === 2)),
    ).to.equal(true);
  });

  it('is over with CLOSE when the peer goes in the middle of a large frame', async () => {
    const client = await worker.greet();
    client.send(request({ flags: R_BODY }), body(Buffer.alloc(200_000)).subarray(0, 180_000));
    const { id } = await worker.next(KIND.request);
    await waitFor(() => received() > 65_536);
    await client.close();
    expect((await worker.next(KIND.close)).id).to.equal(id);
  });
});
