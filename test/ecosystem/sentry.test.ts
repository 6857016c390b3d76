import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';
import { Collector } from './collector.ts';
import { provide } from './packages.ts';

interface Span {
  readonly name: string;
  readonly trace_id: string;
  /** It stands for a request, not for a part of one. */
  readonly is_segment: boolean;
}

interface Item {
  readonly items?: readonly Span[];
  readonly transaction?: string;
  readonly release?: string;
  readonly user?: { readonly id?: string };
  readonly request?: { readonly url?: string };
  readonly exception?: {
    readonly values: readonly {
      readonly value: string;
      readonly stacktrace: { readonly frames: readonly { readonly filename: string }[] };
    }[];
  };
}

describe('Sentry', function () {
  this.timeout(300_000);
  const collector = new Collector();
  let httpd: Httpd;

  before(async () => {
    const port = await collector.listen();
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess reported env=SENTRY_DSN=http://key@127.0.0.1:${port}/1 node-args="--import ./instrument.mjs" startup-timeout=1m
TSGIScriptAlias /reported @ROOT@/apps/reported.mjs process-group=reported`,
    });
    provide(join(httpd.dir, 'apps'));
    httpd.log.allow(/err\] /, /TSGI0507/, /TSGI0174/);
    await httpd.start();
  });
  after(async () => {
    try {
      await httpd.stop();
    } finally {
      collector.close();
    }
  });

  /** The objects of all envelopes that came. */
  const items = (): Item[] =>
    collector.reports.flatMap(({ body }) =>
      body.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Item])),
    );
  const errors = (): Item[] => items().filter(({ exception }) => exception !== undefined);

  it('hears of an error of each request, and whose it was', async () => {
    const users = ['anna', 'bert', 'cleo', 'dora'];
    const answers = await Promise.all(users.map((who) => httpd.ask(`/reported/fails/${who}`)));
    expect(answers.map(({ status, body }) => [status, body])).to.deep.equal(
      users.map((who) => [500, `failed for ${who}`]),
    );
    const found = await waitFor(() => errors().length >= users.length && errors(), {
      timeoutMs: 30_000,
    });
    for (const who of users) {
      const event = found.find(
        ({ exception }) => exception?.values[0]?.value === `failed for ${who}`,
      );
      expect(event?.user?.id).to.equal(who);
      expect(event?.transaction).to.equal('GET /fails/:who');
      expect(event?.release).to.equal('shop@1');
      expect(event?.request?.url).to.equal(`http://127.0.0.1:${httpd.port}/fails/${who}`);
      const frames = event?.exception?.values[0]?.stacktrace.frames ?? [];
      expect(frames.at(-1)?.filename).to.match(/reported\.mjs$/);
    }
  });

  it('gets a span of each request', async () => {
    const segments = await waitFor(
      () => {
        const spans = items().flatMap(({ items: all }) => all ?? []);
        const found = spans.filter(({ is_segment: isSegment }) => isSegment);
        return found.length >= 4 && found;
      },
      { timeoutMs: 30_000 },
    );
    expect(new Set(segments.map(({ name }) => name))).to.deep.equal(new Set(['GET /fails/:who']));
    expect(new Set(segments.map(({ trace_id: trace }) => trace))).to.have.property('size', 4);
  });

  it('hears of the error that ends the worker, before it ends', async () => {
    expect((await httpd.ask('/reported/dies')).status).to.equal(502);
    await waitFor(() =>
      errors().some(({ exception }) => exception?.values[0]?.value === 'nobody caught this'),
    );
    await waitFor(async () => (await httpd.ask('/reported/fails/again')).status === 500, {
      timeoutMs: 60_000,
    });
  });
});
