import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { waitFor } from '../harness/wait.ts';
import {
  body,
  bodyEnd,
  FIN,
  frame,
  R_PASS,
  R_UPGRADE,
  readHead,
  request,
  T,
} from './wire-client.ts';
import type { WireClient } from './wire-client.ts';
import { KIND, TestWorker } from './worker.ts';

const VIOLATION = 793;

describe('upgrades', () => {
  let worker: TestWorker;
  let directory: string;
  let names: readonly string[];

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsgi-passer-'));
    const source = fileURLToPath(new URL('fixtures/passer.c', import.meta.url));
    execFileSync('cc', ['-D_GNU_SOURCE', '-o', join(directory, 'passer'), source]);
  });
  after(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  beforeEach(async () => {
    worker = await TestWorker.start({ channel: { concurrency: 1 } });
    names = await worker.run(({ native }) => native.tokenNames);
  });
  afterEach(() => worker.stop());

  async function begin(flags: number): Promise<{ client: WireClient; id: number }> {
    const client = await worker.greet();
    client.send(request({ flags }));
    return { client, id: (await worker.next(KIND.request)).id };
  }

  async function ask(flags = R_UPGRADE | R_PASS): Promise<{ client: WireClient; id: number }> {
    const begun = await begin(flags);
    const { id } = begun;
    expect(await worker.run(({ channel }, i) => channel.requestSocket(i), id)).to.equal(true);
    await begun.client.expect(T.UPGRADE);
    return begun;
  }

  /** Sends bytes with descriptors. @returns what comes out of the passed one. */
  async function pass(client: WireClient, bytes: Buffer, ...kinds: string[]): Promise<string> {
    const child = spawn(join(directory, 'passer'), [bytes.toString('hex'), ...kinds], {
      stdio: ['ignore', 'pipe', 'inherit', client.socket],
    });
    client.socket.resume(); // spawn() has stopped it
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    expect((await once(child, 'close'))[0]).to.equal(0);
    return output;
  }

  const descriptors = (): number => readdirSync(`/proc/${String(worker.child.pid)}/fd`).length;

  async function expectViolation(client: WireClient, before: number): Promise<void> {
    await client.waitForEnd();
    await waitFor(() => worker.log.some(([code]) => code === VIOLATION));
    await waitFor(() => descriptors() < before, { what: 'a descriptor less: of the connection' });
  }

  describe('with the descriptor of the client', () => {
    it('hand it over with what came of it, and then tell the answer', async () => {
      const { client, id } = await ask();
      const passed = pass(client, frame(T.SOCKET, Buffer.from('early')), 'client');
      const event = await worker.next(KIND.socket);
      expect(event.id).to.equal(id);
      expect(Buffer.from(event.payload as Uint8Array).toString()).to.equal('early');
      await worker.run(
        ({ channel }, i, fd) => {
          const fs = process.getBuiltinModule('node:fs');
          fs.writeSync(fd, 'HTTP/1.1 101 \r\n\r\n');
          channel.respond(i, 101, 'Yes', 'Upgrade: raw\r\n', undefined, true, true);
          fs.closeSync(fd);
        },
        id,
        event.fd ?? -1,
      );
      expect(await passed).to.equal('HTTP/1.1 101 \r\n\r\n');
      const { payload, flags } = await client.expect(T.RESPONSE);
      expect(flags).to.equal(FIN);
      expect(readHead(payload, names)).to.deep.equal({
        status: 101,
        reason: 'Yes',
        headers: [['Upgrade', 'raw']],
      });
      await worker.next(KIND.finish);
      client.send(request());
      await worker.next(KIND.request);
    });

    it('take a SOCKET that comes in two pieces', async () => {
      const { client } = await ask();
      const whole = frame(T.SOCKET, Buffer.from('early bird'));
      const before = descriptors();
      const passed = pass(client, whole.subarray(0, 3), 'client');
      await waitFor(() => descriptors() > before, { what: 'the first piece' });
      client.send(whole.subarray(3));
      const event = await worker.next(KIND.socket);
      expect(Buffer.from(event.payload as Uint8Array).toString()).to.equal('early bird');
      await worker.stop();
      expect(await passed).to.equal('');
    });

    it('are not asked for where they are not offered', async () => {
      for (const flags of [0, R_UPGRADE]) {
        const { client, id } = await begin(flags);
        expect(await worker.run(({ channel }, i) => channel.requestSocket(i), id)).to.equal(false);
        await worker.run(({ channel }, i) => channel.respond(i, 200, '', '', '', true, true), id);
        await client.expect(T.RESPONSE);
      }
    });

    it('answer nothing before it has come', async () => {
      const { id } = await ask();
      const refused = await worker
        .run(({ channel }, i) => channel.respond(i, 200, '', '', '', true, true), id)
        .catch((error: unknown) => (error as { code: string }).code);
      expect(refused).to.equal('ERR_TSGI_STATE');
    });

    for (const [what, kinds] of [
      ['no descriptor', []],
      ['two', ['client', 'client']],
      ['a file', ['file']],
      ['a socket of datagrams', ['datagrams']],
    ] as const) {
      it(`break off a SOCKET with ${what}, and keep none`, async () => {
        const { client } = await ask();
        const before = descriptors();
        const passed = pass(client, frame(T.SOCKET), ...kinds);
        await expectViolation(client, before);
        await passed;
      });
    }

    it('break off another frame instead, and keep no descriptor', async () => {
      const { client } = await ask();
      const before = descriptors();
      const passed = pass(client, frame(T.BODY_END), 'client');
      await expectViolation(client, before);
      expect(await passed).to.equal('');
    });

    it('break off a SOCKET that nobody asked for, and keep no descriptor', async () => {
      const { client } = await begin(R_UPGRADE | R_PASS);
      const before = descriptors();
      const passed = pass(client, frame(T.SOCKET), 'client');
      await expectViolation(client, before);
      expect(await passed).to.equal('');
    });

    it('let go a descriptor that comes with a request', async () => {
      const client = await worker.greet();
      await worker.run(() => undefined); // AUTH has been read
      const before = descriptors();
      expect(await pass(client, request(), 'client')).to.equal('');
      await worker.next(KIND.request);
      expect(descriptors()).to.equal(before);
    });

    it('end without a word when the app hangs up', async () => {
      const { client, id } = await ask();
      const passed = pass(client, frame(T.SOCKET), 'client');
      await worker.next(KIND.socket);
      await worker.run(({ channel }, i) => {
        channel.hangUp(i);
      }, id);
      expect(await client.waitForEnd()).to.equal('end');
      expect(client.pending).to.deep.equal([]);
      await worker.stop();
      await passed;
    });
  });

  describe('relayed', () => {
    async function tunnel(): Promise<{ client: WireClient; id: number }> {
      const begun = await begin(R_UPGRADE);
      await worker.run(
        ({ channel }, i) => channel.respond(i, 101, '', 'Upgrade: x\r\n', undefined, true, false),
        begun.id,
      );
      await begun.client.expect(T.RESPONSE);
      return begun;
    }

    it('carry bytes both ways until both halves have ended, and the connection serves on', async () => {
      const { client, id } = await tunnel();
      client.send(body('up'));
      expect(String((await worker.next(KIND.body)).payload)).to.include('up');
      await worker.run(({ channel }, i) => channel.write(i, 'down', true, true), id);
      expect((await client.readBody()).toString()).to.equal('down');
      client.send(body('still up'), bodyEnd());
      await worker.next(KIND.body);
      await worker.next(KIND.bodyEnd);
      await worker.next(KIND.finish);
      client.send(request());
      await worker.next(KIND.request);
    });

    it('end with END and the connection when the app hangs up', async () => {
      const { client, id } = await tunnel();
      await worker.run(({ channel }, i) => {
        channel.write(i, 'last words', true, false);
        channel.hangUp(i);
      }, id);
      expect((await client.readBody()).toString()).to.equal('last words');
      expect(await client.waitForEnd()).to.equal('end');
    });

    it('take no place of requests', async () => {
      const tunnels = [];
      for (let i = 0; i < 20; i++) tunnels.push(await tunnel());
      const { client, id } = await begin(0);
      await worker.run(({ channel }, i) => channel.respond(i, 200, '', '', 'x', true, true), id);
      await client.expect(T.RESPONSE);
      for (const { client: one, id: i } of tunnels) {
        await worker.run(({ channel }, n) => channel.write(n, String(n), true, true), i);
        expect((await one.readBody()).toString()).to.equal(String(i));
        await one.close();
      }
      await waitFor(() => worker.run(({ channel }) => channel.inHand).then((n) => n === 0));
    });

    it('are not begun for a request that asked for none', async () => {
      const { id } = await begin(0);
      const refused = await worker
        .run(({ channel }, i) => channel.respond(i, 101, '', '', undefined, true, false), id)
        .catch((error: unknown) => (error as { code: string }).code);
      expect(refused).to.equal('ERR_HTTP_INVALID_STATUS_CODE');
    });

    it('take BODY only after 101', async () => {
      const { client } = await begin(R_UPGRADE);
      client.send(body('too early'));
      await client.waitForEnd();
      await waitFor(() => worker.log.some(([code]) => code === VIOLATION));
    });
  });
});
