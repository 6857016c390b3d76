/** The process of a {@link Generator}. */
import { Load } from '../harness/load.ts';
import type { FromGenerator, ToGenerator } from './generator.ts';

const PROGRESS_MS = 25;

let load: Load | undefined;
const tell = (message: FromGenerator, done?: () => void): void => {
  process.send?.(message, undefined, undefined, done);
};
const progress = (): void => {
  if (!load) return;
  const { requests, good, failures } = load;
  tell({ type: 'progress', progress: { requests, good, failed: failures.length } });
};

async function onMessage(message: ToGenerator): Promise<void> {
  if (message.type === 'start') {
    load = new Load(message.options);
    setInterval(progress, PROGRESS_MS).unref();
  } else if (message.type === 'phase') {
    load?.phase(message.name);
  } else if (message.type === 'pause' || message.type === 'resume') {
    load?.[message.type]();
  } else if (load) {
    const report = await load.stop();
    tell({ type: 'report', report }, () => process.exit());
  }
}

process.on('message', (message: ToGenerator) => {
  onMessage(message).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
// The parent has gone; what was to be told to it may notice first.
process.on('disconnect', () => process.exit());
process.on('error', () => process.exit());
