import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Answer } from '../harness/client.ts';
import { Httpd } from '../harness/httpd.ts';
import { nodeInUse } from '../harness/place.ts';
import { processOf } from '../harness/processes.ts';
import { sanitizedNode } from '../harness/sanitizer.ts';
import { waitFor } from '../harness/wait.ts';

const works = `
require('node:http').createServer((req, res) => {
  if (req.url.endsWith('/crash')) process.kill(process.pid, 'SIGKILL');
  else res.end('works ' + process.pid);
}).listen(3000);
`;
const throws = 'console.log("attempt"); throw new Error("no database");\n';
/** Fails after so long that clients who waited for it would notice. */
const throwsLate = `console.log('late attempt'); setTimeout(() => { throw new Error('no database') }, 1500);\n`;

const config = `
TSGIDaemonProcess sound
TSGIDaemonProcess loops processes=2
TSGIDaemonProcess late
TSGIDaemonProcess mortal
TSGIDaemonProcess nodeless node=@ROOT@/apps/node queue-timeout=20s
TSGIScriptAlias /sound @ROOT@/apps/sound.js process-group=sound
TSGIScriptAlias /loops @ROOT@/apps/loops.js process-group=loops
TSGIScriptAlias /late @ROOT@/apps/late.js process-group=late
TSGIScriptAlias /mortal @ROOT@/apps/mortal.js process-group=mortal
TSGIScriptAlias /nodeless @ROOT@/apps/nodeless.js process-group=nodeless
`;

interface Timed {
  readonly answer: Answer;
  readonly ms: number;
  /** What an answer of a group that serves took just before. */
  readonly usualMs: number;
}

const median = (of: readonly number[]): number =>
  [...of].sort((a, b) => a - b)[Math.floor(of.length / 2)] ?? Infinity;

