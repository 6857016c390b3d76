import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'chai';
import { raw } from '../harness/client.ts';
import { Httpd } from '../harness/httpd.ts';

const app = join(import.meta.dirname, 'app.cjs');

/** Bytes that no ordinary client sends, on one connection. The last request closes it. */
const exchanges: Record<string, readonly string[]> = {
  'three requests at once': [
    'GET /plain HTTP/1.1\r\nHost: a\r\n\r\n',
    'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
    'GET /chunks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ],
  'requests behind one whose body was not read': [
    'POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345',
    'GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ],
  'requests behind one without a body in its answer': [
    'HEAD /sized HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /no-content HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /not-modified HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /zero-length HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ],
  'chunks with extensions and in odd sizes': [
    'POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n' +
      '1;name=value\r\na\r\n0002\r\nbc\r\nA\r\n0123456789\r\n0\r\n\r\n',
    'GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ],
  'an absolute request target': [
    'GET http://a/plain/x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ],
  'HTTP/1.0 without Host': ['GET /plain HTTP/1.0\r\n\r\n'],
  'HTTP/1.0 that asks for the connection to be kept': [
    'GET /sized HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
    'GET /plain HTTP/1.0\r\n\r\n',
  ],
  'an answer of unknown length to HTTP/1.0': ['GET /chunks HTTP/1.0\r\n\r\n'],
};

interface Answer {
  readonly status: string;
  readonly body: string;
}

/** Status lines and bodies; sized and chunked, as they come. */
function parse(text: string, isHead: (n: number) => boolean): Answer[] {
  const answers: Answer[] = [];
  let rest = text;
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) throw new Error(`no head in ${JSON.stringify(rest.slice(0, 100))}`);
    const head = rest.slice(0, end);
    rest = rest.slice(end + 4);
    const status = head.slice(9, head.indexOf('\r\n'));
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    let body = '';
    if (isHead(answers.length) || /^(204|304)/.test(status)) body = '';
    else if (/\r\ntransfer-encoding: chunked/i.test(head)) {
      for (let size = 1; size > 0;) {
        const eol = rest.indexOf('\r\n');
        size = Number.parseInt(rest.slice(0, eol), 16);
        body += rest.slice(eol + 2, eol + 2 + size);
        rest = rest.slice(eol + 4 + size);
      }
    } else {
      const size = length === undefined ? rest.length : Number(length);
      body = rest.slice(0, size);
      rest = rest.slice(size);
    }
    answers.push({ status, body });
  }
  return answers;
}

describe('bytes on a connection, to an app below Apache and to the same app by itself', () => {
  let child: ChildProcess;
  let plain = 0;
  let httpd: Httpd;
  before(async () => {
    child = spawn(process.execPath, [app], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(child.stdout ?? expect.fail('no stdout'), 'data')) as [Buffer];
    plain = Number(line.toString());
    httpd = await Httpd.start({
      config: `TSGIDaemonProcess site\nTSGIScriptAlias / "${app}" process-group=site\n`,
    });
  });
  after(async () => {
    child.kill();
    await httpd.stop();
  });

  async function send(port: number, requests: readonly string[]): Promise<Answer[]> {
    const connection = await raw(port, requests.join(''));
    await connection.closed;
    connection.socket.destroy();
    return parse(connection.received(), (n) => requests[n]?.startsWith('HEAD') === true);
  }

  for (const [name, requests] of Object.entries(exchanges)) {
    it(`${name}: are answered the same`, async () => {
      const expected = await send(plain, requests);
      expect(expected).to.have.length(requests.length);
      expect(await send(httpd.port, requests)).to.deep.equal(expected);
    });
  }

  it('OPTIONS * is answered by Apache itself', async () => {
    const [answer] = await send(httpd.port, [
      'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    ]);
    expect(answer).to.deep.equal({ status: '200 OK', body: '' });
  });

  it('CONNECT is refused where the app has no listener for it', async () => {
    const [answer] = await send(httpd.port, [
      'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n',
    ]);
    expect(answer?.status).to.equal('405 Method Not Allowed');
  });
});
