/**
 * A server alone on the machine, one after the other: how long until its first answer, its memory before and after a
 * load, its system calls for each request.
 */
import type { Contender } from './contenders.ts';
import { checkInterrupted } from './ending.ts';
import { wrk } from './generators/wrk.ts';
import { pssMiB, sum } from './proc.ts';
import type { Sample } from './results.ts';
import { untilAnswering, type Context } from './rounds.ts';
import { until, type Running } from './servers/running.ts';
import { countCalls, type Counting } from './strace.ts';

const CONNECTIONS = 64;
/** Memory is at rest when it has not changed by more in this time. */
const REST_MIB = 0.25;
const REST_MS = 250;
const REST_AT_MOST_MS = 3_000;

function memory(running: Running): number {
  const { front, back } = running.processes();
  return sum([...front, ...back], pssMiB);
}

/** @returns the memory of all processes when it has come to rest, or after 3 s. */
async function memoryAtRest(running: Running): Promise<number> {
  const deadline = performance.now() + REST_AT_MOST_MS;
  let last = NaN;
  let next = 0;
  await until(() => {
    if (performance.now() < next) return false;
    next = performance.now() + REST_MS;
    const now = memory(running);
    const isAtRest = Math.abs(now - last) <= REST_MIB;
    last = now;
    return isAtRest || performance.now() > deadline;
  }, 'memory at rest');
  return last;
}

/** System calls a request. */
async function calls(running: Running): Promise<Sample> {
  const { front, back } = running.processes();
  const counted: Counting[] = [];
  const count = async (pids: readonly number[]): Promise<Counting | undefined> => {
    if (pids.length === 0) return undefined;
    const counting = await countCalls(pids);
    counted.push(counting);
    return counting;
  };
  try {
    const [ofFront, ofBack] = [await count(front), await count(back)];
    const { requests } = await wrk({ url: running.url, connections: CONNECTIONS, seconds: 1 });
    const [frontCalls = 0, backCalls = 0] = [await ofFront?.stop(), await ofBack?.stop()];
    return { frontCalls: frontCalls / requests, backCalls: backCalls / requests };
  } finally {
    for (const counting of counted) await counting.stop();
  }
}

async function measureOne(
  context: Context,
  contender: Contender,
  startOnly: boolean,
): Promise<Sample> {
  const { node, directory, seconds } = context;
  const running = await contender.start({ app: 'hello', transport: 'http', node }, directory);
  try {
    await untilAnswering(running);
    const startMs = performance.now() - running.startedAt;
    if (startOnly) return { startMs };
    const idleMiB = await memoryAtRest(running);
    await wrk({ url: running.url, connections: CONNECTIONS, seconds });
    const loadedMiB = await memoryAtRest(running);
    const figures = { startMs, idleMiB, loadedMiB };
    try {
      return { ...figures, ...(await calls(running)) };
    } catch (error) {
      // Not everybody may trace.
      checkInterrupted();
      context.say(`system calls of ${contender.name}: ${String(error)}`);
      return figures;
    }
  } finally {
    await running.stop();
  }
}

/** The start is measured in every round; the rest, which hardly varies, in the first. */
export async function measureAlone(
  context: Context,
  contenders: readonly Contender[],
): Promise<void> {
  const chosen = contenders.filter((c) => context.connectionsOf('alone', c).length > 0);
  for (let round = 1; chosen.length > 0 && round <= context.rounds; round++) {
    context.say(`alone: round ${round} of ${context.rounds}`);
    for (const contender of chosen) {
      try {
        const sample = await measureOne(context, contender, round > 1);
        context.results.add('alone', contender.name, 0, sample);
      } catch (error) {
        checkInterrupted();
        context.results.add('alone', contender.name, 0, {});
        context.fail(`${contender.name}/alone`, error);
      }
    }
  }
}
