import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { waitFor } from '../harness/wait.ts';
import { auth, body, FIN, frame, request, R_BODY, T } from './wire-client.ts';
import { KIND, TestWorker } from './worker.ts';

describe('handshake of a connection', () => {
  let worker: TestWorker;
  beforeEach(async () => {
    worker = await TestWorker.start();
  });
  afterEach(async () => {
    await worker.stop();
  });

  it('says HELLO with version, pid and generation as soon as it accepts', async () => {
    const { payload } = await worker.connect().expect(T.HELLO);
    expect(payload.subarray(0, 2)).to.deep.equal(Buffer.from([1, 1]));
    expect(payload.readUInt32LE(4)).to.equal(worker.child.pid);
    expect(payload.subarray(8)).to.deep.equal(Buffer.alloc(16, 7));
  });

  it('takes a request that comes in the same write as AUTH', async () => {
    const client = worker.connect();
    await client.expect(T.HELLO);
    client.send(auth(), request({ uri: '/a' }));
    const { request: head } = await worker.next(KIND.request);
    expect(head?.['uri']).to.equal('/a');
  });

  it('closes without a word when the secret is wrong, and logs it without the secret', async () => {
    const client = worker.connect();
    await client.expect(T.HELLO);
    client.send(auth(Buffer.alloc(32, 8)), request());
    await client.waitForEnd();
    await waitFor(() => worker.log.length > 0);
    expect(worker.log[0]?.[0]).to.equal(791);
    expect(worker.log[0]?.[1]).to.match(/secret/);
    expect(worker.events).to.deep.equal([]);
  });

  it('closes when the version is another one, and logs both', async () => {
    const client = worker.connect();
    await client.expect(T.HELLO);
    client.send(auth(Buffer.alloc(32, 9), 2, 3));
    await client.waitForEnd();
    await waitFor(() => worker.log.length > 0);
    expect(worker.log[0]).to.deep.equal([792, 'expected version 1.1, the peer speaks 2.3']);
  });

  it('closes when no AUTH comes in time, and keeps who has said it', async () => {
    await worker.stop();
    worker = await TestWorker.start({ channel: { greetingTimeoutMs: 200 } });
    const known = await worker.greet();
    const silent = worker.connect();
    await silent.expect(T.HELLO);
    await silent.expect(T.GOAWAY);
    await silent.waitForEnd();
    await waitFor(() => worker.log.length > 0);
    expect(worker.log[0]?.[0]).to.equal(795);
    known.send(request({ uri: '/known' }));
    const { request: head } = await worker.next(KIND.request);
    expect(head?.['uri']).to.equal('/known');
  });

  it('closes when a request comes before AUTH', async () => {
    const client = worker.connect();
    await client.expect(T.HELLO);
    client.send(request());
    await client.waitForEnd();
    await waitFor(() => worker.log.length > 0);
    expect(worker.log[0]).to.deep.equal([793, 'a frame before AUTH']);
    expect(worker.events).to.deep.equal([]);
  });

  it('takes AUTH and a request that come byte by byte', async () => {
    const client = worker.connect();
    await client.expect(T.HELLO);
    client.socket.setNoDelay(true);
    for (const byte of Buffer.concat([auth(), request({ flags: R_BODY }), body('xyz')])) {
      await new Promise((resolve) => client.socket.write(Buffer.from([byte]), resolve));
    }
    const { id } = await worker.next(KIND.request);
    await waitFor(() => worker.events.filter(({ kind }) => kind === KIND.body).length > 0);
    client.send(frame(T.BODY_END));
    await worker.next(KIND.bodyEnd);
    const pieces = worker.events.filter((event) => event.kind === KIND.body && event.id === id);
    expect(Buffer.concat(pieces.map(({ payload }) => payload as Uint8Array)).toString()).to.equal(
      'xyz',
    );
  });

  it('hands over the whole request head', async () => {
    const client = await worker.greet();
    const headers = [
      ['Host', 'example.org'],
      ['x-Own', 'v\xe9'],
      ['accept', '*/*'],
    ] as const;
    client.send(
      request({
        method: 'POST',
        uri: '/p?q',
        flags: R_BODY,
        contentLength: 5_000_000_000n,
        headers,
        vars: [['SSL_CIPHER', 'TLS \xfc']],
      }),
    );
    const { request: head } = await worker.next(KIND.request);
    expect(head).to.deep.include({
      method: 'POST',
      uri: '/p?q',
      flags: R_BODY,
      contentLength: 5_000_000_000,
      timeoutMs: 30_000,
      serverPort: 443,
      remotePort: 50001,
      localPort: 8443,
      httpVersion: '1.1',
      script: '/srv/app.js',
      remoteAddr: '192.0.2.1',
      requestId: 'id-1',
      vars: [['SSL_CIPHER', 'TLS \xfc']],
    });
    expect(head?.headers).to.deep.equal(headers);
  });

  it('says of a head whether its texts are ASCII; numbers, tokens and headers are none', async () => {
    const ascii = 0x4000_0000; // FLAG_ASCII of src/events.ts
    const client = await worker.greet();
    for (const [parts, expected] of [
      [{ headers: [[129, 'v\xe9']], vars: [['A', 'b']] }, ascii],
      [{ uri: `/${'x'.repeat(300)}` }, ascii],
      [{ uri: '/\xfc' }, 0],
      [{ vars: [['A', '\xfc']] }, 0],
    ] as const) {
      client.send(request(parts));
      const { id, request: head } = await worker.next(KIND.request);
      expect((head?.flags ?? 0) & ascii).to.equal(expected);
      await worker.run(
        ({ channel }, i) => channel.respond(i, 200, '', '', undefined, true, true),
        id,
      );
      await worker.next(KIND.finish);
    }
  });

  it('hands over names that travel as tokens, in both cases', async () => {
    const client = await worker.greet();
    client.send(
      request({
        headers: [
          [1, 'a'],
          [129, 'b'],
        ],
      }),
    );
    const { request: head } = await worker.next(KIND.request);
    expect(head?.headers).to.deep.equal([
      ['Host', 'a'],
      ['host', 'b'],
    ]);
  });

  for (const [what, bytes] of [
    ['an unknown frame type', frame(0x7f)],
    ['a frame of the other direction', frame(T.DATA, Buffer.from('x'), FIN)],
    ['an oversized frame', Buffer.from([0xff, 0xff, 0xff, 0x7f, T.REQUEST, 0, 0, 0])],
    ['a flag that the type does not have', frame(T.REQUEST, Buffer.alloc(64), 0x80)],
    ['a second AUTH', auth()],
    ['a body without a request', body('x')],
    ['a truncated head', frame(T.REQUEST, Buffer.alloc(60), FIN)],
    ['FIN on a request with a body', request({ flags: R_BODY, frameFlags: FIN })],
  ] as const) {
    it(`closes the connection only, and logs it, after ${what}`, async () => {
      const other = await worker.greet();
      const client = await worker.greet();
      client.send(bytes);
      await client.waitForEnd();
      await waitFor(() => worker.log.length > 0);
      expect(worker.log[0]?.[0]).to.equal(793);
      other.send(request());
      await worker.next(KIND.request);
    });
  }

  it('closes an exchange whose client sends a second request before the answer', async () => {
    const client = await worker.greet();
    client.send(request(), request());
    const { id } = await worker.next(KIND.request);
    expect((await worker.next(KIND.close)).id).to.equal(id);
    await client.waitForEnd();
  });
});

