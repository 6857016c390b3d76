import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { patience } from '../harness/sanitizer.ts';
import { waitFor } from '../harness/wait.ts';

/** Entries that cannot be loaded: [name, source, the words of the cause in the error log]. */
const broken: readonly (readonly [string, string, RegExp])[] = [
  ['throws.js', 'function deep() { throw new Error("no database") }\ndeep();', /no database/],
  ['rejects.mjs', 'await Promise.reject(new Error("no queue"))', /no queue/],
  ['syntax.js', 'const x = ;', /SyntaxError/],
  ['missing.js', 'require("a-package-that-is-not-there")', /a-package-that-is-not-there/],
  ['missing-esm.mjs', 'import "a-package-that-is-not-there"', /a-package-that-is-not-there/],
  ['exits.js', 'process.exit(3)', /exit(ed)?.*3/],
  ['nothing.js', 'exports.app = 1', /listen|application/],
  ['wrong.mjs', 'export default 42', /number|42/],
  ['never.js', 'setInterval(() => undefined, 1000)', /startup-timeout|listen/],
  ['typed.ts', 'const x: number = 1;\n\n\nthrow new Error(`typed ${x}`)', /typed 1/],
];

const config = `
TSGIDaemonProcess broken startup-timeout=${String(2 * patience)}s queue-timeout=${String(8 * patience)}s
TSGIProcessGroup broken
ErrorDocument 500 "the page for 500"
ErrorDocument 502 "the page for 502"
ErrorDocument 503 "the page for 503"
${broken.map(([name]) => `TSGIScriptAlias /${name} @ROOT@/apps/${name}`).join('\n')}
`;

describe('an app that cannot be loaded', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config });
    for (const [name, source] of broken) httpd.write(name, source);
    httpd.log.allow('TSGI0', ...broken.map(([, , why]) => why), 'broken');
    await httpd.start();
  });
  after(() => httpd.stop());

  for (const [name, , why] of broken) {
    it(`(${name}) is a 503 for the client, and for the operator group, pid, script and cause under an id`, async () => {
      const answer = await httpd.ask(`/${name}`);
      expect(answer.status).to.equal(503);
      expect(answer.body).to.equal('the page for 503');
      expect(answer.headers).to.have.property('retry-after');
      const line = await waitFor(
        () => httpd.log.matching(/TSGI06\d\d/).find((l) => l.includes(name) && why.test(l)),
        { what: `a line about ${name}\n${httpd.log.matching(/TSGI/).join('\n')}` },
      );
      expect(line).to.match(/broken/);
      expect(line).to.match(/\[broken \d+|pid \d+/);
    });
  }

  it('shows the stack in the error log, for TypeScript with the line of the source', () => {
    expect(httpd.log.matching(/throws\.js:1:/)).to.not.deep.equal([]);
    expect(httpd.log.matching(/typed\.ts:4:/)).to.not.deep.equal([]);
  });

  it('serves as soon as it is mended', async () => {
    httpd.write(
      'throws.js',
      "exports.application = (e, start) => { start('200 OK', []); return ['mended'] }",
    );
    await waitFor(async () => (await httpd.ask('/throws.js')).body === 'mended', {
      timeoutMs: 35_000,
    });
  });
});

