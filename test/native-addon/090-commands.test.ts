import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { waitFor } from '../harness/wait.ts';
import { TestWorker } from './worker.ts';

interface Received {
  readonly text: string | undefined;
  readonly length: number;
  readonly fds: number[];
  readonly code: string | undefined;
}

describe('receiveCommands', () => {
  let directory: string;
  let worker: TestWorker;
  let control: Writable;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsgi-sender-'));
    const source = fileURLToPath(new URL('fixtures/sender.c', import.meta.url));
    execFileSync('cc', ['-D_GNU_SOURCE', '-o', join(directory, 'sender'), source]);
  });
  after(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  beforeEach(async () => {
    worker = await TestWorker.start({
      stdio: ['pipe'],
      under: [join(directory, 'sender')],
      channel: { idle: true },
    });
    control = worker.control;
    await worker.run(({ native, kept }) => {
      const received: Received[] = [];
      kept['received'] = received;
      kept['receiver'] = native.receiveCommands(6, (message, fds, error) => {
        const text = message?.toString();
        received.push({ text, length: message?.length ?? -1, fds, code: error?.code });
      });
    });
  });
  afterEach(async () => {
    await worker.stop();
  });

  const received = (): Promise<Received[]> =>
    worker.run(({ kept }) => kept['received'] as Received[]);
  const openDescriptors = (): Promise<number> =>
    worker.run(() => process.getBuiltinModule('node:fs').readdirSync('/proc/self/fd').length);

  it('hands over packets one by one, with their descriptors, closed on exec', async () => {
    control.write('send first 0\nsend second 253\n');
    await waitFor(async () => (await received()).length === 2);
    const [first, second] = await received();
    expect(first).to.deep.include({ text: 'first', fds: [], code: undefined });
    expect(second?.text).to.equal('second');
    expect(second?.fds.length).to.equal(253);
    const links = await worker.run((_, fds) => {
      const { readFileSync, readlinkSync } = process.getBuiltinModule('node:fs');
      return fds.map((fd) => {
        const flags = /flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
        return [readlinkSync(`/proc/self/fd/${fd}`), (parseInt(flags ?? '', 8) & 0o2000000) !== 0];
      });
    }, second?.fds ?? []);
    for (const link of links) expect(link).to.deep.equal(['/dev/null', true]);
  });

  it('takes a packet of 64 KiB', async () => {
    control.write('size 65536\n');
    await waitFor(async () => (await received()).length === 1);
    expect((await received())[0]?.length).to.equal(65536);
  });

  for (const [what, line] of [['is larger than 64 KiB', 'size 65537\n']] as const) {
    it(`tells an error when a packet ${what}, keeps nothing of it, and goes on`, async () => {
      const before = await openDescriptors();
      control.write(`${line}send next 0\n`);
      await waitFor(async () => (await received()).length === 2);
      const [bad, next] = await received();
      expect(bad).to.deep.include({ length: -1, fds: [], code: 'ERR_TSGI_COMMAND' });
      expect(next?.text).to.equal('next');
      expect(await openDescriptors()).to.equal(before);
    });
  }

  it('tells the end of the stream once', async () => {
    control.write('send last 0\nend\n');
    await waitFor(async () => (await received()).length === 2);
    expect((await received())[1]).to.deep.include({ length: -1, fds: [], code: undefined });
  });

  it('tells nothing more when it is closed', async () => {
    await worker.run(({ kept }) => {
      const receiver = kept['receiver'] as { close(): void };
      receiver.close();
      receiver.close();
    });
    control.write('send first 0\n');
    await worker.run(() => new Promise((resolve) => setTimeout(resolve, 50)));
    expect(await received()).to.deep.equal([]);
  });
});
