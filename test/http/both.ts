/** Runs one (req, res) app over plain node:http and over the host, so that a test can compare them. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FLAG_EXPECT } from '../../src/events.ts';
import { waitFor } from '../harness/wait.ts';
import type { FakeExchange, RequestSpec } from './fake-channel.ts';
import { makeHost } from './fake-channel.ts';

/** An app that notes in `log` what happens to it. */
export type LoggingApp = (req: IncomingMessage, res: ServerResponse, log: string[]) => void;

/** What a client gets, and what the app has seen. */
export interface Outcome {
  readonly status: number;
  readonly reason: string;
  /** Without what Apache decides itself: Connection, Keep-Alive, Transfer-Encoding, Date's value. */
  readonly headers: [string, string][];
  readonly body: string;
  readonly trailers: string[];
  readonly informs: { status: number; headers: [string, string][] }[];
  readonly log: string[];
}

const APACHES = new Set(['connection', 'keep-alive', 'transfer-encoding']);

function pairs(raw: readonly string[]): [string, string][] {
  const all: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) all.push([raw[i] ?? '', raw[i + 1] ?? '']);
  return all;
}

function comparable(headers: [string, string][]): [string, string][] {
  return headers
    .filter(([name]) => !APACHES.has(name.toLowerCase()))
    .map(([name, value]) => [name, name === 'Date' ? 'now' : value]);
}

function listening(app: LoggingApp, log: string[]): RequestListener {
  return (req, res) => {
    app(req, res, log);
  };
}

/** Waits until nothing new has been noted for some turns of the event loop. */
async function settled(log: readonly string[]): Promise<void> {
  let last = -1;
  let calm = 0;
  await waitFor(() => {
    calm = log.length === last ? calm + 1 : 0;
    last = log.length;
    return calm >= 3;
  });
}

export async function throughNode(app: LoggingApp, spec: RequestSpec): Promise<Outcome> {
  const log: string[] = [];
  const server = createServer(listening(app, log));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const informs: Outcome['informs'] = [];
  try {
    return await new Promise<Outcome>((resolve, reject) => {
      const req = request({
        host: '127.0.0.1',
        port,
        agent: false,
        path: spec.url ?? '/',
        method: spec.method ?? (spec.body === undefined ? 'GET' : 'POST'),
        headers: (spec.headers ?? [['Host', 'example.test']]).flat(),
      });
      req.on('information', ({ statusCode, rawHeaders }) => {
        informs.push({ status: statusCode, headers: pairs(rawHeaders) });
      });
      req.on('error', reject);
      req.on('response', (res) => {
        const chunks: Buffer[] = [];
        res.on('error', reject);
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('end', () => {
          resolve({
            status: res.statusCode ?? 0,
            reason: res.statusMessage ?? '',
            headers: comparable(pairs(res.rawHeaders)),
            body: Buffer.concat(chunks).toString('utf8'),
            trailers: res.rawTrailers,
            informs: informs.filter(({ status }) => status !== 100),
            log,
          });
        });
      });
      for (const piece of spec.body ?? []) req.write(piece);
      if (spec.trailers !== undefined) req.addTrailers({ 'X-Sum': '1' });
      req.end();
    }).then(async (outcome) => {
      await settled(log);
      return outcome;
    });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** What an exchange of the fake channel has become. */
export function outcomeOf(exchange: FakeExchange, log: string[]): Outcome {
  return {
    status: exchange.status,
    reason: exchange.reason,
    headers: comparable(exchange.headers),
    body: exchange.body,
    trailers: exchange.trailers
      .split('\r\n')
      .slice(0, -1)
      .flatMap((line) => line.split(': ')),
    informs: exchange.informs.map(({ status, headers }) => ({
      status,
      headers: headers
        .split('\r\n')
        .slice(0, -1)
        .map((line) => line.split(': ') as [string, string]),
    })),
    log,
  };
}

export async function throughHost(app: LoggingApp, spec: RequestSpec): Promise<Outcome> {
  const log: string[] = [];
  const { channel, fatal } = makeHost({
    kind: 'server',
    server: createServer(listening(app, log)),
  });
  const isExpecting = spec.headers?.some(([name]) => name === 'Expect') === true;
  const exchange = await channel.request(isExpecting ? { ...spec, flags: FLAG_EXPECT } : spec);
  await settled(log);
  if (fatal.length > 0) throw fatal[0];
  return outcomeOf(exchange, log);
}
