import { expect } from 'chai';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { waitFor } from '../harness/wait.ts';
import type { LoggingApp } from './both.ts';
import type { FakeChannel, FakeExchange, RequestSpec } from './fake-channel.ts';
import { makeHost } from './fake-channel.ts';

/** Notes everything that tells of an end. */
function watch(req: IncomingMessage, res: ServerResponse, log: string[]): void {
  req.on('aborted', () => log.push('req aborted'));
  req.on('end', () => log.push('req end'));
  req.on('close', () => log.push(`req close ${req.destroyed} ${req.complete}`));
  res.on('finish', () => log.push('res finish'));
  res.on('close', () => log.push(`res close ${res.writableFinished} ${res.destroyed}`));
  req.socket.on('close', () => log.push('socket close'));
}

interface Case {
  readonly name: string;
  readonly spec?: RequestSpec;
  /** Notes 'leave' when the client shall go. */
  readonly app: LoggingApp;
}

const UPLOAD: RequestSpec = {
  headers: [
    ['Host', 'example.test'],
    ['Content-Length', '100'],
  ],
  body: ['only ten b'],
  isOpen: true,
};

const cases: Case[] = [
  {
    name: 'before an answer',
    app: (req, res, log) => {
      watch(req, res, log);
      setImmediate(() => log.push('leave'));
    },
  },
  {
    name: 'before an answer, when the app listens for errors',
    app: (req, res, log) => {
      watch(req, res, log);
      req.on('error', (error: NodeJS.ErrnoException) => log.push(`req error ${error.code}`));
      req.resume();
      setImmediate(() => log.push('leave'));
    },
  },
  {
    name: 'in the middle of an upload',
    spec: UPLOAD,
    app: (req, res, log) => {
      watch(req, res, log);
      req.on('error', (error: NodeJS.ErrnoException) =>
        log.push(`req error ${error.code} ${error.message}`),
      );
      req.once('data', () => setImmediate(() => log.push('leave')));
    },
  },
  {
    name: 'in the middle of a download',
    app: (req, res, log) => {
      watch(req, res, log);
      res.on('error', () => log.push('res error'));
      res.write('part');
      setImmediate(() => log.push('leave'));
    },
  },
];

function textOf(spec: RequestSpec): string {
  const headers = spec.headers ?? [['Host', 'example.test']];
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const body = (spec.body ?? []).join('');
  return `${body === '' ? 'GET' : 'POST'} / HTTP/1.1\r\n${lines}\r\n${body}`;
}