const misbehaving = `
exports.application = (environ, startResponse) => {
  switch (environ.PATH_INFO) {
    case '/throws': throw new Error('inside ' + environ.PATH_INFO);
    case '/rejects': return Promise.reject(new Error('inside ' + environ.PATH_INFO));
    case '/never-started': return ['x'];
    case '/bad-header': startResponse('200 OK', [['X-Bad', 'a\\r\\nb']]); return ['x'];
    case '/large': startResponse('200 OK', Array.from({ length: 40 }, (_, i) => ['X-' + i, 'y'.repeat(10000)])); return ['x'];
    case '/bad-chunk': startResponse('200 OK', []); return [42];
    case '/late': startResponse('200 OK', [['Content-Type', 'text/plain']]);
      return (async function* () { yield 'x'.repeat(100000); throw new Error('inside /late'); })();
    case '/log': environ['tsgi.errors'].write('a line for ' + environ['tsgi.request_id']); startResponse(200, []); return [environ['tsgi.request_id']];
    default: startResponse('200 OK', []); return ['fine'];
  }
};
`;
const fetchHandler = `
export default { async fetch(request) {
  if (request.url.endsWith('/rejects')) throw new Error('inside fetch');
  return new Response('fine');
} };
`;
const server = `
const http = require('node:http');
http.createServer((req, res) => {
  if (req.url === '/throws') throw new Error('uncaught ' + req.url);
  if (req.url === '/later') return setImmediate(() => { throw new Error('uncaught ' + req.url) });
  if (req.url === '/exit') { res.write('begun'); return setImmediate(() => process.exit(7)); }
  if (req.url === '/answered') { res.end('answered'); process.exit(0); }
  if (req.url === '/print') { console.log('to stdout \\x1b[31mred\\x1b[0m'); console.error('to stderr'); return res.end('ok'); }
  if (req.url === '/flood') { for (let i = 0; i < 20000; i++) console.log('line ' + i + ' ' + 'x'.repeat(200)); return res.end('flooded'); }
  if (req.url === '/twice') { res.writeHead(200); res.end('a'); try { res.writeHead(200) } catch (e) { console.log('second head: ' + e.code) } return; }
  if (req.url === '/after') { res.end('a'); res.on('error', (e) => console.log('after end: ' + e.code)); res.write('b'); return; }
  if (req.url === '/badvalue') { try { res.setHeader('X', 'a\\r\\nb') } catch (e) { return res.end(e.code) } }
  if (req.url === '/short') { res.setHeader('Content-Length', 10); return res.end('short'); }
  if (req.url === '/short-flushed') { res.setHeader('Content-Length', 10); res.write('short'); return setTimeout(() => res.end(), 50); }
  if (req.url === '/long') { res.setHeader('Content-Length', 3); return res.end('longer'); }
  res.end('fine');
}).listen(3000);
`;
const config2 = `
TSGIScriptAlias /callable @ROOT@/apps/callable.js
TSGIScriptAlias /fetch @ROOT@/apps/fetch.mjs
TSGIScriptAlias /server @ROOT@/apps/server.js
ErrorDocument 500 "the page for 500"
ErrorDocument 502 "the page for 502"
LogFormat "%m %U %>s %{TSGI_REQUEST_ID}e" ids
CustomLog @ROOT@/ids.log ids
`;