describe('peer of a connection', () => {
  let worker: TestWorker;
  afterEach(async () => {
    await worker.stop();
  });

  it('is welcome when it is of the user who may connect', async () => {
    worker = await TestWorker.start({ channel: { peerUid: process.getuid?.() ?? 0 } });
    await worker.connect().expect(T.HELLO);
  });

  it('is turned away, and logged, when it is of another user', async () => {
    const own = process.getuid?.() ?? 0;
    worker = await TestWorker.start({ channel: { peerUid: own + 1 } });
    // root is always welcome: to be turned away it must be somebody else.
    const uid = own === 0 ? 65_534 : own;
    chmodSync(dirname(worker.path), 0o711);
    chmodSync(worker.path, 0o666);
    const code = `require('node:net').connect(process.argv[1]).on('data', () => console.log('HELLO')).on('error', () => {})`;
    const peer = spawn(process.execPath, ['-e', code, worker.path], {
      ...(own === 0 && { uid, gid: uid }),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const output = await text(peer.stdout);
    expect(output).to.equal('');
    await waitFor(() => worker.log.length > 0);
    expect(worker.log[0]?.[0]).to.equal(790);
    expect(worker.log[0]?.[1]).to.match(new RegExp(`uid ${own + 1} or root, uid ${uid} came`));
  });

  it('makes way for others, with GOAWAY, when 512 have not shown the secret', async () => {
    worker = await TestWorker.start();
    const known = await worker.greet();
    const oldest = worker.connect();
    await oldest.expect(T.HELLO);
    await Promise.all(Array.from({ length: 512 }, () => worker.connect().expect(T.HELLO)));
    await oldest.expect(T.GOAWAY);
    expect(await oldest.waitForEnd()).to.equal('end');
    expect(worker.log[0]?.[0]).to.equal(794);
    known.send(request());
    await worker.next(KIND.request);
  });
});

describe('bytes of any kind', () => {
  it('close their connections at most; the worker serves on', async () => {
    const worker = await TestWorker.start();
    const good = [
      auth(),
      request({ flags: R_BODY, headers: [['Host', 'x']], vars: [['A', 'b']] }),
      body('some bytes'),
      frame(T.BODY_END),
      request(),
    ];
    // A generator that gives the same numbers in every run (Lehmer's).
    let seed = 42;
    const random = (n: number): number => (seed = (seed * 48_271) % 0x7fffffff) % n;
    for (let round = 0; round < 60; round++) {
      const bytes = Buffer.concat(good.slice(random(2)).concat(good[random(good.length)]!));
      for (let k = random(4); k >= 0; k--) bytes[random(bytes.length)] = random(256);
      const client = worker.connect();
      await client.expect(T.HELLO);
      for (let at = 0; at < bytes.length;) {
        const size = 1 + random(bytes.length);
        client.send(bytes.subarray(at, at + size));
        at += size;
      }
      client.socket.end();
      await client.waitForEnd();
    }
    const client = await worker.greet();
    client.send(request({ uri: '/after' }));
    await waitFor(() => worker.events.some((event) => event.request?.['uri'] === '/after'));
    await worker.stop();
  });
});
