/**
 * What an app has written reaches the client before the app goes on, on every way: the app waits for a
 * second request, which the client sends when it has got what came first.
 */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as http2Connect } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip } from 'node:zlib';
import { expect } from 'chai';
import type { Transport } from '../harness/bulk.ts';
import { freePort, Httpd } from '../harness/httpd.ts';
import { makeCertificate, tlsHost, tlsModules } from '../harness/tls.ts';
import { waitFor } from '../harness/wait.ts';

interface Stream {
  readonly encoding: string;
  readonly body: Readable;
  readonly close: () => void;
}

const headers = { 'accept-encoding': 'gzip, br' };

async function openHttp1(isTls: boolean, port: number, path: string): Promise<Stream> {
  const where = { host: '127.0.0.1', port, path, agent: false as const, headers };
  const req = isTls ? httpsRequest({ ...where, rejectUnauthorized: false }) : httpRequest(where);
  req.end();
  const [res] = (await once(req, 'response')) as [IncomingMessage];
  return {
    encoding: res.headers['content-encoding'] ?? 'identity',
    body: res,
    close: () => req.destroy(),
  };
}

async function openHttp2(isTls: boolean, port: number, path: string): Promise<Stream> {
  const origin = `${isTls ? 'https' : 'http'}://127.0.0.1:${String(port)}`;
  const session = http2Connect(origin, { rejectUnauthorized: false });
  const stream = session.request({ ...headers, ':path': path });
  stream.end();
  const [head] = (await once(stream, 'response')) as [Record<string, string | undefined>];
  return {
    encoding: head['content-encoding'] ?? 'identity',
    body: stream,
    close: () => {
      session.destroy();
    },
  };
}

function decoded({ encoding, body }: Stream): Readable {
  if (encoding === 'gzip') return body.pipe(createGunzip());
  const finishFlush = constants.BROTLI_OPERATION_FLUSH;
  return encoding === 'br' ? body.pipe(createBrotliDecompress({ finishFlush })) : body;
}

const TRANSPORTS: readonly Transport[] = ['http', 'tls', 'h2c', 'h2'];
const APPS = ['plain', 'callable', 'fetch'] as const;
/** Ways to compress, as locations of the same apps. */
const COMPRESSORS = ['deflate', 'by-type', 'brotli'] as const;

const aliases = (prefix: string): string => `
TSGIScriptAlias ${prefix}/plain @APPS@/events.cjs application-group=plain
TSGIScriptAlias ${prefix}/callable @APPS@/events-callable.cjs application-group=callable
TSGIScriptAlias ${prefix}/fetch @APPS@/events-fetch.mjs application-group=fetch
`;

describe('a stream of events', () => {
  let httpd: Httpd;
  let tlsPort: number;
  let count = 0;
  before(async () => {
    tlsPort = await freePort();
    httpd = await Httpd.prepare({
      modules: [...tlsModules, 'brotli'],
      config: `
Protocols h2 h2c http/1.1
TSGIDaemonProcess events
TSGIProcessGroup events
${['', ...COMPRESSORS.map((name) => `/${name}`)].map(aliases).join('')}
<Location /deflate>
  SetOutputFilter DEFLATE
</Location>
<Location /by-type>
  AddOutputFilterByType DEFLATE text/event-stream text/plain
</Location>
<Location /brotli>
  SetOutputFilter BROTLI_COMPRESS
</Location>
${tlsHost(tlsPort)}
`,
    });
    makeCertificate(httpd);
    await httpd.start();
  });
  after(() => httpd.stop());

  const open = (transport: Transport, path: string): Promise<Stream> => {
    const isTls = transport === 'tls' || transport === 'h2';
    const port = isTls ? tlsPort : httpd.port;
    return transport.startsWith('h2') ? openHttp2(isTls, port, path) : openHttp1(isTls, port, path);
  };

  /** Follows a stream to its end: each piece must have come before the app is told to go on. */
  async function follow(transport: Transport, app: string, query = ''): Promise<string> {
    const id = String(++count);
    const go = () =>
      waitFor(async () => (await httpd.ask(`${app}/go?id=${id}`)).body === 'gone on');
    const opening = open(transport, `${app}/?id=${id}${query}`);
    if (query.includes('head')) await opening.then(go);
    const stream = await opening;
    const body = decoded(stream);
    let text = '';
    body.on('data', (chunk: Buffer) => (text += chunk.toString()));
    try {
      await waitFor(() => text === 'data: first\n\n', { what: `the first event of ${app}` });
      await go();
      await waitFor(() => text.endsWith('data: second\n\n'), { what: 'the second event' });
      await go();
      await waitFor(() => body.readableEnded, { what: 'the end' });
    } finally {
      stream.close();
    }
    return stream.encoding;
  }

  for (const transport of TRANSPORTS) {
    for (const app of APPS) {
      it(`comes as it is written: ${app}, ${transport}`, async () => {
        expect(await follow(transport, `/${app}`)).to.equal('identity');
      });
    }

    for (const compressor of COMPRESSORS) {
      it(`is left alone by compression (${compressor}), ${transport}`, async () => {
        for (const type of ['text/event-stream', 'Text/Event-Stream;%20charset=utf-8']) {
          const query = `&type=${type}`;
          expect(await follow(transport, `/${compressor}/plain`, query), type).to.equal('identity');
        }
      });

      it(`of another type is compressed (${compressor}), and comes as it is written, ${transport}`, async () => {
        const encoding = await follow(transport, `/${compressor}/callable`, '&type=text/plain');
        expect(encoding).to.equal(compressor === 'brotli' ? 'br' : 'gzip');
      });
    }

    it(`has sent its head when the app flushes it, ${transport}`, async () => {
      expect(await follow(transport, '/plain', '&head')).to.equal('identity');
    });
  }

  it('is compressed where its type only begins like one of events', async () => {
    const encoding = await follow('http', '/deflate/plain', '&type=text/event-streams');
    expect(encoding).to.equal('gzip');
  });
});
