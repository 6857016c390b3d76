import { expect } from 'chai';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Httpd } from '../harness/httpd.ts';
import { place } from '../harness/place.ts';
import { processOf } from '../harness/processes.ts';
import { upgrade } from '../harness/upgrade.ts';
import { waitFor } from '../harness/wait.ts';

/** `/slow` answers after half a second, `/never` never. */
const handler = `
let begun = 0;
const handler = (req, res) => {
  if (req.url === '/never') console.log('begun ' + req.url);
  else if (req.url === '/slow') {
    console.log('begun ' + req.url);
    setTimeout(() => res.end('slow ' + process.pid), 500);
  } else res.end(String(process.pid));
};
const http = require('node:http');
`;

const apps: Record<string, string> = {
  stoppable: `${handler}
const server = require('stoppable')(http.createServer(), 8000);
server.on('request', (req, res) => {
  if (req.url === '/pending') res.end(String(server._pendingSockets.size));
  else handler(req, res);
});
server.listen(3000);
process.on('SIGTERM', () => {
  server.stop((error, gracefully) => {
    console.log('ended', error ?? 'without error', gracefully);
    process.exit();
  });
});`,
  terminator: `${handler}
const { createHttpTerminator } = require('http-terminator');
const server = http.createServer(handler).listen(3000);
const terminator = createHttpTerminator({ server });
process.on('SIGTERM', async () => {
  await terminator.terminate();
  console.log('ended', server.listening);
});`,
  'graceful-shutdown': `${handler}
const server = http.createServer(handler).listen(3000);
require('http-graceful-shutdown')(server, { signals: 'SIGTERM', timeout: 8000, finally: () => console.log('ended') });`,
  terminus: `${handler}
const server = http.createServer(handler);
require('@godaddy/terminus').createTerminus(server, {
  signal: 'SIGTERM',
  timeout: 8000,
  healthChecks: { '/health': () => Promise.resolve('well') },
  onShutdown: async () => console.log('ended'),
});
server.listen(3000);`,
  plain: `${handler}
const server = http.createServer(handler).listen(3000);
server.on('close', () => console.log('closed'));
process.on('SIGTERM', () => server.close(() => console.log('ended', server.listening)));`,
};

const cutting = `${handler}
const server = http.createServer(handler).listen(3000);
process.on('SIGTERM', () => {
  server.close(() => console.log('ended'));
  server.getConnections((error, count) => console.log('open', count));
  setTimeout(() => server.closeAllConnections(), 100);
});`;

/** Lets another server listen, or none, when its answer has left. */
const swapping = `${handler}
const answer = (req, res) => {
  res.end(JSON.stringify([process.pid, req.socket.server === servers[0]]));
  if (req.url === '/again') {
    res.on('close', () => setImmediate(async () => {
      await new Promise((resolve) => servers[0].close(resolve));
      servers.reverse();
      servers[0].listen(3000, () => console.log('listens again'));
    }));
  } else if (req.url === '/close') res.on('close', () => servers[0].close());
};
const servers = [http.createServer(answer), http.createServer(answer)];
servers[0].listen(3000);
`;

/** Tells on an upgraded connection what the server knows of it. */
const upgrading = `${handler}
const sockets = new Set();
const server = http.createServer(handler);
server.on('connection', (socket) => {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
});
server.on('upgrade', (req, socket) => {
  server.getConnections((error, count) => {
    const facts = [sockets.has(socket), sockets.size, count, socket.server === server];
    socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: raw\\r\\n\\r\\n');
    socket.end(JSON.stringify(facts));
  });
});
server.listen(3000);
`;

