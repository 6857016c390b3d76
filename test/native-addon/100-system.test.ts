import { expect } from 'chai';
import { waitFor } from '../harness/wait.ts';
import { T } from './wire-client.ts';
import { TestWorker } from './worker.ts';

describe('system calls of the addon', () => {
  let worker: TestWorker;
  beforeEach(async () => {
    worker = await TestWorker.start({ channel: { idle: true }, stdio: ['pipe'] });
  });
  afterEach(async () => {
    await worker.stop();
  });

  it('refuseAll answers every waiting connection with UNAVAILABLE', async () => {
    const clients = [worker.connect(), worker.connect(), worker.connect()];
    await waitFor(() => clients.every(({ socket }) => socket.readyState === 'open'));
    const counts = await worker.run(({ native }) => [
      native.refuseAll(3, 506, 12),
      native.refuseAll(3, 506, 12),
    ]);
    expect(counts).to.deep.equal([3, 0]);
    for (const client of clients) {
      const { payload } = await client.expect(T.UNAVAILABLE);
      expect([payload.readUInt16LE(0), payload.readUInt16LE(2)]).to.deep.equal([506, 12]);
      expect(await client.waitForEnd()).to.equal('end');
    }
  });

  it('acceptPeer accepts connections one by one, and tells whose they are', async () => {
    const client = worker.connect();
    await waitFor(() => client.socket.readyState === 'open');
    const [peer, nobody, flags] = await worker.run(({ native }) => {
      const { readFileSync } = process.getBuiltinModule('node:fs');
      const first = native.acceptPeer(3);
      const info = readFileSync(`/proc/self/fdinfo/${String(first?.fd)}`, 'utf8');
      return [
        first,
        native.acceptPeer(3) ?? null,
        parseInt(/flags:\s+(\d+)/.exec(info)?.[1] ?? '', 8),
      ];
    });
    expect(peer?.uid).to.equal(process.getuid?.());
    expect(nobody).to.equal(null);
    const closeOnExecAndNonBlocking = 0o2004000;
    expect(flags & closeOnExecAndNonBlocking).to.equal(closeOnExecAndNonBlocking);
  });

  it('bindShared binds a port that others share, of IPv4 and IPv6', async () => {
    const found = await worker.run(async ({ native }) => {
      const events = process.getBuiltinModule('node:events');
      const { readFileSync, closeSync } = process.getBuiltinModule('node:fs');
      const { createServer } = process.getBuiltinModule('node:net');
      const free = createServer().listen(0, '127.0.0.1');
      await events.once(free, 'listening');
      const { port } = free.address() as { port: number };
      const inUse = native.bindShared('127.0.0.1', port, false);
      free.close();
      await events.once(free, 'close');
      const fds = ['127.0.0.1', '127.0.0.1', '::'].map((address) =>
        native.bindShared(address, port, false),
      );
      const info = readFileSync(`/proc/self/fdinfo/${String(fds[0])}`, 'utf8');
      const server = createServer().listen({ fd: fds[0] ?? -1 });
      await events.once(server, 'listening');
      const address = server.address();
      server.close();
      for (const fd of fds.slice(1)) if (fd >= 0) closeSync(fd);
      return { inUse, fds, port, address, info };
    });
    expect(found.inUse).to.equal(-98); // EADDRINUSE
    expect(found.fds[0]).to.be.greaterThan(2);
    expect(found.fds[1]).to.be.greaterThan(2);
    expect(found.fds[2]).to.satisfy((fd: number) => fd > 2 || fd === -97); // no IPv6 here
    expect(found.address).to.deep.equal({
      address: '127.0.0.1',
      family: 'IPv4',
      port: found.port,
    });
    const flags = parseInt(/flags:\s+(\d+)/.exec(found.info)?.[1] ?? '', 8);
    expect(flags & 0o2004000).to.equal(0o2004000); // close-on-exec and non-blocking
  });

  it('bindShared says what is wrong with an address, and throws for arguments that are none', async () => {
    const [name, foreign, thrown] = await worker.run(({ native }) => {
      const untyped = native as unknown as { bindShared(...args: unknown[]): number };
      const codes = [['::'], ['::', '80', false], ['::', 65536, false], [1, 2, 3]].map((args) => {
        try {
          return untyped.bindShared(...args);
        } catch (error) {
          return (error as NodeJS.ErrnoException).code;
        }
      });
      return [
        native.bindShared('localhost', 0, false),
        native.bindShared('192.0.2.1', 0, false),
        codes,
      ] as const;
    });
    expect([name, foreign]).to.deep.equal([-22, -99]); // EINVAL, EADDRNOTAVAIL
    expect(thrown).to.deep.equal(new Array(4).fill('ERR_INVALID_ARG_VALUE'));
  });

  it('watchReadable tells that a connection waits, until it is stopped', async () => {
    await worker.run(({ native, kept }) => {
      kept['count'] = 0;
      const watcher = native.watchReadable(3, () => {
        kept['count'] = Number(kept['count']) + 1;
        watcher.stop();
      });
      kept['watcher'] = watcher;
    });
    const count = (): Promise<number> => worker.run(({ kept }) => Number(kept['count']));
    worker.connect();
    await worker.run(() => new Promise((resolve) => setTimeout(resolve, 30)));
    expect(await count()).to.equal(0);
    await worker.run(({ kept }) => {
      (kept['watcher'] as { start(): void }).start();
    });
    await waitFor(async () => (await count()) === 1);
    await worker.run(({ kept }) => {
      (kept['watcher'] as { start(): void }).start();
    });
    await waitFor(async () => (await count()) === 2);
    await worker.run(({ kept }) => {
      (kept['watcher'] as { close(): void }).close();
    });
  });

  it('a watched descriptor can be given to a channel when the watcher is closed', async () => {
    await worker.run((host) => {
      const watcher = host.native.watchReadable(3, () => undefined);
      watcher.start();
      watcher.close();
      host.channel = host.open();
      host.channel.start();
    });
    await worker.connect().expect(T.HELLO);
  });

  it('closeOnExec keeps a descriptor from children', async () => {
    await worker.stop();
    // Node itself closes the low ones on exec; it stops to look at the first gap above 15.
    const under = ['bash', '-c', 'exec 20</dev/null; exec "$0" "$@"'];
    worker = await TestWorker.start({ channel: { idle: true }, under });
    const closes = await worker.run(({ native }) => {
      const { readFileSync } = process.getBuiltinModule('node:fs');
      const isSet = (): boolean => {
        const flags = /flags:\s+(\d+)/.exec(readFileSync('/proc/self/fdinfo/20', 'utf8'))?.[1];
        return (parseInt(flags ?? '', 8) & 0o2000000) !== 0;
      };
      const before = isSet();
      native.closeOnExec(20);
      return [before, isSet()];
    });
    expect(closes).to.deep.equal([false, true]);
  });

  it('system calls that fail throw an error with code, errno and syscall', async () => {
    const error = await worker.run(({ native }) => {
      try {
        native.closeOnExec(12345);
        return undefined;
      } catch (caught) {
        const { code, errno, syscall, message } = caught as NodeJS.ErrnoException;
        return { code, errno, syscall, message };
      }
    });
    expect(error).to.deep.equal({
      code: 'EBADF',
      errno: -9,
      syscall: 'fcntl',
      message: 'EBADF: Bad file descriptor, fcntl',
    });
  });

  it('setParentDeathSignal tells whether the parent is still the one that is expected', async () => {
    const told = await worker.run(({ native }) => [
      native.setParentDeathSignal(15, process.ppid),
      native.setParentDeathSignal(15, process.ppid + 1),
    ]);
    expect(told).to.deep.equal([true, false]);
  });

  it('ignoreSignal lets a signal do nothing, until somebody listens for it', async () => {
    const told = await worker.run(async ({ native }) => {
      native.ignoreSignal(10);
      process.kill(process.pid, 'SIGUSR1'); // Node would open its inspector now.
      const heard = new Promise((resolve) => process.once('SIGUSR1', resolve));
      process.kill(process.pid, 'SIGUSR1');
      const error = ((): unknown => {
        try {
          native.ignoreSignal(9);
          return undefined;
        } catch (caught) {
          return (caught as NodeJS.ErrnoException).code;
        }
      })();
      return [await heard, process.getBuiltinModule('node:inspector').url() ?? 'closed', error];
    });
    expect(told).to.deep.equal(['SIGUSR1', 'closed', 'EINVAL']);
  });

  it('writePacket writes, and gives EAGAIN when the pipe is full', async () => {
    const results = await worker.run(({ native }) => {
      const first = native.writePacket(5, Buffer.from('a packet'));
      let last = 0;
      for (let i = 0; i < 10_000 && last === 0; i++)
        last = native.writePacket(5, Buffer.alloc(4096));
      return [first, last, native.writePacket(12345, Buffer.from('x'))];
    });
    expect(results).to.deep.equal([0, 11, 9]);
  });

  it('fatalException ends the process as an uncaught error does', async () => {
    await worker.run(({ native }) => {
      setImmediate(() => {
        native.fatalException(new Error('thrown on purpose'));
      });
    });
    expect(await worker.waitForExit()).to.equal(1);
    expect(worker.stderr).to.include('thrown on purpose');
  });

  it('a channel refuses options that make no sense, and leaves the socket alone', async () => {
    const codes = await worker.run((host) => {
      const wrong: object[] = [
        { fd: 0 },
        { fd: 12345 },
        { fd: 'x' },
        { secret: Buffer.alloc(31) },
        { generation: 'x' },
        { concurrency: 0 },
        { concurrency: 65_537 },
        { concurrency: 1.5 },
        { peerUid: -2 },
        { onEvents: undefined },
      ];
      return wrong.map((more) => {
        try {
          host.open(3, more);
          return undefined;
        } catch (error) {
          return (error as NodeJS.ErrnoException).code;
        }
      });
    });
    expect(codes.slice(0, 2)).to.deep.equal(['ENOTSOCK', 'EBADF']);
    expect(codes.slice(2, -1)).to.deep.equal(Array(7).fill('ERR_INVALID_ARG_VALUE'));
    expect(codes.at(-1)).to.equal('ERR_INVALID_ARG_TYPE');
    await worker.run((host) => {
      host.channel = host.open();
      host.channel.start();
    });
    await worker.connect().expect(T.HELLO);
  });
});
