/** One exchange, by HTTP/1.1, the same over TLS, or HTTP/2, told in one form. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { connect as http2Connect, constants, type ClientHttp2Session } from 'node:http2';
import { Agent as TlsAgent, request as httpsRequest } from 'node:https';

export type Field = readonly [name: string, value: string];

export interface Spec {
  readonly method?: string;
  readonly path: string;
  readonly headers?: readonly Field[];
  /** Pieces of the body; undefined: none. */
  readonly body?: readonly (string | Buffer)[];
  /** The body's length is told before; otherwise it is chunked. */
  readonly isSized?: boolean;
  readonly trailers?: readonly Field[];
  /** The body is sent when 100 Continue has come. */
  readonly expects?: boolean;
  /** The client goes away: when the response has begun, or when the app has its request. */
  readonly abort?: 'after-request' | 'in-response';
  /** Resolves when the app has the request. */
  readonly hasBegun?: () => Promise<unknown>;
}

export interface Interim {
  readonly status: number;
  readonly headers: readonly Field[];
}

export interface Seen {
  readonly interim: readonly Interim[];
  readonly status: number;
  readonly reason: string;
  readonly headers: readonly Field[];
  /** Text, or length and hash of a long one. */
  readonly body: string;
  readonly trailers: readonly Field[];
  /** 'cut': a head came, but not all of the body. 'none': no head. */
  readonly end: 'whole' | 'cut' | 'none';
  /** The connection can carry another request. */
  readonly isKept: boolean;
}

/** An exchange that brought no response. */
export function nothing(interim: readonly Interim[] = []): Seen {
  return {
    interim,
    status: 0,
    reason: '',
    headers: [],
    body: '',
    trailers: [],
    end: 'none',
    isKept: false,
  };
}

export type Transport = 'http' | 'tls' | 'h2';

function pairs(raw: readonly string[]): Field[] {
  return raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1] ?? ''] as const] : []));
}

function shown(chunks: readonly Buffer[]): string {
  const body = Buffer.concat(chunks);
  if (body.length <= 4096) return body.toString('latin1');
  return `${String(body.length)} bytes ${createHash('sha256').update(body).digest('hex')}`;
}

function headersOf(spec: Spec, port: number): string[] {
  const length = Buffer.concat((spec.body ?? []).map((piece) => Buffer.from(piece))).length;
  const framing: Field[] =
    spec.body === undefined
      ? []
      : spec.isSized === true
        ? [['Content-Length', String(length)]]
        : [['Transfer-Encoding', 'chunked']];
  const expect: Field[] = spec.expects === true ? [['Expect', '100-continue']] : [];
  return [
    ['Host', `127.0.0.1:${String(port)}`] as const,
    ...(spec.headers ?? []),
    ...framing,
    ...expect,
  ].flat();
}

async function sendBody(req: ClientRequest, spec: Spec): Promise<void> {
  if (spec.expects === true) {
    req.flushHeaders();
    const isOn = await Promise.race([
      once(req, 'continue').then(() => true),
      once(req, 'response').then(() => false),
    ]);
    if (!isOn) {
      req.destroy();
      return;
    }
  }
  for (const piece of spec.body ?? []) {
    req.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
    if (req.destroyed) return;
  }
  if (spec.trailers !== undefined) req.addTrailers(spec.trailers as [string, string][]);
  req.end();
}

async function readResponse(res: IncomingMessage): Promise<{ chunks: Buffer[] }> {
  const chunks: Buffer[] = [];
  res.on('data', (chunk: Buffer) => chunks.push(chunk));
  res.on('error', () => undefined); // shows in `complete`
  await new Promise((resolve) => res.on('close', resolve));
  return { chunks };
}

/** Exchanges with one server; HTTP/1.1 connections are used again where the server keeps them. */
export class Client {
  readonly #port: number;
  readonly #transport: Transport;
  readonly #agent: Agent;
  #session: ClientHttp2Session | undefined;

