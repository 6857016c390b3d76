import { expect } from 'chai';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

const config = `
TSGIDaemonProcess pair processes=2 apache-threads=48
TSGIScriptAlias / @ROOT@/apps/blocks.js process-group=pair
`;
const app = `
require('node:http').createServer((req, res) => {
  const { pathname, searchParams } = new URL(req.url, 'http://a');
  const ms = Number(searchParams.get('ms'));
  if (pathname === '/block') {
    console.log('blocks');
    for (const end = performance.now() + ms; performance.now() < end;);
  }
  setTimeout(() => res.end(String(process.pid)), pathname === '/slow' ? ms : 0);
}).listen(3000);
`;

describe('a worker that says nothing while it has a request in hand', () => {
  let httpd: Httpd;
  before(async () => {
    httpd = await Httpd.prepare({ config });
    httpd.write('blocks.js', app);
    await httpd.start();
    const pids = new Set<string>();
    // Both have served, and every child has idle connections to both.
    await waitFor(async () => {
      for (const { body } of await Promise.all(
        Array.from({ length: 16 }, () => httpd.ask('/slow?ms=20')),
      )) {
        pids.add(body);
      }
      return pids.size === 2;
    });
  });
  after(() => httpd.stop());

  it('gets no more of them while another one serves, however many that has in hand', async () => {
    const blocked = httpd.ask('/block?ms=4000');
    await waitFor(() => httpd.log.matching(/ out\] blocks$/).length === 1);
    const since = performance.now();
    await waitFor(() => performance.now() - since > 600);
    const answers = [];
    for (let i = 0; i < 3; i++) {
      answers.push(
        ...(await Promise.all(Array.from({ length: 20 }, () => httpd.ask('/slow?ms=100')))),
      );
    }
    const { body: pid } = await blocked;
    expect(answers.map(({ status }) => status)).to.deep.equal(Array(60).fill(200));
    expect(answers.filter(({ body }) => body === pid)).to.deep.equal([]);
  });

  it('gets its share again when it speaks again, also beside long requests that are silent', async () => {
    const long = [1, 2, 3, 4].map(() => httpd.ask('/slow?ms=3000'));
    const since = performance.now();
    await waitFor(() => performance.now() - since > 600);
    // More at once than the difference of what they have in hand.
    const answers = await Promise.all(Array.from({ length: 16 }, () => httpd.ask('/slow?ms=200')));
    expect(new Set(answers.map(({ body }) => body)).size).to.equal(2);
    await Promise.all(long);
  });
});
