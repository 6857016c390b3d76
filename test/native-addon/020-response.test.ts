import { expect } from 'chai';
import { FIN, readHead, request, T } from './wire-client.ts';
import type { RequestParts, WireClient } from './wire-client.ts';
import { KIND, TestWorker } from './worker.ts';

describe('response', () => {
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
});
