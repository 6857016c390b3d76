/** Plays the servers to which monitoring packages report: OTLP over HTTP, and Sentry. */
import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { createGunzip } from 'node:zlib';

export interface Report {
  readonly path: string;
  readonly body: string;
}

export class Collector {
  readonly reports: Report[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((req, res) => {
      const stream = req.headers['content-encoding'] === 'gzip' ? req.pipe(createGunzip()) : req;
      void text(stream).then((body) => {
        this.reports.push({ path: req.url ?? '', body });
        res.setHeader('Content-Type', 'application/json');
        res.end('{}');
      });
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
