import { expect } from 'chai';
import { waitFor } from '../harness/wait.ts';
import { auth, body, bodyEnd, R_BODY, request, T } from './wire-client.ts';
import { KIND, TestWorker } from './worker.ts';

describe('concurrency', () => {
  let worker: TestWorker;
  beforeEach(async () => {
    worker = await TestWorker.start({ channel: { concurrency: 2 } });
  });
  afterEach(async () => {
    await worker.stop();
  });

  const uris = (): unknown[] =>
    worker.events.filter(({ kind }) => kind === KIND.request).map((e) => e.request?.['uri']);

  async function answer(id: number): Promise<void> {
    await worker.run(({ channel }, i) => channel.respond(i, 200, '', '', '', true, true), id);
  }

  it('leaves surplus requests unread until there is room, first come first served', async () => {
    const clients = [];
    for (const uri of ['/1', '/2', '/3', '/4']) {
      const client = await worker.greet();
      client.send(request({ uri }));
      clients.push(client);
      // Each has arrived before the next is sent.
      await worker.run(() => new Promise((resolve) => setImmediate(resolve)));
    }
    await waitFor(() => uris().length === 2);
    expect(await worker.run(({ channel }) => channel.inHand)).to.equal(2);
    await answer(worker.events[0]?.id ?? 0);
    await waitFor(() => uris().length === 3);
    expect(uris()).to.deep.equal(['/1', '/2', '/3']);
    await answer(worker.events[1]?.id ?? 0);
    await waitFor(() => uris().length === 4);
  });

  async function fill(): Promise<void> {
    for (const uri of ['/1', '/2']) (await worker.greet()).send(request({ uri }));
    await waitFor(() => uris().length === 2);
  }

  it('says HELLO to further connections, and leaves AUTH unread too', async () => {
    await fill();
    const client = worker.connect();
    await client.expect(T.HELLO);
    client.send(auth(), request({ uri: '/3' }));
    await answer(worker.events[0]?.id ?? 0);
    await waitFor(() => uris().includes('/3'));
  });

  it('gives back a surplus request unread: its peer sees ECONNRESET when it takes it back', async () => {
    const client = await worker.greet();
    await worker.run(() => undefined); // AUTH has been read
    await fill();
    client.send(request({ uri: '/3' }));
    client.socket.end();
    expect(await client.waitForEnd()).to.equal('ECONNRESET');
    expect(uris()).to.deep.equal(['/1', '/2']);
  });

  it('gives back a surplus request unread when the worker dies', async () => {
    const client = await worker.greet();
    await worker.run(() => undefined);
    await fill();
    client.send(request({ uri: '/3' }));
    await worker.run(() => undefined);
    worker.child.kill('SIGKILL');
    expect(await client.waitForEnd()).to.equal('ECONNRESET');
  });

  it('refuses a surplus request that was read behind the rest of a body', async () => {
    const first = await worker.greet();
    first.send(request({ flags: R_BODY, uri: '/0' }));
    const { id } = await worker.next(KIND.request);
    await answer(id);
    await first.expect(T.RESPONSE);
    await fill();
    first.send(body('rest'), bodyEnd(), request({ uri: '/3' }));
    await first.expect(T.REFUSED);
    expect(uris()).to.deep.equal(['/0', '/1', '/2']);
  });

  it('is free again when a peer goes away', async () => {
    const client = await worker.greet();
    client.send(request({ uri: '/gone' }));
    await worker.next(KIND.request);
    const other = await worker.greet();
    other.send(request({ uri: '/stays' }));
    await worker.next(KIND.request);
    const third = await worker.greet();
    third.send(request({ uri: '/waits' }));
    await client.close();
    await waitFor(() => uris().includes('/waits'));
  });
});