describe('an app that misbehaves', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config: config2 });
    httpd.write('callable.js', misbehaving);
    httpd.write('fetch.mjs', fetchHandler);
    httpd.write('server.js', server);
    await httpd.start();
    httpd.log.allow(
      'TSGI0[1257]',
      'to stderr',
      'uncaught',
      'inside',
      /\d+ err\]/,
      /\[default:\S+ \d+\]/,
    );
  });
  after(() => httpd.stop());

  for (const path of ['/throws', '/rejects', '/never-started', '/bad-header', '/bad-chunk']) {
    it(`(callable ${path}) is a 500 of the host through ErrorDocument, and the worker lives`, async () => {
      const answer = await httpd.ask(`/callable${path}`);
      expect(answer.status).to.equal(500);
      expect(answer.body).to.equal('the page for 500');
      const id = await waitFor(
        () =>
          new RegExp(`GET /callable${path} 500 (\\S+)`).exec(
            readFileSync(`${httpd.dir}/ids.log`, 'utf8'),
          )?.[1],
      );
      expect(id).to.not.equal('-');
      expect(httpd.log.lines().some((line) => line.includes('TSGI') && line.includes(id))).to.equal(
        true,
      );
      expect((await httpd.ask('/callable/fine')).body).to.equal('fine');
    });
  }

  it('(callable) with headers beyond the limit is a 500 that says so', async () => {
    expect((await httpd.ask('/callable/large')).status).to.equal(500);
    await waitFor(() => httpd.log.matching(/TSGI0716.*256 KiB of headers/).length > 0);
  });

  it('(callable) is cut off visibly when it throws after the head', async () => {
    const answer = await httpd.ask('/callable/late');
    expect(answer.status).to.equal(200);
    expect(answer.complete).to.equal(false);
  });

  it('(fetch) that rejects is a 500 of the host', async () => {
    const answer = await httpd.ask('/fetch/rejects');
    expect(answer.status).to.equal(500);
    expect(answer.body).to.equal('the page for 500');
    expect((await httpd.ask('/fetch/x')).body).to.equal('fine');
  });

  for (const path of ['/throws', '/later']) {
    it(`(server ${path}) that throws ends its worker, is a 502, and is replaced`, async () => {
      const answer = await httpd.ask(`/server${path}`);
      expect(answer.status).to.equal(502);
      expect(answer.body).to.equal('the page for 502');
      expect((await httpd.ask('/server/x')).body).to.equal('fine');
      await waitFor(() => httpd.log.matching(new RegExp(`uncaught ${path}`)).length > 0);
    });
  }

  it('(server) that exits after the head is cut off visibly', async () => {
    const answer = await httpd.ask('/server/exit');
    expect(answer.complete).to.equal(false);
    expect((await httpd.ask('/server/x')).body).to.equal('fine');
  });

  it('(server) delivers what was ended before process.exit in the same turn', async () => {
    expect((await httpd.ask('/server/answered')).body).to.equal('answered');
    expect((await httpd.ask('/server/x')).body).to.equal('fine');
  });

  it('(server) writes stdout and stderr to the error log, escaped, with group and pid', async () => {
    await httpd.ask('/server/print');
    const out = await waitFor(() => httpd.log.matching(/to stdout/)[0]);
    expect(out).to.match(/\[default:\S+ \d+ out\] to stdout \\x1b\[31mred/);
    const err = await waitFor(() => httpd.log.matching(/to stderr/)[0]);
    expect(err).to.match(/\[default:\S+ \d+ err\] to stderr/);
  });

  it('(server) gets the errors that node gives for a second head, a write after the end, a bad value', async () => {
    expect((await httpd.ask('/server/twice')).body).to.equal('a');
    await waitFor(() => httpd.log.matching(/second head: ERR_HTTP_HEADERS_SENT/).length > 0);
    expect((await httpd.ask('/server/after')).body).to.equal('a');
    await waitFor(() => httpd.log.matching(/after end: ERR_STREAM_WRITE_AFTER_END/).length > 0);
    expect((await httpd.ask('/server/badvalue')).body).to.equal('ERR_INVALID_CHAR');
  });

  it('(server) with fewer bytes than Content-Length is a 502 while the head can be held, else cut off visibly', async () => {
    const answer = await httpd.ask('/server/short');
    expect(answer.status).to.equal(502);
    const flushed = await httpd.ask('/server/short-flushed');
    expect(flushed.status).to.equal(200);
    expect(flushed.complete).to.equal(false);
  });

  it('(server) with more bytes than Content-Length is cut to it', async () => {
    const answer = await httpd.ask('/server/long');
    expect(answer.body).to.equal('lon');
    expect((await httpd.ask('/server/x')).body).to.equal('fine');
  });

  it('(callable) writes to the log of its request with its id', async () => {
    const id = (await httpd.ask('/callable/log')).body;
    await waitFor(() => httpd.log.lines().some((line) => line.includes(`a line for ${id}`)));
  });

  it('(server) that floods its log still answers; what could not be kept is counted', async () => {
    expect((await httpd.ask('/server/flood')).body).to.equal('flooded');
    const kept = () => httpd.log.matching(/line \d+ x/).length;
    await waitFor(() => kept() === 20_000 || httpd.log.matching(/TSGI05(09|40)/).length > 0);
    expect(kept()).to.be.greaterThan(1000);
    expect((await httpd.ask('/server/x')).body).to.equal('fine');
  });
});
