import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { LineSplitter } from '../../src/ipc/lines.ts';
import type { Watch } from '../../src/native.ts';
import { waitFor } from '../harness/wait.ts';
import { TestWorker } from './worker.ts';

/** The control socket is descriptor 5 of the worker. */
const stdio = ['pipe'] as const;

describe('watch thread', () => {
  let worker: TestWorker;
  afterEach(async () => {
    await worker.stop();
  });

  /** @param apache the pid of what counts as Apache's parent; 0: nobody knows it */
  async function start(hardKillMs: number, detached = true, apache = 0): Promise<Duplex> {
    worker = await TestWorker.start({ stdio, detached, channel: { idle: true } });
    await worker.run(
      ({ native, kept }, ms, pid) => {
        kept['lines'] = [];
        kept['watch'] = new native.Watch({
          fd: 5,
          apache: pid,
          orphanKillMs: 60_000,
          abandonKillMs: ms,
          onLine: (line) => (kept['lines'] as string[]).push(line),
          onEof: () => (kept['lines'] as string[]).push('<EOF>'),
          onApacheEnd: () => (kept['lines'] as string[]).push('<Apache>'),
        });
      },
      hardKillMs,
      apache,
    );
    return worker.control;
  }

  const lines = (): Promise<string[]> => worker.run(({ kept }) => kept['lines'] as string[]);

  it('hands over lines, however they are cut', async () => {
    const control = await start(60_000);
    control.write('one\ntw');
    await waitFor(async () => (await lines()).length === 1);
    control.write('o ä€\n\nlast');
    await waitFor(async () => (await lines()).length === 3);
    expect(await lines()).to.deep.equal(['one', 'two ä€', '']);
  });

  it('drops a line over 1 MiB, and goes on', async () => {
    const control = await start(60_000);
    control.write(`${'x'.repeat(1_200_000)}\nnext\n`);
    await waitFor(async () => (await lines()).length > 0);
    expect(await lines()).to.deep.equal(['next']);
  });

  it('tells the end of the stream', async () => {
    const control = await start(60_000);
    control.end();
    await waitFor(async () => (await lines()).includes('<Apache>'));
    expect(await lines()).to.deep.equal(['<Apache>']); // nobody knows whether it lives
  });

  it('tells the end of the stream, and that of Apache after it', async () => {
    const apache = spawn('sleep', ['60'], { stdio: 'ignore' });
    const ended = once(apache, 'exit');
    const control = await start(300, true, apache.pid);
    await worker.run(() => {
      setInterval(() => undefined, 1000);
    });
    control.end();
    await waitFor(async () => (await lines()).includes('<EOF>'));
    expect(await lines()).to.deep.equal(['<EOF>']);
    apache.kill();
    await ended;
    expect(await worker.waitForExit()).to.equal('SIGKILL');
  });

  it('knows of an Apache that has gone before the supervisor', async () => {
    const apache = spawn('sleep', ['60'], { stdio: 'ignore' });
    const ended = once(apache, 'exit');
    const control = await start(60_000, true, apache.pid);
    apache.kill();
    await ended;
    expect(await lines()).to.deep.equal([]); // the supervisor says what to do
    control.end();
    await waitFor(async () => (await lines()).length > 0);
    expect(await lines()).to.deep.equal(['<Apache>']);
  });

  it('does not keep the loop alive', async () => {
    await start(60_000);
    await worker.run(() => {
      setImmediate(() => {
        process.disconnect();
      });
    });
    expect(await worker.waitForExit()).to.equal(0);
  });

  it('kills the process group after the end of the stream although the loop is blocked', async () => {
    const control = await start(300);
    const grandchild = await worker.run(() => {
      const child = process.getBuiltinModule('node:child_process').spawn('sleep', ['60']);
      setImmediate(() => {
        for (;;);
      });
      return child.pid ?? 0;
    });
    control.end();
    const before = performance.now();
    expect(await worker.waitForExit()).to.equal('SIGKILL');
    expect(performance.now() - before).to.be.lessThan(2000);
    await waitFor(() => !isAlive(grandchild), { what: 'the end of the grandchild' });
  });

  it('ends the process alone when the group is not its own', async () => {
    const control = await start(100, false);
    await worker.run(() => {
      setImmediate(() => {
        for (;;);
      });
    });
    control.end();
    expect(await worker.waitForExit()).to.equal(137);
  });

  it('kills when it is told to, and not when that is taken back', async () => {
    await start(60_000);
    await worker.run(({ kept }) => {
      const watch = kept['watch'] as { hardKill(ms: number): void };
      watch.hardKill(50);
      watch.hardKill(0);
    });
    await worker.run(() => new Promise((resolve) => setTimeout(resolve, 150)));
    await worker.run(({ kept }) => {
      (kept['watch'] as { hardKill(ms: number): void }).hardKill(50);
    });
    expect(await worker.waitForExit()).to.equal('SIGKILL');
  });

  /** Guards the loop, then blocks it. @returns the lines of the thread so far, and those to come. */
  async function block(isDebugged: boolean, ms?: number): Promise<string[]> {
    const control = await start(60_000);
    const told: string[] = [];
    const splitter = new LineSplitter((line) => told.push(line));
    control.on('data', (bytes: Buffer) => {
      splitter.push(bytes);
    });
    await worker.run(
      ({ kept }, debugged, time) => {
        const watch = kept['watch'] as Watch;
        watch.guard(200, () => debugged);
        const spin = `while (Date.now() < ${String(Date.now() + (time ?? 1e9))});`;
        const code = `(function grüße() { ${spin} })\n//# sourceURL=a"b\\c.js`;
        // Not before the first question has been answered.
        setTimeout((0, eval)(code) as () => void, 150);
      },
      isDebugged,
      ms ?? null,
    );
    return told;
  }

  it('beats, and tells where the JavaScript is when the loop is blocked', async () => {
    const told = await block(false);
    const line = await waitFor(() => told.find((text) => text.includes('blocked')));
    expect(line).to.match(/^[ -~]*$/);
    const { stack } = JSON.parse(line) as { stack: string };
    expect(stack).to.match(/^at grüße \(a"b\\c\.js:1:\d+\)\n/);
    expect(new Set(told.slice(0, told.indexOf(line)))).to.deep.equal(new Set(['{"type":"beat"}']));
    const count = told.length;
    await waitFor(() => told.length >= count + 3, { what: 'further beats' });
    expect(told.filter((text) => text.includes('blocked'))).to.have.length(1);
  });

  it('lets a loop stop that is debugged', async () => {
    const told = await block(true, 600);
    await worker.run(() => new Promise((resolve) => setTimeout(resolve, 700)));
    expect(new Set(told)).to.deep.equal(new Set(['{"type":"beat"}']));
  });

  it('says nothing more when it is closed', async () => {
    const control = await start(50);
    await worker.run(({ kept }) => {
      const watch = kept['watch'] as { close(): void };
      watch.close();
      watch.close();
    });
    control.end('line\n');
    await worker.run(() => new Promise((resolve) => setTimeout(resolve, 150)));
    expect(await lines()).to.deep.equal([]);
  });

  it('refuses options that make no sense', async () => {
    worker = await TestWorker.start({ channel: { idle: true } });
    const code = await worker.run(({ native }) => {
      try {
        const [onLine, onEof, onApacheEnd] = [() => 0, () => 0, () => 0];
        const times = { orphanKillMs: 0, abandonKillMs: -1 };
        return new native.Watch({ fd: 5, apache: 0, ...times, onLine, onEof, onApacheEnd });
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    });
    expect(code).to.equal('ERR_INVALID_ARG_VALUE');
  });
});

/** Whether it runs: one that is dead may stay a zombie until its new parent looks. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
