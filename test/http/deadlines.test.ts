import { expect } from 'chai';
import type { Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { Deadlines } from '../../src/http/deadlines.ts';
import type { Exchange } from '../../src/http/exchange.ts';
import { ExchangeTable } from '../../src/http/table.ts';
import { waitFor } from '../harness/wait.ts';
import type { FakeExchange } from './fake-channel.ts';
import { makeHost } from './fake-channel.ts';

/** An exchange of a table, as far as deadlines look at it. */
function waiting(id: number, timeoutMs: number, isAnswerDue: () => boolean): Exchange {
  return {
    id,
    head: { timeoutMs },
    dueSince: 0,
    get isAnswerDue() {
      return isAnswerDue();
    },
  } as unknown as Exchange;
}

describe('the deadlines of exchanges', () => {
  it('are over when the time has passed since the answer was due, and not before', async () => {
    const table = new ExchangeTable();
    const ended = new Map<number, number>();
    const deadlines = new Deadlines(table, ({ id }) => {
      ended.set(id, performance.now());
      table.delete(id);
    });
    const began = performance.now();
    let isWhole = false;
    table.set(waiting(1, 120, () => true));
    table.set(waiting(2, 120, () => isWhole));
    table.set(waiting(3, 0, () => true));
    table.set(waiting(4, 20_000, () => true));
    for (const limit of [120, 120, 0, 20_000]) deadlines.watch(limit);
    await waitFor(() => ended.has(1));
    expect((ended.get(1) ?? 0) - began).to.be.at.least(120);
    expect([...ended.keys()]).to.deep.equal([1]);
    isWhole = true;
    const whole = performance.now();
    await waitFor(() => ended.has(2));
    expect((ended.get(2) ?? 0) - whole).to.be.at.least(120);
    table.delete(3);
    table.delete(4);
    expect([...ended.keys()]).to.deep.equal([1, 2]);
  });

  it('are looked at only while something is in hand', async () => {
    const make = (): { table: ExchangeTable; deadlines: Deadlines; looks: () => number } => {
      let looks = 0;
      const table = new ExchangeTable();
      const deadlines = new Deadlines(table, () => undefined);
      table.set(
        waiting(1, 5000, () => {
          looks++;
          return false;
        }),
      );
      return { table, deadlines, looks: () => looks };
    };
    const one = make();
    const other = make();
    const afterSomeLooks = (): Promise<unknown> => {
      const seen = other.looks();
      return waitFor(() => other.looks() > seen + 2);
    };
    const [exchange] = one.table;
    if (exchange === undefined) throw new Error('the table does not tell what is in it');
    other.deadlines.watch(5000);
    await afterSomeLooks();
    expect(one.looks()).to.equal(0);
    one.deadlines.watch(5000);
    await waitFor(() => one.looks() > 0);
    one.table.delete(1);
    await afterSomeLooks(); // It has found the table empty.
    const seen = one.looks();
    one.table.set(exchange);
    await afterSomeLooks();
    expect(one.looks()).to.equal(seen);
    one.deadlines.watch(5000);
    await waitFor(() => one.looks() > seen);
    for (const { table } of [one, other]) table.delete(1);
  });
});

/** A host whose one request stays without an answer until the limit is over. */
function serve(app: (res: ServerResponse) => void): { server: Server } {
  return {
    server: createServer((_req, res) => {
      app(res);
    }),
  };
}

describe('an exchange whose request-timeout is over', () => {
  const expectTimeout = (exchange: FakeExchange): void => {
    expect(exchange.aborted?.code).to.equal(730);
    expect(exchange.aborted?.message).to.match(/within request-timeout \(0\.1 s\)$/);
    expect(exchange.status).to.equal(0);
  };

  it('is aborted, and what its app writes later goes nowhere', async () => {
    let late: ServerResponse | undefined;
    const { channel, fatal } = makeHost({
      kind: 'server',
      ...serve((res) => {
        late = res;
      }),
    });
    const exchange = await channel.request({ timeoutMs: 100 });
    expectTimeout(exchange);
    late?.end('too late');
    await waitFor(() => late?.destroyed);
    expect([exchange.chunks, fatal]).to.deep.equal([[], []]);
  });

  it('is one of a callable: a signal that is first asked for then is aborted already', async () => {
    let environ: { 'tsgi.signal': AbortSignal } | undefined;
    const { channel } = makeHost({
      kind: 'callable',
      application: (given) => {
        environ = given;
        return new Promise<never>(() => undefined);
      },
    });
    expectTimeout(await channel.request({ timeoutMs: 100 }));
    const signal = environ?.['tsgi.signal'];
    expect(signal?.aborted).to.equal(true);
    expect(signal?.reason).to.be.instanceOf(DOMException).with.property('name', 'TimeoutError');
  });

  it('may be one whose app is still being loaded', async () => {
    const { channel } = makeHost(() => new Promise<never>(() => undefined));
    expectTimeout(await channel.request({ timeoutMs: 100 }));
  });

  it('is none whose head has left, by whatever way', async () => {
    const { channel } = makeHost({
      kind: 'server',
      ...serve((res) => {
        const { url } = res.req;
        if (url === '/headers') res.flushHeaders();
        if (url === '/write') res.write('x');
        if (url === '/raw') res.socket?.write('HTTP/1.1 200 OK\r\n\r\n');
      }),
    });
    const alive = ['/headers', '/write', '/raw'].map((url) =>
      channel.queue({ url, timeoutMs: 100 }),
    );
    const upload = channel.queue({ url: '/upload', timeoutMs: 100, body: ['x'], isOpen: true });
    channel.deliver();
    // Asked later than all of them, and ended: so would they have been.
    expectTimeout(await channel.request({ url: '/hang', timeoutMs: 100 }));
    for (const exchange of [...alive, upload]) {
      expect([exchange.spec.url, exchange.aborted]).to.deep.equal([exchange.spec.url, undefined]);
    }
    for (const exchange of [...alive, upload]) channel.close(exchange);
    channel.deliver();
  });
});
