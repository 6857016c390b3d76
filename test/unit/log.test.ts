import { expect } from 'chai';
import fc from 'fast-check';
import { formatRecords, Log } from '../../src/supervisor/log.ts';

const EAGAIN = 11;

/** Puts the text of records together again, as `tsgi: log` does. */
function join(records: readonly Buffer[], head: string): string {
  let bytes = Buffer.alloc(0);
  for (const record of records) {
    expect(record.subarray(0, head.length).toString()).to.equal(head);
    expect(record.at(-1)).to.equal(0x0a);
    const text = record.subarray(head.length, -1);
    const goesOn = text.at(-1) === 0x5c;
    bytes = Buffer.concat([bytes, goesOn ? text.subarray(0, -1) : text]);
  }
  return bytes.toString();
}

describe('formatRecords', () => {
  it('makes one record of a short text', () => {
    const [record, ...more] = formatRecords(3, 42, 'host', 'TSGI0500: text');
    expect(record?.toString()).to.equal('3 42 host TSGI0500: text\n');
    expect(more).to.deep.equal([]);
  });

  it('makes records of at most 4096 bytes that give the text again', () => {
    const unit = fc.constantFrom('a', 'ä', '€', '😀', '\\', ' ');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 6000 }), (text) => {
        const records = formatRecords(5, 123, 'out', text);
        expect(records.every((record) => record.length <= 4096)).to.equal(true);
        expect(join(records, '5 123 out ')).to.equal(text);
      }),
    );
  });

  it('marks a text that ends with a backslash, which would join it with the next', () => {
    const records = formatRecords(5, 1, 'out', 'C:\\').map(String);
    expect(records).to.deep.equal(['5 1 out C:\\\\\n', '5 1 out \n']);
  });

  it('keeps a text with line ends one record', () => {
    expect(formatRecords(5, 1, 'err', 'a\nb').map(String)).to.deep.equal(['5 1 err a\\nb\n']);
  });
});

describe('Log', () => {
  it('puts many records into packets of at most 4096 bytes, whole records each', () => {
    const packets: string[] = [];
    const log = new Log((packet) => packets.push(Buffer.from(packet).toString()) * 0);
    for (let i = 0; i < 300; i++) log.line(5, i, 'out', 'x'.repeat(50));
    log.flush();
    expect(packets.length).to.be.within(4, 10);
    expect(packets.every((packet) => packet.length <= 4096 && packet.endsWith('\n'))).to.equal(
      true,
    );
    expect(packets.join('').split('\n')).to.have.length(301);
  });

  it('tries a packet again that the pipe did not take', () => {
    const packets: string[] = [];
    let isFull = true;
    const log = new Log((packet) => {
      if (isFull) return EAGAIN;
      packets.push(Buffer.from(packet).toString());
      return 0;
    });
    log.host(4, 'first');
    log.flush();
    expect(packets).to.deep.equal([]);
    isFull = false;
    log.flush();
    expect(packets.join('')).to.match(/^4 \d+ host first\n$/);
  });

  it('drops what a full pipe does not take beyond 1 MiB, and says how many lines', () => {
    const packets: string[] = [];
    let isFull = true;
    const log = new Log((packet) =>
      isFull ? EAGAIN : packets.push(Buffer.from(packet).toString()) * 0,
    );
    const lines = 1200;
    for (let i = 0; i < lines; i++) log.line(5, 7, 'out', 'y'.repeat(1000));
    log.flush();
    isFull = false;
    log.flush();
    const written = packets.join('').split('\n');
    const kept = written.filter((line) => line.startsWith('5 7 out')).length;
    expect(kept).to.be.within(1000, 1050);
    const dropped = String(lines - kept);
    expect(
      written.some((line) => line.includes(`TSGI0509: ${dropped} log lines were dropped`)),
    ).to.equal(true);
  });

  it('goes on when nobody reads any more', () => {
    const EPIPE = 32;
    const log = new Log(() => EPIPE);
    log.host(3, 'to nobody');
    log.flush();
    log.flush();
  });
});