describe('an app that ends gracefully by itself', function () {
  this.timeout(40_000);
  let httpd: Httpd;

  before(async () => {
    const more = { cutting, swapping };
    const names = Object.keys({ ...apps, ...more });
    const lines = names.map(
      (name) => `
TSGIDaemonProcess ${name}
TSGIScriptAlias /${name} @ROOT@/apps/${name}.cjs process-group=${name}`,
    );
    httpd = await Httpd.prepare({ config: `${lines.join('\n')}\n` });
    for (const [name, text] of Object.entries({ ...apps, ...more })) {
      httpd.write(`${name}.cjs`, text);
    }
    symlinkSync(join(place(), 'node_modules'), join(httpd.dir, 'apps', 'node_modules'));
    await httpd.start();
  });
  after(() => httpd.stop());

  const said = (pid: number, text: string) =>
    waitFor(
      () => httpd.log.matching(new RegExp(` ${String(pid)} (out|err)\\] ${text}`)).length > 0,
      {
        what: `${text} from ${String(pid)}`,
      },
    );

  for (const name of Object.keys(apps)) {
    it(`finishes what it has in hand, and ends: ${name}`, async () => {
      const pid = Number((await httpd.ask(`/${name}/`)).body);
      const slow = httpd.ask(`/${name}/slow`);
      await said(pid, 'begun /slow');
      process.kill(pid, 'SIGTERM');
      expect(await slow).to.include({ status: 200, body: `slow ${String(pid)}`, complete: true });
      await said(pid, 'ended');
      await waitFor(() => processOf(pid) === undefined, { what: `the end of ${name}` });
      const next = Number((await httpd.ask(`/${name}/`)).body);
      expect(next).to.be.greaterThan(0).and.not.equal(pid);
      expect(httpd.log.matching(/TSGI0731/)).to.deep.equal([]);
    });
  }

  it('keeps no account of sockets that are gone', async () => {
    for (let i = 0; i < 20; i++) await httpd.ask('/stoppable/');
    // A socket closes some ticks after its answer has left.
    await waitFor(async () => (await httpd.ask('/stoppable/pending')).body === '1');
  });

  it('answers health checks that a package has put before it', async () => {
    const { status, body } = await httpd.ask('/terminus/health');
    expect(status).to.equal(200);
    expect(JSON.parse(body)).to.include({ status: 'ok', info: 'well' });
  });

  it('cuts off by closeAllConnections() what does not come to an end', async () => {
    httpd.log.allow(/TSGI0712|TSGI0177/);
    const pid = Number((await httpd.ask('/cutting/')).body);
    const never = httpd.ask('/cutting/never');
    await said(pid, 'begun /never');
    process.kill(pid, 'SIGTERM');
    await said(pid, 'open 1');
    expect((await never).status).to.equal(500);
    await said(pid, 'ended');
    await waitFor(() => processOf(pid) === undefined, { what: 'the end of the worker' });
  });

  it('goes on when it listens again at once, with another server', async () => {
    const pids = new Set<number>();
    for (let count = 1; count <= 3; count++) {
      const [pid, isServed] = JSON.parse((await httpd.ask('/swapping/again')).body) as unknown[];
      expect(isServed).to.equal(true);
      pids.add(Number(pid));
      // Only then: with another request in hand, the worker would rather be replaced.
      await waitFor(() => httpd.log.matching(/listens again/).length === count);
    }
    expect(pids.size).to.equal(1);
    expect(httpd.log.matching(/TSGI0535.*swapping/)).to.deep.equal([]);
  });

  it('is replaced when it closes its server and listens no more', async () => {
    const [pid] = JSON.parse((await httpd.ask('/swapping/close')).body) as [number];
    await waitFor(() => processOf(pid) === undefined, { what: 'the end of the worker' });
    expect(JSON.parse((await httpd.ask('/swapping/')).body)).to.not.deep.equal([pid, true]);
    expect(httpd.log.matching(/TSGI0535.*swapping/)).to.have.length(1);
  });
});

describe('a server of an app that takes connections over', () => {
  for (const passing of ['On', 'Off']) {
    it(`counts them until they are closed, with TSGIUpgradePassing ${passing}`, async () => {
      const httpd = await Httpd.prepare({
        config: `TSGIUpgradePassing ${passing}\nTSGIScriptAlias /app @ROOT@/apps/upgrading.cjs\n`,
      });
      httpd.write('upgrading.cjs', upgrading);
      await httpd.start();
      try {
        const ask = async (): Promise<string> => {
          const client = await upgrade(httpd.port, { path: '/app/' });
          client.socket.end();
          await client.closed;
          return client.received().toString();
        };
        expect(await ask()).to.equal('[true,1,1,true]');
        // The client may learn of the end before the app does.
        await waitFor(async () => (await ask()) === '[true,1,1,true]');
      } finally {
        await httpd.stop();
      }
    });
  }
});
