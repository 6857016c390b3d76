/** Interleaved rounds: every contender gets a load in turn, A B C … A B C …, as often as there are rounds. */
import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import type { Contender } from './contenders.ts';
import { checkInterrupted } from './ending.ts';
import { wireLoad } from './generators/wire.ts';
import type { Load } from './generators/load.ts';
import { loads, type LoadName, type RoundLoad } from './loads.ts';
import { contextSwitches, cpuMicros, cpuMicrosWithChildren, machineTime, sum } from './proc.ts';
import type { Results, Sample } from './results.ts';
import { until, type Running } from './servers/running.ts';

export interface Context {
  readonly results: Results;
  readonly seconds: number;
  readonly rounds: number;
  /** The Node.js that serves. */
  readonly node: string;
  /** For what all servers of the run share. */
  readonly directory: string;
  /** At how many connections a contender gets a load; none if it is not chosen. */
  connectionsOf(load: LoadName, contender: Contender): readonly number[];
  say(text: string): void;
  /** Something is missing in the results because of this. */
  fail(what: string, error: unknown): void;
}

/** Before it is measured a server answers so many requests, or as many as it can in some runs of a second. */
const WARM_UP = { requests: 3_000, runs: 4 };

/** @returns the status of the answer, 0 if there is none. */
async function statusOf(url: string): Promise<number> {
  if (url.startsWith('unix:')) {
    return (await wireLoad({ url, connections: 1, seconds: 0.01 })).requests > 0 ? 200 : 0;
  }
  return await new Promise((resolve, reject) => {
    const take = (res: IncomingMessage) => {
      resolve(res.statusCode ?? 0);
      res.destroy();
    };
    const options = { agent: false, timeout: 10_000, rejectUnauthorized: false };
    const req = url.startsWith('https:')
      ? getHttps(url, options, take)
      : getHttp(url, options, take);
    req.on('timeout', () => req.destroy());
    req.on('error', reject);
  });
}

export async function untilAnswering({ url }: Running): Promise<void> {
  let last = 'no answer';
  const isServed = async (): Promise<boolean> => {
    const status = await statusOf(url);
    last = `status ${status}`;
    return status === 200;
  };
  await until(isServed, 'the first answer', 30_000).catch((error: unknown) => {
    throw new Error(`${url} does not answer: ${last}`, { cause: error });
  });
}

/** One run of a load, and what the server's processes did meanwhile. */
async function measure(running: Running, generate: () => Promise<Load>): Promise<Sample> {
  const { front, back } = running.processes();
  const count = () => ({
    front: sum(front, cpuMicros),
    back: sum(back, cpuMicros),
    own: cpuMicrosWithChildren(process.pid),
    switches: sum([...front, ...back], contextSwitches),
    machine: machineTime(),
  });
  const before = count();
  const { errors, requests, perSecond, p50Us, p99Us } = await generate();
  const after = count();
  if (errors > 0) throw new Error(`${errors} requests failed`);
  if (!(requests > 0)) throw new Error('no request was answered');
  const frontUs = after.front - before.front;
  const backUs = after.back - before.back;
  const ownUs = after.own - before.own;
  const othersUs = after.machine.busyUs - before.machine.busyUs - frontUs - backUs - ownUs;
  return {
    perSecond,
    p50Us,
    p99Us,
    cpuUs: (frontUs + backUs) / requests,
    frontUs: frontUs / requests,
    backUs: backUs / requests,
    switches: (after.switches - before.switches) / requests,
    others: Math.max(0, othersUs / (after.machine.totalUs - before.machine.totalUs)),
  };
}

interface Started {
  readonly contender: Contender;
  readonly running: Running;
}

async function start(
  context: Context,
  load: RoundLoad,
  contender: Contender,
): Promise<Started | undefined> {
  const { app, transport } = loads[load];
  const { node, directory } = context;
  let running: Running | undefined;
  try {
    running = await contender.start({ app, transport, node }, directory);
    await untilAnswering(running);
    return { contender, running };
  } catch (error) {
    if (running) await stopAll(context, [{ contender, running }]);
    checkInterrupted();
    context.fail(`${contender.name}/${load}`, error);
    return undefined;
  }
}

/** What V8 has not compiled yet is not what is to be measured. */
async function warmUp(context: Context, load: RoundLoad, server: Started): Promise<void> {
  const { contender, running } = server;
  const connections = Math.max(...context.connectionsOf(load, contender));
  const run = { url: running.url, connections, seconds: 1 };
  try {
    let requests = 0;
    for (let i = 0; i < WARM_UP.runs && requests < WARM_UP.requests; i++) {
      requests += (await loads[load].generate(run)).requests;
    }
  } catch (error) {
    checkInterrupted();
    context.fail(`${contender.name}/${load}, warming up`, error);
  }
}

/** A run that failed is a sample without figures, so that those of one round stay together. */
async function oneRun(
  context: Context,
  load: RoundLoad,
  { contender, running }: Started,
  connections: number,
): Promise<void> {
  const { results, seconds } = context;
  const run = { url: running.url, connections, seconds };
  try {
    const sample = await measure(running, () => loads[load].generate(run));
    results.add(load, contender.name, connections, sample);
  } catch (error) {
    checkInterrupted();
    results.add(load, contender.name, connections, {});
    context.fail(`${contender.name}/${load} at ${connections} connections`, error);
  }
}

async function stopAll(context: Context, started: readonly Started[]): Promise<void> {
  for (const { contender, running } of started) {
    await running.stop().catch((error: unknown) => {
      context.fail(`stop of ${contender.name}`, error);
    });
  }
}

/** Measures a load with all contenders that are chosen for it. */
export async function measureLoad(
  context: Context,
  load: RoundLoad,
  contenders: readonly Contender[],
): Promise<void> {
  const chosen = contenders.filter((c) => context.connectionsOf(load, c).length > 0);
  if (chosen.length === 0) return;
  context.say(`${load}: starting ${chosen.map(({ name }) => name).join(', ')}`);
  const started: Started[] = [];
  try {
    for (const contender of chosen) {
      const server = await start(context, load, contender);
      if (server) started.push(server);
    }
    for (const server of started) await warmUp(context, load, server);
    const counts = started.flatMap(({ contender }) => context.connectionsOf(load, contender));
    for (const connections of [...new Set(counts)].sort((a, b) => a - b)) {
      const asked = started.filter(({ contender }) =>
        context.connectionsOf(load, contender).includes(connections),
      );
      for (let round = 1; round <= context.rounds; round++) {
        context.say(`${load}: ${connections} connections, round ${round} of ${context.rounds}`);
        for (const server of asked) await oneRun(context, load, server, connections);
      }
    }
  } finally {
    await stopAll(context, started);
  }
}
