import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

const frame = (
  type: number,
  payload: string | Buffer = '',
  { flags = 0, pad = 0, length }: { flags?: number; pad?: number; length?: number } = {},
) => {
  const body = Buffer.from(payload);
  const header = Buffer.alloc(8);
  header.writeUInt32LE(length ?? body.length, 0);
  header.writeUInt8(type, 4);
  header.writeUInt8(flags, 5);
  header.writeUInt16LE(pad, 6);
  return Buffer.concat([header, body]).toString('hex');
};

/** What a hostile worker says instead of an answer. */
const nonsense: Record<string, string> = {
  'text that is no frame': Buffer.from('HTTP/1.1 200 OK\r\n\r\nhello world').toString('hex'),
  zeros: '00'.repeat(64),
  'a frame of 4 GiB': frame(0x46, '', { length: 0xffffffff }),
  'a DATA frame over its limit': frame(0x46, '', { length: 256 * 1024 + 1 }),
  'an unknown type': frame(0x7f),
  "a frame of Apache's own": frame(0x02, 'x'),
  'a second HELLO': frame(0x41, Buffer.alloc(24)),
  'an unknown flag': frame(0x46, 'x', { flags: 0x80 }),
  'non-zero padding': frame(0x46, 'x', { pad: 1 }),
  'DATA before the head': frame(0x46, 'body without a head'),
  'END before the head': frame(0x47),
  'a RESPONSE that is cut off inside': frame(0x45, 'ab'),
  'a RESPONSE of random bytes': frame(
    0x45,
    Buffer.from(Array.from({ length: 200 }, (_, i) => (i * 37) & 0xff)),
  ),
  'an empty frame of type 0': frame(0),
  'GOAWAY and then nonsense': frame(0x4c) + 'ff'.repeat(20),
};

describe('a worker that speaks nonsense on the wire', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.start({
      config: `
TSGIDaemonProcess hostile socket-timeout=5s
TSGIScriptAlias /bad @APPS@/hostile.js process-group=hostile
TSGIScriptAlias /good @APPS@/callable.js
ErrorDocument 502 "the page for 502"`,
      // One child, so that the connections that were spoilt meanwhile are swept together.
      limits:
        'StartServers 1\nServerLimit 1\nThreadsPerChild 16\nThreadLimit 16\nMaxRequestWorkers 16\n',
    });
    httpd.log.allow('TSGI0', 'hostile');
    await waitFor(() => httpd.children().length === 1);
  });
  after(() => httpd.stop());

  // It also wrote on its idle connections; each of them costs the request that finds it a 502 at most.
  const children = () => httpd.children().sort();
  const recovered = () => waitFor(async () => (await httpd.ask('/bad')).body === 'well');

  for (const [what, hex] of Object.entries(nonsense)) {
    it(`(${what}) is a 502, and the Apache child lives`, async () => {
      const before = await waitFor(() => children().length > 0 && children());
      const answer = await httpd.ask(`/bad/x?hex=${hex}`);
      expect(answer.status).to.equal(502);
      expect(answer.body).to.equal('the page for 502');
      expect((await httpd.ask('/good')).status).to.equal(200);
      await recovered();
      expect(children()).to.deep.equal(before);
    });
  }

  for (const what of ['a second HELLO', 'a frame of 4 GiB', 'an unknown type'] as const) {
    it(`(${what}, after the head) cuts the response off visibly`, async () => {
      const conn = await httpd.raw(
        `GET /bad/x?head&hex=${nonsense[what] ?? ''} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      );
      await waitFor(() => conn.received().includes('begun'));
      await httpd.ask('/bad/fire'); // itself a victim of what it sets off
      await conn.closed;
      expect(conn.received()).to.match(/^HTTP\/1\.1 200/);
      expect(conn.received()).to.not.include('0\r\n\r\n');
      conn.socket.destroy();
      await recovered();
    });
  }

  it('(half a frame, then it dies) is a 502, and its successor serves', async () => {
    const answer = await httpd.ask(`/bad/x?exit&hex=${frame(0x46, 'x', { length: 1000 })}`);
    expect(answer.status).to.equal(502);
    await recovered();
  });

  it('says in the error log what came and from whom', () => {
    expect(httpd.log.matching(/TSGI0\d\d\d.*hostile/)).to.not.deep.equal([]);
  });
});
