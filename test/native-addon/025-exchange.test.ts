import { expect } from 'chai';
import { waitFor } from '../harness/wait.ts';
import { body, bodyEnd, R_BODY, R_EXPECT, R_STARTED, readHead, request, T } from './wire-client.ts';
import type { RequestParts, WireClient } from './wire-client.ts';
import { KIND, TestWorker } from './worker.ts';

describe('course of an exchange', () => {
  let worker: TestWorker;
  let client: WireClient;
  let names: readonly string[];
  before(async () => {
    worker = await TestWorker.start();
    names = await worker.run(({ native }) => native.tokenNames);
  });
  after(async () => {
    await worker.stop();
  });
  beforeEach(async () => {
    client = await worker.greet();
  });
  afterEach(async () => {
    await client.close();
  });

  async function begin(parts: RequestParts = {}): Promise<number> {
    client.send(request(parts));
    return (await worker.next(KIND.request)).id;
  }

  it('tells an app that writes until it is told to pause to do so when the peer has gone', async () => {
    const id = await begin();
    await worker.run(({ channel, kept }, i) => {
      channel.respond(i, 200, '', '', undefined, true, false);
      kept['write'] = () => channel.write(i, Buffer.alloc(65536), false, false);
    }, id);
    await client.expect(T.RESPONSE);
    await client.close();
    const writes = await worker.run(({ kept }) => {
      const write = kept['write'] as () => number;
      let n = 1;
      while (n < 1000 && write() < 65536) n++; // a turn in which the end is not heard of
      return n;
    });
    expect(writes).to.be.below(1000);
    expect((await worker.next(KIND.close)).id).to.equal(id);
    expect(await worker.run(({ kept }) => (kept['write'] as () => number)())).to.equal(65536);
    client = await worker.greet();
  });

  it('sends interim responses and CONTINUE before the head', async () => {
    const id = await begin({ flags: R_BODY | R_EXPECT });
    await worker.run(({ channel }, i) => {
      channel.inform(i, 103, 'Link: </a.css>; rel=preload\r\n');
      channel.sendContinue(i);
      channel.sendContinue(i);
      channel.respond(i, 200, '', '', '', true, true);
    }, id);
    const { payload } = await client.expect(T.INFORM);
    expect(readHead(payload, names)).to.deep.include({
      status: 103,
      headers: [['Link', '</a.css>; rel=preload']],
    });
    await client.expect(T.CONTINUE);
    await client.expect(T.RESPONSE);
  });

  it('sends no CONTINUE for a request that does not wait for it', async () => {
    const id = await begin({ flags: R_BODY });
    await worker.run(({ channel }, i) => {
      channel.sendContinue(i);
      channel.respond(i, 200, '', '', '', true, true);
    }, id);
    await client.expect(T.RESPONSE);
  });

  it('sends STARTED before the call returns', async () => {
    const id = await begin({ flags: R_STARTED });
    await worker.run(({ channel, kept }, i) => {
      kept['started'] = channel.started(i);
      // The turn goes on for as long as the test wants: nothing else is written meanwhile.
      const until = Date.now() + 100;
      while (Date.now() < until);
      channel.respond(i, 200, '', '', '', true, true);
    }, id);
    await client.expect(T.STARTED);
    expect(await worker.run(({ kept }) => Boolean(kept['started']))).to.equal(true);
  });

  it('says that a request was taken back when STARTED cannot be sent', async () => {
    const id = await begin({ flags: R_STARTED });
    await client.close();
    const started = await worker.run(({ channel }, i) => channel.started(i), id);
    expect(started).to.equal(false);
  });

  it('sends log lines of a request', async () => {
    const id = await begin();
    await worker.run(({ channel }, i) => {
      channel.log(i, 3, 'first ä');
      channel.log(i, 7, 'x'.repeat(9000));
    }, id);
    const { payload } = await client.expect(T.LOG);
    expect(payload).to.deep.equal(
      Buffer.concat([Buffer.from([3, 0, 0, 0]), Buffer.from('first ä')]),
    );
    expect((await client.expect(T.LOG)).payload.length).to.equal(8192);
  });

  it('aborts with an error id and a text, and closes', async () => {
    const id = await begin();
    const inHand = await worker.run(({ channel }, i) => {
      channel.abort(i, 715, 'the reason');
      channel.write(i, 'too late', true, true);
      return channel.inHand;
    }, id);
    const { payload } = await client.expect(T.ABORT);
    expect([payload.readUInt16LE(0), payload.toString('utf8', 4)]).to.deep.equal([
      715,
      'the reason',
    ]);
    expect(await client.waitForEnd()).to.equal('end');
    expect(inHand).to.equal(0);
    expect(worker.events.filter((event) => event.id === id).length).to.equal(1);
  });

  it('refuses a request, and the connection serves on', async () => {
    const id = await begin({ flags: R_BODY });
    await worker.run(({ channel }, i) => {
      channel.refuse(i);
    }, id);
    await client.expect(T.REFUSED);
    client.send(body('of the first'), bodyEnd());
    const next = await begin();
    expect(worker.events.filter((event) => event.id === id).length).to.equal(1);
    await worker.run(({ channel }, i) => channel.respond(i, 200, '', '', 'x', true, true), next);
    await client.expect(T.RESPONSE);
  });

  it('says CLOSE when the peer goes before the response is complete', async () => {
    const id = await begin();
    await worker.run(({ channel }, i) => channel.respond(i, 200, '', '', 'x', true, false), id);
    await client.close();
    expect((await worker.next(KIND.close)).id).to.equal(id);
    expect(await worker.run(({ channel }) => channel.inHand)).to.equal(0);
  });

  it('ignores every call with an id that is over', async () => {
    const id = await begin();
    await worker.run(({ channel }, i) => channel.respond(i, 200, '', '', 'x', true, true), id);
    await worker.next(KIND.finish);
    const next = await begin();
    const results = await worker.run(({ channel }, i) => {
      channel.sendContinue(i);
      channel.inform(i, 103, '');
      channel.end(i, '');
      channel.abort(i, 700, '');
      channel.refuse(i);
      channel.log(i, 3, 'x');
      channel.pause(i);
      channel.resume(i);
      return [
        channel.started(i),
        channel.respond(i, 200, '', '', 'x', true, true),
        channel.write(i, 'x', true, true),
        channel.respond(0, 200, '', '', 'x', true, true),
        channel.respond(-1, 200, '', '', 'x', true, true),
      ];
    }, id);
    // Nothing more is to be written, says what respond() and write() return.
    const paused = 65_536;
    expect(results).to.deep.equal([false, paused, paused, paused, paused]);
    await worker.run(({ channel }, i) => channel.respond(i, 201, '', '', '', true, true), next);
    await client.expect(T.RESPONSE);
    await client.expect(T.DATA);
    expect(readHead((await client.expect(T.RESPONSE)).payload, names).status).to.equal(201);
  });

  it('drops the rest of a body when the response is over, and serves the next request', async () => {
    const id = await begin({ flags: R_BODY });
    client.send(body('first'));
    await worker.next(KIND.body);
    await worker.run(({ channel }, i) => channel.respond(i, 413, '', '', '', true, true), id);
    await client.expect(T.RESPONSE);
    client.send(body('x'.repeat(200_000)), bodyEnd(), request({ uri: '/next' }));
    const next = await worker.next(KIND.request);
    expect(next.request?.['uri']).to.equal('/next');
    const kinds = worker.events.filter((event) => event.id === id).map(({ kind }) => kind);
    expect(kinds).to.deep.equal([KIND.request, KIND.body, KIND.finish]);
  });

  it('counts a request in hand until its response has left', async () => {
    const id = await begin();
    expect(await worker.run(({ channel }) => channel.inHand)).to.equal(1);
    await worker.run(({ channel }, i) => channel.respond(i, 200, '', '', '', true, true), id);
    await waitFor(async () => (await worker.run(({ channel }) => channel.inHand)) === 0);
  });
});
