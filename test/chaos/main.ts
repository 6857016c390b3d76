/**
 * npm run test:chaos [-- --minutes N] [--only NAME,…] [--mpm MPM] [--json FILE] [--markdown FILE]
 *
 * Injects the faults of docs/reliability.md while clients ask, and prints what they saw. Ends with
 * status 1 if an event does not reach its goal.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Mpm } from '../harness/httpd.ts';
import type { ChaosEvent } from './event.ts';
import { events } from './events/index.ts';
import { markdown, summary } from './report.ts';
import { runEvent, type Row } from './runner.ts';

/** Starting, warming up and stopping, per event. */
const OVERHEAD_S = 12;
const DEFAULT_MINUTES = 20;
const MPMS: readonly Mpm[] = ['event', 'worker', 'prefork'];

class UsageError extends Error {}

function choose(names: string | undefined): readonly ChaosEvent[] {
  if (names === undefined) return events;
  const wanted = names.split(',');
  const unknown = wanted.filter((name) => !events.some((event) => event.name === name));
  if (unknown.length > 0) {
    const known = events.map(({ name }) => name).join(', ');
    throw new UsageError(`unknown event ${unknown.join(', ')}; expected some of ${known}`);
  }
  return events.filter(({ name }) => wanted.includes(name));
}

/** How many of the full number of faults fit into the time; each event gets at least one. */
function scale(chosen: readonly ChaosEvent[], minutes: number): number {
  const faults = chosen.reduce((sum, { full, seconds }) => sum + full * seconds, 0);
  const left = minutes * 60 - chosen.length * OVERHEAD_S;
  return Math.min(1, Math.max(0, left / faults));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: String(DEFAULT_MINUTES) },
      only: { type: 'string' },
      mpm: { type: 'string', default: 'event' },
      json: { type: 'string' },
      markdown: { type: 'string' },
    },
  });
  const minutes = Number(values.minutes);
  const mpm = MPMS.find((name) => name === values.mpm);
  if (!(minutes > 0)) throw new UsageError(`expected --minutes above 0, got "${values.minutes}"`);
  if (!mpm) throw new UsageError(`expected --mpm ${MPMS.join('|')}, got "${values.mpm}"`);
  const chosen = choose(values.only);
  const share = scale(chosen, minutes);
  const rows: Row[] = [];
  for (const event of chosen) {
    const times = Math.max(1, Math.floor(event.full * share));
    const row = await runEvent(event, { times, isTimed: true, mpm });
    rows.push(row);
    console.log(summary(row));
  }
  const text = markdown(rows);
  console.log(`\n${text}`);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
  if (values.markdown !== undefined) writeFileSync(values.markdown, text);
  process.exitCode = rows.some(({ verdict }) => verdict === 'fail') ? 1 : 0;
}

// Through process.exit, so that what runs is cleaned up.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(130));
}

main().catch((error: unknown) => {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = 2;
});
