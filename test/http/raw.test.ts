import { expect } from 'chai';
import fc from 'fast-check';
import type { RawSink } from '../../src/http/raw.ts';
import { RawResponse } from '../../src/http/raw.ts';

/** Notes what comes, pieces of the body joined. */
class Notes implements RawSink {
  readonly heads: string[] = [];
  body = '';
  isComplete = false;
  invalid: string | undefined;

  interim(status: number, headers: string): void {
    this.heads.push(`${status} ${headers}`);
  }

  rawHead(status: number, reason: string, headers: string, isLast: boolean): number {
    this.heads.push(`${status} ${reason} ${headers}`);
    this.isComplete = isLast;
    return 0;
  }

  rawBody(chunk: Uint8Array, isLast: boolean): number {
    if (this.isComplete) throw new Error('body after the end');
    this.body += Buffer.from(chunk).toString('latin1');
    this.isComplete = isLast;
    return 0;
  }

  rawInvalid(reason: string): void {
    this.invalid = reason;
  }
}

/** One that is there for other protocols as well. */
class Taker extends Notes {
  rawSwitch(reason: string, headers: string): number {
    this.heads.push(`switch ${reason} ${headers}`);
    return 0;
  }
}

function read(text: string, cuts: readonly number[] = [], method = 'GET'): Notes {
  const notes = new Notes();
  const reader = new RawResponse(notes, method);
  const bytes = Buffer.from(text, 'latin1');
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    reader.write(bytes.subarray(from, cut));
    from = Math.max(from, cut);
  }
  reader.write(bytes.subarray(from));
  reader.end();
  return notes;
}

const CHUNKED =
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n' +
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b \r\n\r\n' +
  '5;name="x"\r\nhello\r\n001\r\n \r\nA\r\nwide world\r\n0\r\nX-Sum: 1\r\n\r\n';
const COUNTED = 'HTTP/1.0 404 Not Found\r\ncontent-length: 5\r\n\r\nhello';

describe('HTTP text that an app writes by hand', () => {
  it('is the same however it is cut', () => {
    for (const text of [CHUNKED, COUNTED, 'HTTP/1.1 200\r\n\r\nuntil close']) {
      const whole = read(text);
      expect(whole.isComplete).to.equal(true);
      for (let cut = 1; cut < text.length; cut++) expect(read(text, [cut])).to.deep.equal(whole);
      fc.assert(
        fc.property(fc.array(fc.nat(text.length)), (cuts) => {
          expect(read(text, cuts)).to.deep.equal(whole);
        }),
      );
    }
  });

  it('has chunks without their framing, and interim responses apart', () => {
    const { heads, body } = read(CHUNKED);
    expect(heads).to.deep.equal([
      '103 Link: </a>\r\n',
      '200 OK Transfer-Encoding: chunked\r\nX-A: b\r\n',
    ]);
    expect(body).to.equal('hello wide world');
  });

  it('ends where its length says, whatever comes after', () => {
    const notes = read(`${COUNTED} and more`);
    expect([notes.body, notes.isComplete]).to.deep.equal(['hello', true]);
  });

  it('has no body after HEAD, 204 and 304', () => {
    expect(read(COUNTED, [], 'HEAD')).to.include({ body: '', isComplete: true });
    expect(read('HTTP/1.1 204 No\r\n\r\nx')).to.include({ body: '', isComplete: true });
    expect(read('HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n').isComplete).to.equal(true);
  });

  it('opens a tunnel with 101, and with 2xx to a CONNECT, whatever its headers say', () => {
    const head = 'HTTP/1.1 201 Yes\r\nContent-Length: 1\r\nX-A: b\r\n\r\n';
    for (const cut of [10, head.length - 1, head.length, head.length + 2]) {
      const notes = new Taker();
      const reader = new RawResponse(notes, 'CONNECT');
      const bytes = Buffer.from(`${head}many bytes`);
      reader.write(bytes.subarray(0, cut));
      reader.write(bytes.subarray(cut));
      expect(notes.heads).to.deep.equal(['switch Yes Content-Length: 1\r\nX-A: b\r\n']);
      expect(notes.body).to.equal('many bytes');
    }
    const refused = new Taker();
    new RawResponse(refused, 'CONNECT').write(Buffer.from(COUNTED));
    expect([refused.body, refused.isComplete]).to.deep.equal(['hello', true]);
  });

  it('that breaks off is not complete', () => {
    for (const end of [10, COUNTED.length - 1]) {
      expect(read(COUNTED.slice(0, end)).isComplete).to.equal(false);
    }
    expect(read(CHUNKED.slice(0, -2)).isComplete).to.equal(false);
  });

  for (const [name, text] of [
    ['another protocol', 'SSH-2.0-x\r\n\r\n'],
    ['no status', 'HTTP/1.1 OK\r\n\r\n'],
    ['HTTP/2', 'HTTP/2 200 OK\r\n\r\n'],
    ['a folded header', 'HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\n\r\n'],
    ['a header name with a space', 'HTTP/1.1 200 OK\r\nX A: b\r\n\r\n'],
    ['a control character in a value', 'HTTP/1.1 200 OK\r\nX-A: \0\r\n\r\n'],
    ['a bad length', 'HTTP/1.1 200 OK\r\nContent-Length: 1e3\r\n\r\n'],
    ['a bad chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n'],
    [
      'a chunk that is too long',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n',
    ],
    ['a change of protocol', 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n'],
    ['a head without end', `HTTP/1.1 200 OK\r\nX-A: ${'b'.repeat(70_000)}`],
  ] as const) {
    it(`with ${name} is refused`, () => {
      const notes = read(text);
      expect(notes.invalid).to.be.a('string');
      expect(notes.isComplete).to.equal(false);
    });
  }

  it('never breaks its reader', () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom('HTTP/1.1 200 OK\r\n', '\r\n\r\n', 'Transfer-Encoding: chunked\r\n', '5\r\n'),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        read(pieces.join(''));
      }),
    );
  });
});
