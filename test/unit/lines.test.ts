import { expect } from 'chai';
import fc from 'fast-check';
import { LineSplitter } from '../../src/ipc/lines.ts';

function split(chunks: readonly Uint8Array[], maxLength?: number): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line), maxLength);
  for (const chunk of chunks) splitter.push(Buffer.from(chunk));
  splitter.end();
  return lines;
}

describe('LineSplitter', () => {
  it('finds the same lines however the stream is cut', () => {
    const line = fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n]/g, ''));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat()), (lines, cuts) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''));
        const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
        const chunks = [0, ...places].map((from, i) =>
          bytes.subarray(from, places[i] ?? bytes.length),
        );
        expect(split(chunks)).to.deep.equal(lines);
      }),
    );
  });

  it('takes CR LF as one line end', () => {
    expect(split([Buffer.from('one\r\ntwo\r\n')])).to.deep.equal(['one', 'two']);
  });

  it('hands over a last line without a line end', () => {
    expect(split([Buffer.from('one\ntw'), Buffer.from('o')])).to.deep.equal(['one', 'two']);
  });

  it('cuts a line that is too long, and loses nothing of it', () => {
    const text = 'x'.repeat(25);
    const pieces = split([Buffer.from(text), Buffer.from('\nend')], 10);
    expect(pieces.every((piece) => piece.length <= 10)).to.equal(true);
    expect(pieces.join('')).to.equal(`${text}end`);
  });

  it('makes bytes that are no UTF-8 visible', () => {
    expect(split([Buffer.from([0x61, 0xff, 0x0a])])).to.deep.equal(['a\ufffd']);
  });
});