  constructor(port: number, transport: Transport) {
    this.#port = port;
    this.#transport = transport;
    this.#agent =
      transport === 'tls'
        ? new TlsAgent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false })
        : new Agent({ keepAlive: true, maxSockets: 1 });
  }

  close(): void {
    this.#agent.destroy();
    this.#session?.destroy();
  }

  exchange(spec: Spec): Promise<Seen> {
    return this.#transport === 'h2' ? this.#exchange2(spec) : this.#exchange1(spec);
  }

  async #exchange1(spec: Spec): Promise<Seen> {
    const send = this.#transport === 'tls' ? httpsRequest : httpRequest;
    const req = send({
      host: '127.0.0.1',
      port: this.#port,
      agent: this.#agent,
      method: spec.method ?? 'GET',
      path: spec.path,
      headers: headersOf(spec, this.#port),
      rejectUnauthorized: false,
    } as object);
    const interim: Interim[] = [];
    req.on('information', ({ statusCode, rawHeaders }) => {
      interim.push({ status: statusCode, headers: pairs(rawHeaders) });
    });
    const answered = new Promise<IncomingMessage | undefined>((resolve) => {
      req.on('response', resolve);
      req.on('error', () => {
        resolve(undefined);
      });
      req.on('close', () => {
        resolve(undefined);
      });
    });
    const freed = new Promise<boolean>((resolve) => {
      req.on('socket', (socket) => {
        const settle = (isFree: boolean) => () => {
          socket.removeListener('close', onClose).removeListener('free', onFree);
          resolve(isFree);
        };
        const onClose = settle(false);
        const onFree = settle(true);
        socket.on('close', onClose).on('free', onFree);
      });
    });
    const sent = sendBody(req, spec);
    if (spec.abort === 'after-request') {
      await sent;
      await spec.hasBegun?.();
      req.destroy();
    }
    const res = await answered;
    if (res === undefined) return nothing(interim);
    if (spec.abort === 'in-response') setTimeout(() => req.destroy(), 50);
    const { chunks } = await readResponse(res);
    await sent.catch(() => undefined);
    return {
      interim,
      status: res.statusCode ?? 0,
      reason: res.statusMessage ?? '',
      headers: pairs(res.rawHeaders),
      body: shown(chunks),
      trailers: pairs(res.rawTrailers),
      end: res.complete ? 'whole' : 'cut',
      isKept: res.complete && (await freed) && !/close/i.test(res.headers.connection ?? ''),
    };
  }

  async #exchange2(spec: Spec): Promise<Seen> {
    this.#session ??= http2Connect(`http://127.0.0.1:${String(this.#port)}`);
    const headers: Record<string, string | string[]> = {
      ':method': spec.method ?? 'GET',
      ':path': spec.path,
    };
    for (const [name, value] of spec.headers ?? []) {
      const key = name.toLowerCase();
      const before = headers[key];
      headers[key] = before === undefined ? value : [before, value].flat();
    }
    if (spec.isSized === true) {
      headers['content-length'] = String(
        Buffer.concat((spec.body ?? []).map((piece) => Buffer.from(piece))).length,
      );
    }
    if (spec.expects === true) headers['expect'] = '100-continue';
    const stream = this.#session.request(headers, {
      endStream: spec.body === undefined,
      waitForTrailers: spec.trailers !== undefined,
    });
    const interim: Interim[] = [];
    const fields = (raw: object): Field[] => {
      const list = Object.entries(raw as Record<string, string | string[]>);
      return list
        .filter(([name]) => !name.startsWith(':'))
        .flatMap(([name, value]) => [value].flat().map((one) => [name, one] as const));
    };
    stream.on('headers', (raw: Record<string, unknown>) => {
      interim.push({ status: Number(raw[':status']), headers: fields(raw) });
    });
    stream.on('wantTrailers', () => {
      stream.sendTrailers(Object.fromEntries(spec.trailers ?? []));
    });
    let trailers: Field[] = [];
    stream.on('trailers', (raw: object) => (trailers = fields(raw)));
    // From the start: when the stream is reset, what was not read by then is gone.
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    const failures: unknown[] = [];
    stream.on('error', (error) => failures.push(error));
    const head = new Promise<Record<string, unknown> | undefined>((resolve) => {
      stream.on('response', resolve);
      stream.on('close', () => {
        resolve(undefined);
      });
    });
    const isOn =
      spec.expects !== true ||
      (await Promise.race([once(stream, 'continue').then(() => true), head.then(() => false)]));
    for (const piece of isOn ? (spec.body ?? []) : []) {
      if (stream.destroyed || stream.closed) break;
      stream.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (isOn && spec.body !== undefined && !stream.destroyed) stream.end();
    if (spec.abort === 'after-request') {
      await spec.hasBegun?.();
      stream.close(constants.NGHTTP2_CANCEL);
    }
    const response = await head;
    if (response === undefined) return nothing(interim);
    if (spec.abort === 'in-response') {
      setTimeout(() => {
        stream.close(constants.NGHTTP2_CANCEL);
      }, 50);
    }
    if (!stream.closed) await new Promise((resolve) => stream.on('close', resolve));
    const isWhole = failures.length === 0 && stream.rstCode === constants.NGHTTP2_NO_ERROR;
    return {
      interim,
      status: Number(response[':status']),
      reason: '',
      headers: fields(response),
      body: shown(chunks),
      trailers,
      end: isWhole ? 'whole' : 'cut',
      isKept: !this.#session.destroyed && !this.#session.closed,
    };
  }
}