async function ofNode(app: LoggingApp, spec: RequestSpec): Promise<string[]> {
  const log: string[] = [];
  const server = createServer((req, res) => {
    app(req, res, log);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write(textOf(spec));
  client.resume();
  try {
    await waitFor(() => log.includes('leave'));
    client.resetAndDestroy();
    await waitFor(() => log.includes('socket close'));
    await waitFor(() => log.some((line) => line.startsWith('req close')));
  } finally {
    client.destroy();
    server.close();
  }
  return log;
}

async function ofHost(app: LoggingApp, spec: RequestSpec): Promise<string[]> {
  const log: string[] = [];
  const { channel, fatal } = makeHost({
    kind: 'server',
    server: createServer((req, res) => {
      app(req, res, log);
    }),
  });
  const exchange = channel.queue(spec);
  channel.deliver();
  await waitFor(() => log.includes('leave'));
  channel.close(exchange);
  channel.deliver();
  await waitFor(() => log.includes('socket close'));
  await waitFor(() => log.some((line) => line.startsWith('req close')));
  expect(fatal).to.deep.equal([]);
  return log;
}

describe('a client that goes away looks to a (req, res) app as with node:http', () => {
  for (const { name, app, spec = {} } of cases) {
    it(name, async () => {
      const expected = await ofNode(app, spec);
      const came = await ofHost(app, spec);
      expect(came.sort()).to.deep.equal(expected.sort());
    });
  }
});

/** Serves one request to the app; resolves when socket and request are closed. */
async function served(
  app: (req: IncomingMessage, res: ServerResponse) => void,
  spec: RequestSpec = {},
): Promise<{ exchange: FakeExchange; log: string[]; fatal: unknown[] }> {
  const log: string[] = [];
  const server = createServer((req, res) => {
    watch(req, res, log);
    app(req, res);
  });
  const { channel, fatal } = makeHost({ kind: 'server', server });
  const exchange = channel.queue(spec);
  channel.deliver();
  await waitFor(() => log.includes('socket close'));
  await waitFor(() => log.some((line) => line.startsWith('req close')));
  return { exchange, log, fatal };
}

describe('an app that breaks off', () => {
  for (const [name, app] of [
    ['the response', (_req: IncomingMessage, res: ServerResponse) => void res.destroy()],
    ['the request', (req: IncomingMessage) => void req.destroy()],
    ['the socket', (req: IncomingMessage) => void req.socket.destroy()],
    ['by ending the socket', (req: IncomingMessage) => void req.socket.end()],
    ['by a reset', (req: IncomingMessage) => void req.socket.resetAndDestroy()],
  ] as const) {
    it(`${name} before it has answered aborts the exchange`, async () => {
      const { exchange, log, fatal } = await served(app);
      expect(exchange.aborted?.code).to.equal(712);
      expect(log).to.include('res close false true').and.not.include('res finish');
      expect(fatal).to.deep.equal([]);
    });
  }

  it('with an error tells the log why, and the server by clientError', async () => {
    const seen: string[] = [];
    const server = createServer((req) => {
      req.on('close', () => seen.push('closed'));
      req.destroy(new RangeError('no such thing'));
    });
    server.on('clientError', (error) => seen.push(error.message));
    const { channel, fatal } = makeHost({ kind: 'server', server });
    const exchange = await channel.request();
    await waitFor(() => seen.includes('closed'));
    expect(exchange.aborted?.message).to.match(/RangeError: no such thing$/);
    expect(seen).to.include('no such thing');
    expect(fatal).to.deep.equal([]);
  });

  it('in the middle of a response truncates it', async () => {
    const { exchange } = await served((_req, res) => {
      res.write('part');
      setImmediate(() => res.destroy());
    });
    expect(exchange.status).to.equal(200);
    expect(exchange.aborted?.code).to.equal(712);
  });

  it('after it has ended its response does not lose it', async () => {
    const { exchange } = await served((req, res) => {
      res.end('all of it');
      req.destroy();
    });
    await waitFor(() => exchange.isDead);
    expect(exchange.body).to.equal('all of it');
    expect(exchange.aborted).to.equal(undefined);
  });
});

describe('an app that answers before the upload is whole', () => {
  interface Upload {
    readonly channel: FakeChannel;
    readonly exchange: FakeExchange;
    readonly req: IncomingMessage;
    readonly log: string[];
  }

  /** The response has been heard of; the upload is not whole. */
  async function answered(
    app: (req: IncomingMessage, res: ServerResponse) => void,
  ): Promise<Upload> {
    const log: string[] = [];
    const requests: IncomingMessage[] = [];
    const server = createServer((req, res) => {
      requests.push(req);
      watch(req, res, log);
      app(req, res);
    });
    const { channel } = makeHost({ kind: 'server', server });
    const exchange = channel.queue(UPLOAD);
    channel.deliver();
    await waitFor(() => log.some((line) => line.startsWith('res close')));
    const [req] = requests;
    if (req === undefined) throw new Error('there was no request');
    return { channel, exchange, req, log };
  }

  function late(upload: Upload): void {
    upload.channel.body(upload.exchange, 'late');
    upload.channel.deliver();
  }

  const first = (req: IncomingMessage, res: ServerResponse): void => {
    req.once('data', () => res.writeHead(413).end('too much'));
  };

  it('reads on: the end of the response waits for the end of the body', async () => {
    const upload = await answered((req, res) => {
      first(req, res);
      req.on('data', () => undefined);
    });
    const { channel, exchange, log } = upload;
    expect(exchange.body).to.equal('too much');
    expect([exchange.isComplete, exchange.isDead]).to.deep.equal([false, false]);
    expect(log).to.include('res finish').and.not.include('req aborted');
    late(upload);
    channel.endBody(exchange);
    channel.deliver();
    await waitFor(() => log.includes('req end') && exchange.isComplete);
    expect(log).to.not.include('req aborted');
    await waitFor(() => exchange.isDead);
    expect(exchange.aborted).to.equal(undefined);
  });

  it('does not read: the exchange is over at once', async () => {
    const { exchange } = await answered((_req, res) => res.end('no'));
    expect(exchange.isComplete).to.equal(true);
  });

  it('destroys the request: the response is whole', async () => {
    const { exchange, req, log } = await answered((request, res) => {
      first(request, res);
      request.on('data', () => undefined);
    });
    req.destroy();
    await waitFor(() => log.includes('req aborted') && exchange.isDead);
    expect([exchange.body, exchange.aborted]).to.deep.equal(['too much', undefined]);
  });

  it('learns that the client has left', async () => {
    const { channel, exchange, log } = await answered((req, res) => {
      first(req, res);
      req.on('data', () => undefined);
    });
    channel.close(exchange);
    channel.deliver();
    await waitFor(() => log.includes('req aborted'));
  });

  it('leaves it unread for long: it is taken for done', async () => {
    const real = globalThis.setInterval;
    const ticks: (() => void)[] = [];
    // A clock that stands still until the test lets it go.
    globalThis.setInterval = (tick: () => void) => {
      ticks.push(tick);
      return real(() => undefined, 1_000_000);
    };
    let upload: Upload;
    try {
      upload = await answered((req, res) => {
        first(req, res);
        req.on('data', () => req.pause());
      });
    } finally {
      globalThis.setInterval = real;
    }
    const { channel, exchange, log } = upload;
    for (let i = 0; i < 4; i++) {
      channel.body(exchange, Buffer.alloc(32 * 1024));
      channel.deliver();
    }
    expect(exchange.isPaused).to.equal(true);
    for (const tick of ticks) tick();
    expect(log).to.not.include('req aborted');
    for (const tick of ticks) tick();
    await waitFor(() => log.includes('req aborted') && exchange.isDead);
    expect(exchange.body).to.equal('too much');
  });
});

describe('what was pending when a client left', () => {
  it('write callbacks get an error, end callbacks no success', async () => {
    const log: string[] = [];
    const server = createServer((_req, res) => {
      res.write(Buffer.alloc(100_000), (error) =>
        log.push(`write ${(error as NodeJS.ErrnoException).code}`),
      );
      const ended = (error?: unknown): unknown => log.push(`end ${error === undefined}`);
      res.end('rest', ended);
      res.on('close', () => log.push('close'));
    });
    const { channel } = makeHost({ kind: 'server', server });
    channel.isStalled = true;
    const exchange = channel.queue();
    channel.deliver();
    channel.close(exchange);
    channel.deliver();
    await waitFor(() => log.includes('close'));
    await waitFor(() => log.includes('write ERR_STREAM_DESTROYED'));
    // Newer versions of Node call it with an error, older ones do not.
    expect(log).to.not.include('end true');
  });

  it('writing goes nowhere and says so', async () => {
    let res: ServerResponse | undefined;
    const { channel } = makeHost({
      kind: 'server',
      server: createServer((_req, response) => (res = response)),
    });
    const exchange = channel.queue();
    channel.deliver();
    channel.close(exchange);
    channel.deliver();
    await waitFor(() => res?.destroyed);
    expect(res?.write('x')).to.equal(false);
    res?.end('y');
    expect(exchange.status).to.equal(0);
  });

  it('an AbortSignal of the request is aborted, but not after a whole response', async () => {
    const signals: AbortSignal[] = [];
    const server = createServer((req, res) => {
      signals.push(req.tsgi!.signal);
      if (req.url === '/answer') res.end('x');
    });
    const { channel } = makeHost({ kind: 'server', server });
    await channel.request({ url: '/answer' });
    const left = channel.queue({ url: '/wait' });
    channel.deliver();
    channel.close(left);
    channel.deliver();
    expect(signals.map(({ aborted }) => aborted)).to.deep.equal([false, true]);
  });
});
