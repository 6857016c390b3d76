import { join } from 'node:path';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';
import { Collector } from './collector.ts';
import { provide } from './packages.ts';

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number | string };
}
interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly Attribute[];
}
interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[];
  }[];
}

/** The kind of a span that stands for a request that was served. */
const SERVER = 2;
const REGISTER = '@opentelemetry/auto-instrumentations-node/register';

function attribute(attributes: readonly Attribute[], ...keys: string[]): string {
  const found = attributes.find(({ key }) => keys.includes(key))?.value;
  return String(found?.stringValue ?? found?.intValue ?? '');
}

/** Names of the spans that are parts of another, or of such a part. */
function below(span: Span, all: readonly Span[]): string[] {
  const parts = all.filter(({ parentSpanId }) => parentSpanId === span.spanId);
  return parts.flatMap((part) => [part.name, ...below(part, all)]);
}

describe("OpenTelemetry's automatic instrumentation", function () {
  this.timeout(300_000);
  const collector = new Collector();
  let httpd: Httpd;

  before(async () => {
    const port = await collector.listen();
    const settings = [
      `OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:${port}`,
      'OTEL_EXPORTER_OTLP_PROTOCOL=http/json',
      'OTEL_METRICS_EXPORTER=none',
      'OTEL_LOGS_EXPORTER=none',
      'OTEL_BSP_SCHEDULE_DELAY=100',
      'OTEL_NODE_RESOURCE_DETECTORS=env',
    ];
    const env = settings.map((setting) => `env=${setting}`).join(' ');
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess required ${env} env=OTEL_SERVICE_NAME=required node-args="--require ${REGISTER}" startup-timeout=1m
TSGIScriptAlias /required @ROOT@/apps/traced.cjs process-group=required
TSGIDaemonProcess optioned ${env} env=OTEL_SERVICE_NAME=optioned "env=NODE_OPTIONS=--import ${REGISTER}" startup-timeout=1m
TSGIScriptAlias /optioned @ROOT@/apps/traced.cjs process-group=optioned
TSGIDaemonProcess module ${env} env=OTEL_SERVICE_NAME=module startup-timeout=1m \\
  node-args="--experimental-loader=@opentelemetry/instrumentation/hook.mjs --import ${REGISTER}"
TSGIScriptAlias /module @ROOT@/apps/traced.mjs process-group=module`,
    });
    provide(join(httpd.dir, 'apps'));
    httpd.log.allow(/err\] /);
    await httpd.start();
  });
  after(async () => {
    try {
      await httpd.stop();
    } finally {
      collector.close();
    }
  });

  const spansOf = (service: string): Span[] =>
    collector.reports
      .filter(({ path }) => path === '/v1/traces')
      .flatMap(({ body }) => (JSON.parse(body) as Export).resourceSpans)
      .filter(({ resource }) => attribute(resource.attributes, 'service.name') === service)
      .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));

  for (const service of ['required', 'optioned', 'module']) {
    it(`makes a span of each request, in the trace of its client, with the route of Express (${service})`, async () => {
      const ready = await waitFor(
        async () => (await httpd.ask(`/${service}/items/0`)).status === 200,
        { timeoutMs: 60_000 },
      );
      expect(ready).to.equal(true);
      const traceId = `0af7651916cd43dd8448eb211c80319${'0123456789'.at(service.length) ?? '0'}`;
      const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
      const answers = await Promise.all(
        [1, 2, 3].map((id) => httpd.ask(`/${service}/items/${id}?x=1`, { headers })),
      );
      expect(answers.map(({ body }) => body)).to.deep.equal([
        '{"id":"1"}',
        '{"id":"2"}',
        '{"id":"3"}',
      ]);
      const spans = await waitFor(
        () => {
          const found = spansOf(service).filter((span) => span.traceId === traceId);
          return found.filter(({ kind }) => kind === SERVER).length === 3 && found;
        },
        { timeoutMs: 30_000 },
      );
      for (const span of spans.filter(({ kind }) => kind === SERVER)) {
        expect(span.name).to.equal('GET /items/:id');
        expect(span.parentSpanId).to.equal('b7ad6b7169203331');
        expect(
          attribute(span.attributes, 'http.response.status_code', 'http.status_code'),
        ).to.equal('200');
        expect(attribute(span.attributes, 'url.path', 'http.target')).to.match(/^\/items\/\d/);
        expect(attribute(span.attributes, 'network.peer.address', 'net.peer.ip')).to.equal(
          '127.0.0.1',
        );
        expect(below(span, spans)).to.include('request handler - /items/:id');
      }
    });
  }
});
