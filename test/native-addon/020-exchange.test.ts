import { expect } from 'chai';
import { waitFor } from '../harness/wait.ts';
import {
  body,
  bodyEnd,
  FIN,
  R_BODY,
  R_EXPECT,
  R_STARTED,
  readHead,
  request,
  T,
} from './wire-client.ts';
import type { RequestParts, WireClient } from './wire-client.ts';
import { KIND, TestWorker } from './worker.ts';

describe('one exchange', () => {
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

  it('sends a whole response in one write, and then says FINISH', async () => {
    const id = await begin();
    const waiting = await worker.run(
      ({ channel }, i) =>
        channel.respond(
          i,
          200,
          'OK',
          'Content-Type: text/plain\r\nX-Own: 1\r\n',
          'hello',
          true,
          true,
        ),
      id,
    );
    const head = await client.expect(T.RESPONSE);
    expect(readHead(head.payload, names)).to.deep.equal({
      status: 200,
      reason: 'OK',
      headers: [
        ['Content-Type', 'text/plain'],
        ['X-Own', '1'],
      ],
    });
    expect(head.flags).to.equal(0);
    const data = await client.expect(T.DATA);
    expect([data.payload.toString(), data.flags]).to.deep.equal(['hello', FIN]);
    expect(waiting).to.be.greaterThan(5);
    expect((await worker.next(KIND.finish)).id).to.equal(id);
  });

  it('serves the next request on the same connection under another id', async () => {
    const first = await begin();
    await worker.run(
      ({ channel }, i) => channel.respond(i, 204, '', '', undefined, true, true),
      first,
    );
    await worker.next(KIND.finish);
    const second = await begin();
    expect(second).to.not.equal(first);
  });

  it('marks the head as last when there is no body', async () => {
    const id = await begin();
    await worker.run(
      ({ channel }, i) => channel.respond(i, 304, '', '', undefined, true, true),
      id,
    );
    const { flags, payload } = await client.expect(T.RESPONSE);
    expect([flags, readHead(payload, names).status]).to.deep.equal([FIN, 304]);
  });

  it('marks the last piece of a streamed body', async () => {
    const id = await begin();
    await worker.run(({ channel }, i) => {
      channel.respond(i, 200, '', '', undefined, true, false);
      channel.write(i, Buffer.from('one'), true, false);
      channel.write(i, 'two', true, true);
    }, id);
    await client.expect(T.RESPONSE);
    expect((await client.expect(T.DATA)).flags).to.equal(0);
    expect(await client.expect(T.DATA)).to.deep.include({
      flags: FIN,
      payload: Buffer.from('two'),
    });
  });

  it('ends by END when the last piece is empty', async () => {
    const id = await begin();
    await worker.run(({ channel }, i) => {
      channel.respond(i, 200, '', '', 'x', true, false);
      channel.write(i, '', true, true);
    }, id);
    await client.expect(T.RESPONSE);
    expect((await client.readBody()).toString()).to.equal('x');
    await worker.next(KIND.finish);
  });

  it('sends trailers with END', async () => {
    const id = await begin();
    await worker.run(({ channel }, i) => {
      channel.respond(i, 200, '', '', 'x', true, false);
      channel.end(i, 'X-Sum: 1\r\nX-Other: 2\r\n');
    }, id);
    await client.expect(T.RESPONSE);
    await client.expect(T.DATA);
    const { payload } = await client.expect(T.END);
    expect(payload.readUInt16LE(0)).to.equal(2);
    expect(payload.toString()).to.include('X-Sum').and.include('X-Other');
  });

  it('encodes string bodies as latin1 or UTF-8', async () => {
    const id = await begin();
    await worker.run(({ channel }, i) => {
      channel.respond(i, 200, '', '', 'ä€\ud800😀', false, false);
      channel.write(i, 'äÿ', true, true);
    }, id);
    await client.expect(T.RESPONSE);
    expect(await client.readBody()).to.deep.equal(
      Buffer.concat([Buffer.from('ä€\ud800😀'), Buffer.from('äÿ', 'latin1')]),
    );
  });

  it('leaves out headers that concern one connection only', async () => {
    const id = await begin();
    const text =
      'Connection: close\r\nKEEP-ALIVE: timeout=5\r\nTransfer-Encoding: chunked\r\n' +
      'Proxy-Connection: x\r\nUpgrade: h2c\r\nX-Kept:   a b \r\nX-Empty:\r\n';
    await worker.run(
      ({ channel }, i, t) => channel.respond(i, 200, '', t, '', true, true),
      id,
      text,
    );
    const { headers } = readHead((await client.expect(T.RESPONSE)).payload, names);
    expect(headers).to.deep.equal([
      ['X-Kept', 'a b'],
      ['X-Empty', ''],
    ]);
  });

  for (const [what, status, reason, text, code] of [
    ['a line feed in a value', 200, '', 'A: b\nc\r\n', 'ERR_INVALID_CHAR'],
    ['a carriage return in a value', 200, '', 'A: b\rc\r\n', 'ERR_INVALID_CHAR'],
    ['NUL in a value', 200, '', 'A: b\0c\r\n', 'ERR_INVALID_CHAR'],
    ['NUL in the reason', 200, 'a\0', '', 'ERR_INVALID_CHAR'],
    ['a space in a name', 200, '', 'A b: c\r\n', 'ERR_INVALID_HTTP_TOKEN'],
    ['an empty name', 200, '', ': c\r\n', 'ERR_INVALID_HTTP_TOKEN'],
    ['a line without a colon', 200, '', 'A\r\n', 'ERR_INVALID_CHAR'],
    ['a line without an end', 200, '', 'A: b', 'ERR_INVALID_CHAR'],
    ['a status below 200', 199, '', '', 'ERR_HTTP_INVALID_STATUS_CODE'],
    ['a status over 999', 1000, '', '', 'ERR_HTTP_INVALID_STATUS_CODE'],
    ['a head over 256 KiB', 200, '', `A: ${'x'.repeat(262_140)}\r\n`, 'ERR_OUT_OF_RANGE'],
  ] as const) {
    it(`throws on ${what}, writes nothing, and can still respond`, async () => {
      const id = await begin();
      const caught = await worker.run(
        ({ channel }, i, s, r, t) => {
          try {
            channel.respond(i, s, r, t, 'x', true, true);
          } catch (error) {
            return (error as NodeJS.ErrnoException).code;
          }
          return 'nothing thrown';
        },
        id,
        status,
        reason,
        text,
      );
      expect(caught).to.equal(code);
      await worker.run(({ channel }, i) => channel.respond(i, 500, '', '', '', true, true), id);
      expect(readHead((await client.next()).payload, names).status).to.equal(500);
    });
  }

  it('throws when the parts of a response come in a wrong order', async () => {
    const id = await begin();
    const codes = await worker.run(({ channel }, i) => {
      const codeOf = (f: () => void) => {
        try {
          f();
        } catch (error) {
          return (error as NodeJS.ErrnoException).code;
        }
        return undefined;
      };
      return [
        codeOf(() => channel.write(i, 'x', true, false)),
        codeOf(() => {
          channel.end(i, '');
        }),
        codeOf(() => channel.respond(i, 200, '', '', undefined, true, false)),
        codeOf(() => channel.respond(i, 200, '', '', undefined, true, false)),
        codeOf(() => {
          channel.inform(i, 103, '');
        }),
        codeOf(() => {
          channel.refuse(i);
        }),
      ];
    }, id);
    const wrong = 'ERR_TSGI_STATE';
    expect(codes).to.deep.equal([wrong, wrong, undefined, wrong, wrong, wrong]);
  });

  it('throws when a body is neither a string nor bytes, and can still respond', async () => {
    const id = await begin();
    const caught = worker.run(
      ({ channel }, i) => channel.respond(i, 200, '', '', 42 as unknown as string, true, true),
      id,
    );
    await caught.then(
      () => expect.fail('nothing thrown'),
      (error: unknown) => expect(error).to.have.property('code', 'ERR_INVALID_ARG_TYPE'),
    );
    await worker.run(({ channel }, i) => channel.respond(i, 500, '', '', '', true, true), id);
    expect(readHead((await client.next()).payload, names).status).to.equal(500);
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
    expect(results).to.deep.equal([false, 0, 0, 0, 0]);
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
