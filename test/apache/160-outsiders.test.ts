import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { fdsOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait.ts';

/** The header of a frame, see docs/wire.md. */
function header(length: number, type: number, flags = 0): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt8(type, 4);
  bytes.writeUInt8(flags, 5);
  return bytes;
}
const AUTH = 1;
const HELLO_BYTES = 8 + 24;
const auth = (major: number, minor: number) =>
  Buffer.concat([header(36, AUTH), Buffer.from([major, minor, 0, 0]), Buffer.alloc(32, 7)]);

/** What a process says that has the rights to connect, but not the secret. */
const garbage: Record<string, Buffer> = {
  'a wrong secret': auth(1, 0),
  'another version of the wire': auth(9, 9),
  'a frame of 4 GiB': header(0xffffffff, AUTH),
  'a request before AUTH': header(100, 2),
  'a BODY over its limit': header(256 * 1024 + 1, 3),
  'text that is no frame': Buffer.from('GET / HTTP/1.0\r\n\r\n'),
  zeros: Buffer.alloc(4096),
  'unknown flags': header(36, AUTH, 0xff),
};

describe('a stranger at the socket of a worker', () => {
  let httpd: Httpd;
  let path: string;
  before(async () => {
    httpd = await Httpd.start({
      config: 'TSGIDaemonProcess site\nTSGIScriptAlias / @APPS@/echo.js process-group=site\n',
    });
    httpd.log.allow('TSGI079');
    await httpd.ask('/hello');
    // As Apache's children do it: through the descriptor of the unlinked socket.
    const child = httpd.children()[0] ?? 0;
    const [fd] =
      Object.entries(fdsOf(child)).find(([, target]) => target.includes('/run/tsgi.')) ?? [];
    path = `/proc/${String(child)}/fd/${fd ?? 'none'}`;
  });
  after(() => httpd.stop());

  /** Connects, waits for HELLO. */
  async function stranger(): Promise<Socket> {
    const socket = connect({ path });
    socket.on('error', () => undefined); // EPIPE and ECONNRESET are what is expected
    let received = 0;
    socket.on('data', (chunk: Buffer) => (received += chunk.length));
    await once(socket, 'connect');
    await waitFor(() => received >= HELLO_BYTES, { what: 'HELLO' });
    return socket;
  }

  for (const [what, bytes] of Object.entries(garbage)) {
    it(`is turned away for ${what}, and the worker serves on`, async () => {
      const socket = await stranger();
      socket.write(bytes);
      await waitFor(() => socket.closed, { what: 'the end of the connection' });
      expect((await httpd.ask('/hello')).status).to.equal(200);
    });
  }

  it('is turned away, too, when it says its wrong secret byte by byte', async () => {
    const socket = await stranger();
    socket.setNoDelay(true);
    for (const byte of auth(1, 0)) {
      await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve));
    }
    await waitFor(() => socket.closed, { what: 'the end of the connection' });
  });

  it('cannot keep Apache out by 600 connections that say nothing', async () => {
    const silent = await Promise.all(Array.from({ length: 600 }, stranger));
    try {
      for (let i = 0; i < 20; i++) expect((await httpd.ask('/hello')).status).to.equal(200);
    } finally {
      for (const socket of silent) socket.destroy();
    }
    expect((await httpd.ask('/hello')).status).to.equal(200);
  });
});
