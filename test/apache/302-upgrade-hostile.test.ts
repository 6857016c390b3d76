/** Workers that misuse the frames of an upgrade. */
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { upgrade } from '../harness/upgrade.ts';
import { waitFor } from '../harness/wait.ts';

const frame = (type: number, payload: Uint8Array | string = '', flags = 0): string => {
  const body = Buffer.from(payload);
  const header = Buffer.alloc(8);
  header.writeUInt32LE(body.length, 0);
  header.writeUInt8(type, 4);
  header.writeUInt8(flags, 5);
  return Buffer.concat([header, body]).toString('hex');
};
const FIN = 1;
const UPGRADE = frame(0x49);
const head = (status: number): Buffer => {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt16LE(status, 0);
  return bytes;
};
const switching = frame(0x45, head(101));

describe('a hostile worker and an upgrade', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.start({
      config: `
TSGIDaemonProcess hostile socket-timeout=2s
TSGIScriptAlias /bad @APPS@/hostile.js process-group=hostile
TSGIScriptAlias /good @APPS@/callable.js`,
      limits:
        'StartServers 1\nServerLimit 1\nThreadsPerChild 16\nThreadLimit 16\nMaxRequestWorkers 16\n',
    });
    httpd.log.allow('TSGI0', 'hostile');
    await waitFor(() => httpd.children().length === 1);
  });
  after(() => httpd.stop());

  const child = (): number => httpd.children()[0] ?? 0;
  async function expectAlive(before: number): Promise<void> {
    await waitFor(async () => (await httpd.ask('/bad')).body === 'well');
    expect((await httpd.ask('/good')).status).to.equal(200);
    expect(child()).to.equal(before);
  }

  for (const [what, hex] of Object.entries({
    'UPGRADE without an offer': UPGRADE,
    '101 without a wish': switching,
    'UPGRADE with a payload': frame(0x49, 'x'),
    'UPGRADE with FIN': frame(0x49, '', FIN),
    'SOCKET, which is Apache’s': frame(0x05, 'x'),
  })) {
    it(`(${what}, of an ordinary request) is a 502`, async () => {
      const before = child();
      expect((await httpd.ask(`/bad/x?hex=${hex}`)).status).to.equal(502);
      await expectAlive(before);
    });
  }

  for (const [what, hex, status] of [
    ['101 with FIN', frame(0x45, head(101), FIN), 502],
    ['102 as a final head', frame(0x45, head(102)), 502],
    ['DATA before 101', frame(0x46, 'x'), 502],
    ['101, then another head', switching + frame(0x45, head(200)), 101],
    ['101, then UPGRADE', switching + UPGRADE, 101],
    ['101, then DATA behind the end', switching + frame(0x46, 'x', FIN) + frame(0x46, 'y'), 101],
    ['101, then nonsense', `${switching}${'ff'.repeat(20)}`, 101],
    ['interim after UPGRADE', UPGRADE + frame(0x44, head(103)), 0],
    ['UPGRADE twice', UPGRADE + UPGRADE, 0],
    ['UPGRADE, then 101 without FIN', UPGRADE + switching, 0],
    ['UPGRADE, then DATA', UPGRADE + frame(0x46, 'x'), 0],
    ['UPGRADE, then REFUSED', UPGRADE + frame(0x4b), 0],
    ['UPGRADE, then nothing', UPGRADE, 0],
  ] as const) {
    it(`(${what}) costs the client its connection and nobody else anything`, async () => {
      const before = child();
      const client = await upgrade(httpd.port, { path: `/bad/x?hex=${hex}` });
      expect(client.status || 0).to.equal(status);
      if (status !== 502) await waitFor(client.hasEnded);
      client.socket.destroy();
      await expectAlive(before);
    });
  }
});
