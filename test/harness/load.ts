/** Load on test/apps/chaos.js: kept connections, each with one request after the other, and what came of them. */
import { Agent, request } from 'node:http';

export interface LoadOptions {
  readonly port: number;
  /** The app's path, without a slash at the end. */
  readonly path: string;
  readonly connections: number;
  /** What ids begin with: it tells several loads apart that share one CHAOS_FILE. */
  readonly prefix?: string;
}

export type Outcome =
  /** The right answer. */
  | 'good'
  /** The client itself went away. */
  | 'aborted'
  /** A status other than 200. */
  | 'status'
  /** The head came, the body did not come whole. */
  | 'truncated'
  /** The connection ended before a head came. */
  | 'broken'
  /** A whole answer that is another request's. */
  | 'foreign';

export interface Result {
  readonly id: string;
  readonly outcome: Outcome;
  readonly status: number;
  /** A kept connection: the server may have closed it while the request was on its way. */
  readonly isReused: boolean;
  readonly detail: string;
}

/** One request of each connection in turn is one of these. */
const kinds = [
  'get',
  'post',
  'get',
  'slow',
  'post',
  'big',
  'get',
  'upload',
  'abort',
  'get',
] as const;
type Kind = (typeof kinds)[number];

function shapeOf(kind: Kind): { query: string; body: string } {
  switch (kind) {
    case 'post':
      return { query: '', body: 'y'.repeat(100) };
    case 'upload':
      return { query: '', body: 'z'.repeat(200_000) };
    case 'big':
      return { query: '&size=300000', body: '' };
    case 'slow':
    case 'abort':
      return { query: '&wait=40', body: '' };
    case 'get':
      return { query: '', body: '' };
  }
}

export class Load {
  readonly results: Result[] = [];
  readonly #options: LoadOptions;
  #isRunning = true;
  readonly #clients: Promise<void>[];

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#clients = Array.from({ length: options.connections }, (_, n) => this.#client(n));
  }

  /** Resolves when all requests that had begun have ended. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.#clients);
  }

  /** Those with one of these outcomes. */
  of(...outcomes: Outcome[]): Result[] {
    return this.results.filter(({ outcome }) => outcomes.includes(outcome));
  }

  async #client(n: number): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; this.#isRunning; i++) {
      const kind = kinds[(n + i) % kinds.length] ?? 'get';
      const id = `${this.#options.prefix ?? ''}${String(n)}-${String(i)}`;
      this.results.push(await this.#one(agent, id, kind));
    }
    agent.destroy();
  }

  #one(agent: Agent, id: string, kind: Kind): Promise<Result> {
    const { query, body } = shapeOf(kind);
    const { port, path } = this.#options;
    return new Promise((resolve) => {
      let isAborted = false;
      const req = request({
        host: '127.0.0.1',
        port,
        path: `${path}/?id=${id}${query}`,
        method: body === '' ? 'GET' : 'POST',
        agent,
      });
      const settle = (outcome: Outcome, status = 0, detail = ''): void => {
        clearTimeout(timer);
        const isReused = req.reusedSocket;
        resolve({ id, outcome: isAborted ? 'aborted' : outcome, status, isReused, detail });
      };
      // An answer must come within Apache's own limits, which are shorter than this.
      const timer = setTimeout(() => {
        req.destroy(new Error('no answer for 60 s'));
      }, 60_000);
      req.on('error', (error) => {
        settle('broken', 0, error.message);
      });
      req.on('response', (res) => {
        const chunks: Buffer[] = [];
        const status = res.statusCode ?? 0;
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('error', () => undefined); // shows in `complete`
        res.on('close', () => {
          const text = Buffer.concat(chunks).toString();
          if (!res.complete) settle('truncated', status);
          else if (status !== 200) settle('status', status, text.slice(0, 300));
          else if (res.headers['x-id'] !== id || !text.startsWith(`${id} ${body} `)) {
            settle('foreign', status, `${String(res.headers['x-id'])}: ${text.slice(0, 80)}`);
          } else settle('good', status);
        });
      });
      req.end(body);
      if (kind === 'abort') {
        setTimeout(() => {
          isAborted = true;
          req.destroy();
        }, 10);
      }
    });
  }
}