describe('a group that cannot run', function () {
  this.timeout(90_000);
  let httpd: Httpd;

  const path = (name: string) => join(httpd.dir, 'apps', name);
  /** A shell that becomes node; a small file, so that it can be taken away and put back. */
  const putNode = () => {
    writeFileSync(path('node'), `#!/bin/sh\nexec "${sanitizedNode(httpd.dir, nodeInUse)}" "$@"\n`);
    chmodSync(path('node'), 0o755);
  };
  const killSupervisor = () => {
    const [one] = httpd.processes(/^tsgi: supervisor nodeless$/);
    process.kill(one?.pid ?? expect.fail('no supervisor'), 'SIGKILL');
  };
  const workers = (name: string) => httpd.processes(new RegExp(`^tsgi: worker ${name}/`));
  const timed = async (url: string): Promise<Timed> => {
    const began = performance.now();
    expect((await httpd.ask('/sound')).status).to.equal(200);
    const since = performance.now();
    const answer = await httpd.ask(url);
    return { answer, ms: performance.now() - since, usualMs: since - began };
  };
  /** So many requests one after the other. */
  const refusals = async (url: string, count: number): Promise<Timed[]> => {
    const all: Timed[] = [];
    for (let i = 0; i < count; i++) all.push(await timed(url));
    return all;
  };
  /** Every answer is a 503 with an id and a Retry-After; most come at once, whatever the machine does. */
  const expectRefused = (all: readonly Timed[]) => {
    for (const { answer } of all) {
      expect(answer.status).to.equal(503);
      expect(Number(answer.headers['retry-after'])).to.be.within(1, 36);
      expect(answer.headers).to.have.property('tsgi-request-id');
    }
    const times = all.map(({ ms }) => ms);
    const usual = median(all.map(({ usualMs }) => usualMs));
    expect(median(times), `of ${times.map(Math.round).join(' ')} ms`).to.be.below(50 + 2 * usual);
    expect(Math.max(...times), 'the slowest').to.be.below(1000 + 20 * usual);
  };

  before(async () => {
    httpd = await Httpd.prepare({ config: '' });
    for (const name of ['sound', 'loops', 'late', 'mortal', 'nodeless']) {
      httpd.write(`${name}.js`, works);
    }
    putNode();
    httpd.configure(config);
    await httpd.start();
    for (const name of ['sound', 'loops', 'late', 'mortal', 'nodeless'])
      await httpd.ask(`/${name}`);
    httpd.log.allow(/TSGI05/, /TSGI06/, /TSGI01/, /no database/, /\bat /, /attempt/, /^.*apps\//);
  });
  after(() => httpd.stop());

  it('answers 503 at once in a crash loop, also while a fresh worker is tried', async () => {
    // No reload: the old workers would serve on.
    const old = workers('late');
    httpd.write('late.js', throwsLate);
    await waitFor(() => httpd.log.matching(/late attempt/).length === 1);
    for (const { pid } of old) process.kill(pid, 'SIGKILL');
    await waitFor(() => httpd.log.matching(/TSGI0607.*late\.js/).length >= 2, {
      timeoutMs: 20_000,
    });
    const attempts = () => httpd.log.matching(/late attempt/).length;
    const before = attempts();
    const all: Timed[] = [];
    // From before the next attempt until it has been under way for a while.
    await waitFor(
      async () => {
        all.push(...(await refusals('/late', 5)));
        return attempts() > before;
      },
      { timeoutMs: 30_000 },
    );
    all.push(...(await refusals('/late', 60)));
    expectRefused(all);
  });

  it('serves again at once after a touch, and other groups notice nothing', async () => {
    const old = workers('loops');
    httpd.write('loops.js', throws);
    await waitFor(() => httpd.log.matching(/TSGI0512/).length > 0);
    for (const { pid } of old) process.kill(pid, 'SIGKILL');
    // 100 ms · 2ⁿ: the fifth failure of both workers is followed by a pause of more than a second.
    await waitFor(() => httpd.log.matching(/TSGI0607.*loops\.js/).length >= 11, {
      timeoutMs: 20_000,
    });
    const all = await refusals('/loops', 30);
    expectRefused(all);
    const longest = Math.max(...all.map(({ answer }) => Number(answer.headers['retry-after'])));
    expect(longest).to.be.within(1, 5);
    httpd.write('loops.js', works);
    await waitFor(async () => (await httpd.ask('/loops')).status === 200, { timeoutMs: 3000 });
  });

  it('lets clients wait for the next worker when a sound one died, and refuses them when that goes on', async () => {
    const crash = () => httpd.ask('/mortal/crash').catch(() => undefined);
    await crash();
    expect((await httpd.ask('/mortal')).status).to.equal(200);
    // Ready, but dead within 10 s, again and again.
    await waitFor(
      async () => {
        const answer = await crash();
        return answer?.status === 503;
      },
      { timeoutMs: 30_000, what: 'a refusal' },
    );
    expectRefused(await refusals('/mortal', 10));
    expect((await httpd.ask('/sound')).status).to.equal(200);
    await waitFor(async () => (await httpd.ask('/mortal')).status === 200, { timeoutMs: 10_000 });
  });

  describe('since its node is gone', () => {
    const takeNode = () => {
      rmSync(path('node'));
    };
    afterEach(putNode);

    it('answers 503 at once when its supervisor cannot be started, and serves again when it can', async () => {
      httpd.log.allow(/TSGI0062/, /TSGI0063/);
      takeNode();
      killSupervisor();
      await waitFor(() => httpd.log.matching(/TSGI0063.*node could not be executed/).length > 0);
      expectRefused(await refusals('/nodeless', 20));
      expect(httpd.log.matching(/TSGI0171.*see TSGI0063/)).to.have.length.greaterThan(0);
      expect((await httpd.ask('/sound')).status).to.equal(200);
      putNode();
      await waitFor(async () => (await httpd.ask('/nodeless')).status === 200, {
        timeoutMs: 20_000,
      });
    });

    it('says why a reload has no fresh worker, and the old one serves on', async () => {
      const { body } = await httpd.ask('/nodeless');
      const stops = httpd.log.matching(/TSGI0512/).length;
      takeNode();
      httpd.write('nodeless.js', works);
      const lines = await waitFor(() => {
        const all = httpd.log.matching(/TSGI0512/);
        return all.length > stops && all;
      });
      expect(lines.at(-1)).to.match(/TSGI0512.*apps\/node.*ENOENT/);
      expect((await httpd.ask('/nodeless')).body).to.equal(body);
      putNode();
    });

    it('keeps the workers that it has over a restart of httpd, with a message', async () => {
      httpd.log.allow(/TSGI0016/, /TSGI0073/);
      const pid = Number((await httpd.ask('/nodeless')).body.split(' ')[1]);
      takeNode();
      await httpd.graceful();
      expect((await httpd.ask('/nodeless')).body).to.equal(`works ${String(pid)}`);
      expect(httpd.log.matching(/TSGI0016.*nodeless.*there is no .*apps\/node/)).to.have.length(1);
      expect(httpd.log.matching(/TSGI0073.*nodeless/)).to.have.length(1);
      putNode();
      await httpd.graceful();
      // It is another file now, so the group is a changed one.
      await waitFor(() => !processOf(pid), { timeoutMs: 20_000 });
      expect((await httpd.ask('/nodeless')).status).to.equal(200);
    });
  });

  it('answers 503 at once when its supervisor dies whenever it is started', async () => {
    httpd.log.allow(/TSGI0062/);
    // It can be executed, but it is no node.
    writeFileSync(path('node'), '#!/bin/sh\nexit 77\n');
    killSupervisor();
    await waitFor(() => httpd.log.matching(/TSGI0062.*nodeless.*exit status 77/).length >= 2, {
      timeoutMs: 20_000,
    });
    expectRefused(await refusals('/nodeless', 20));
    putNode();
    await waitFor(async () => (await httpd.ask('/nodeless')).status === 200, { timeoutMs: 20_000 });
  });
});
