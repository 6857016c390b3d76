import { expect } from 'chai';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import { ask } from '../harness/client.ts';
import { freePort, Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

/** The app and, beside it, metrics on a port of their own. */
const metered = `
const http = require('node:http');
http.createServer((req, res) => res.end('app ' + process.pid)).listen(Number(process.env.FIRST ?? 3000), '127.0.0.1');
http.createServer((req, res) => res.end('metrics ' + process.pid)).listen(Number(process.env.METRICS), '127.0.0.1');
`;

/** Redirects on port 80, the app on 443. */
const redirecting = `
const http = require('node:http');
const https = require('node:https');
http.createServer((req, res) => res.writeHead(301, { location: 'https://x' + req.url }).end()).listen(80);
https.createServer({}, (req, res) => res.end('app on ' + process.env.PORT)).listen(443);
`;

const elsewhere = `
require('node:http').createServer((req, res) => res.end()).listen(Number(process.env.METRICS), '127.0.0.1');
`;

/** The first port that anyone may bind. */
const firstFree = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'latin1'));

async function accepts(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

describe('an app with several servers', function () {
  this.timeout(40_000);
  let httpd: Httpd;
  let metrics: number;
  let other: number;
  let chosen: number;
  let first: number;

  before(async () => {
    metrics = await freePort();
    other = await freePort();
    chosen = await freePort();
    first = await freePort();
    httpd = await Httpd.prepare({
      config: `
TSGIDaemonProcess metered processes=2 env=METRICS=${String(metrics)}
TSGIScriptAlias /metered @ROOT@/apps/metered.cjs process-group=metered

TSGIDaemonProcess chosen listen=port:${String(chosen)} env=METRICS=${String(chosen)} env=FIRST=${String(first)}
TSGIScriptAlias /chosen @ROOT@/apps/chosen.cjs process-group=chosen

TSGIDaemonProcess secure listen=port:443
TSGIScriptAlias /secure @ROOT@/apps/redirecting.cjs process-group=secure

TSGIDaemonProcess lost listen=port:3000 startup-timeout=1s env=METRICS=${String(other)}
TSGIScriptAlias /lost @ROOT@/apps/elsewhere.cjs process-group=lost
`,
    });
    httpd.write('metered.cjs', metered);
    httpd.write('chosen.cjs', metered);
    httpd.write('redirecting.cjs', redirecting);
    httpd.write('elsewhere.cjs', elsewhere);
    httpd.log.allow(/TSGI0623/);
    await httpd.start();
  });
  after(() => httpd.stop());

  const pids = async (count: number): Promise<Set<string>> => {
    const seen = new Set<string>();
    await waitFor(
      async () => {
        for (let i = 0; i < 8; i++) seen.add((await ask(metrics, '/')).body);
        return seen.size >= count;
      },
      { what: `metrics of ${String(count)} workers` },
    );
    return seen;
  };

  it('is served by the first one; the others listen for themselves, in every worker', async () => {
    expect((await httpd.ask('/metered/')).body).to.match(/^app \d+$/);
    const seen = await pids(2);
    expect([...seen].every((text) => /^metrics \d+$/.test(text))).to.equal(true);
    const notes = httpd.log.matching(/TSGI0618.*metered.*Apache serves the first one/);
    expect(notes).to.have.length(2);
  });

  it('is reloaded while the old workers still listen', async () => {
    const before = await pids(2);
    httpd.write('metered.cjs', `${metered}// changed\n`);
    await waitFor(async () => !before.has((await ask(metrics, '/')).body), {
      what: 'metrics of a fresh worker',
    });
    await waitFor(async () => {
      const { body } = await httpd.ask('/metered/');
      return ![...before].some((text) => text.split(' ')[1] === body.split(' ')[1]);
    });
  });

  it('is served by the one on the port that listen= names, and the first one listens for itself', async () => {
    const { body } = await httpd.ask('/chosen/');
    expect(body).to.match(/^metrics \d+$/);
    expect((await ask(first, '/')).body).to.match(/^app \d+$/);
    expect(await accepts(chosen)).to.equal(false);
    expect(httpd.log.matching(/TSGI0618.*chosen.*the one on port/)).to.have.length(1);
  });

  it('goes on without a port that its user may not bind, and finds the chosen one in PORT', async function () {
    if (firstFree <= 80) this.skip(); // Here everyone may bind port 80.
    const { status, body } = await httpd.ask('/secure/');
    expect([status, body]).to.deep.equal([200, 'app on 443']);
    expect(httpd.log.matching(/TSGI0625.*redirecting.*:80\b/)).to.have.length(1);
  });

  it('does not start when nothing listens on the port that listen= names', async () => {
    expect((await httpd.ask('/lost/')).status).to.equal(503);
    await waitFor(
      () =>
        httpd.log.matching(
          new RegExp(`TSGI0623.*listens on 127.0.0.1:${String(other)} and not on port 3000`),
        ).length > 0,
    );
  });

  it('is refused by configtest with another value of listen=', () => {
    for (const value of ['second', 'port:', 'port:0', 'port:65536', 'port:80x', '3000']) {
      httpd.configure(`TSGIDaemonProcess wrong listen=${value}\n`);
      const { status, output } = httpd.configtest();
      expect(status, value).to.equal(1);
      expect(output).to.match(/listen=.*expected first, or port:N/);
    }
  });
});
