import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Answer } from '../harness/client.ts';
import { Httpd } from '../harness/httpd.ts';
import { waitFor } from '../harness/wait.ts';

const COUNT = 3;
const config = `
TSGIDaemonProcess balanced processes=${COUNT}
TSGIScriptAlias /app @ROOT@/apps/balanced.js process-group=balanced
TSGIDaemonProcess narrow processes=2 concurrency=1
TSGIScriptAlias /narrow @ROOT@/apps/balanced.js process-group=narrow
`;
// One child: what a worker has served is known to each child for itself.
const limits = `StartServers 1
ServerLimit 1
ThreadsPerChild 24
ThreadLimit 24
MaxRequestWorkers 24
MinSpareThreads 1
MaxSpareThreads 24
`;
/** Answers with its pid: at once, or as soon as a file is there, for which it waits or computes. */
const app = `
const { existsSync } = require('node:fs');
let inHand = 0;
require('node:http').createServer((req, res) => {
  const { pathname, searchParams } = new URL(req.url, 'http://a');
  const file = searchParams.get('until');
  const answer = () => res.end(String(process.pid));
  if (pathname === '/count') {
    inHand++;
    setTimeout(() => res.end(String(inHand--)), 10);
    return;
  }
  if (file === null) return answer();
  console.log('begun', pathname.slice(1), file, process.pid);
  if (pathname === '/compute') {
    while (!existsSync(file));
    return answer();
  }
  const timer = setInterval(() => {
    if (!existsSync(file)) return;
    clearInterval(timer);
    answer();
  }, 5);
}).listen(3000);
`;

describe('of several workers', () => {
  let httpd: Httpd;
  let count = 0;
  before(async () => {
    httpd = await Httpd.prepare({ config, limits });
    httpd.write('balanced.js', app);
    await httpd.start();
    // The child has idle connections to all of them.
    await waitFor(async () => new Set(pidsOf(await holdAndEnd())).size === COUNT);
  });
  after(() => httpd.stop());

  interface Held {
    readonly pid: string;
    /** Lets it be answered. */
    end(): Promise<Answer>;
  }
  /** A request that has begun in a worker, and stays there. */
  async function hold(how: 'wait' | 'compute' = 'wait'): Promise<Held> {
    const name = `held${++count}`;
    const file = join(httpd.dir, name);
    const answer = httpd.ask(`/app/${how}?until=${file}`);
    const begun = new RegExp(`begun ${how} ${file} (\\d+)$`);
    const line = await waitFor(() => httpd.log.matching(begun)[0], { what: `${name} to begin` });
    return {
      pid: begun.exec(line)?.[1] ?? '',
      async end() {
        httpd.write(`../${name}`, '');
        try {
          return await answer;
        } finally {
          rmSync(file);
        }
      },
    };
  }
  async function endAll(all: readonly Held[]): Promise<void> {
    for (const one of all) expect((await one.end()).status).to.equal(200);
  }
  async function holdAll(): Promise<Held[]> {
    const held: Held[] = [];
    while (held.length < COUNT) held.push(await hold());
    return held;
  }
  async function holdAndEnd(): Promise<Held[]> {
    const held = await holdAll();
    await endAll(held);
    return held;
  }
  const pidsOf = (all: readonly Held[]): string[] => all.map(({ pid }) => pid);
  async function askInTurn(times: number): Promise<Set<string>> {
    const pids = new Set<string>();
    for (let i = 0; i < times; i++) {
      const answer = await httpd.ask('/app/');
      expect(answer.status).to.equal(200);
      pids.add(answer.body);
    }
    return pids;
  }

  it('that are idle the one that served last gets what comes', async () => {
    for (let i = 0; i < COUNT; i++) {
      const held = await holdAll();
      expect(new Set(pidsOf(held)).size).to.equal(COUNT);
      const last = held.splice(i, 1);
      await endAll(held);
      await endAll(last);
      expect(await askInTurn(2 * COUNT)).to.deep.equal(new Set(pidsOf(last)));
    }
  });

  it('an idle one gets what comes while others compute, though these served last', async () => {
    const busy = [await hold('compute'), await hold('compute')];
    const pids = await askInTurn(2 * COUNT);
    await endAll(busy);
    expect(new Set([...pids, ...pidsOf(busy)]).size).to.equal(COUNT);
    expect(pids.size).to.equal(1);
  });

  it('one that is stopped holds up one request, and others serve', async () => {
    const [stopped = ''] = await askInTurn(1);
    const answered: string[] = [];
    process.kill(Number(stopped), 'SIGSTOP');
    try {
      const two = [1, 2].map(async () => {
        const { body } = await httpd.ask('/app/');
        answered.push(body);
      });
      await waitFor(() => answered.length === 1, { what: 'one of two answers' });
      expect([...(await askInTurn(2 * COUNT))]).to.not.include(stopped);
      expect(answered).to.have.length(1);
      process.kill(Number(stopped), 'SIGCONT');
      await Promise.all(two);
      expect(answered[1]).to.equal(stopped);
    } finally {
      process.kill(Number(stopped), 'SIGCONT');
    }
  });

  it('none gets more than its concurrency', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => httpd.ask('/narrow/count')));
    expect(new Set(answers.map(({ body }) => body))).to.deep.equal(new Set(['1']));
  });

  it('one whose worker died comes back with the next worker', async () => {
    const [killed = ''] = await askInTurn(1);
    httpd.log.allow(/SIGKILL/);
    process.kill(Number(killed), 'SIGKILL');
    const pids = await waitFor(async () => {
      const found = new Set(pidsOf(await holdAndEnd()));
      return found.size === COUNT && found;
    });
    expect([...pids]).to.not.include(killed);
  });
});
