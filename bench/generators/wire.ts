/** wire_load: requests on a unix socket, in frames to a worker or in text to an HTTP server. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../test/harness/place.ts';
import { run } from '../ending.ts';
import { BROWSER_HEADERS, GRACE_MS, type Load, type Run } from './load.ts';

/** Where a server on a unix socket answers, and how. */
export interface UnixTarget {
  readonly socket: string;
  /** Of a worker; without it the server speaks HTTP. */
  readonly worker?: { readonly secret: string; readonly script: string };
}

/** As the URL of a server. */
export const toUrl = (target: UnixTarget): string => `unix:${JSON.stringify(target)}`;

const program = (): string => {
  const path = join(root, 'build/release/bench/wire_load');
  if (!existsSync(path)) throw new Error(`expected ${path}: run "npm run build" first`);
  return path;
};

export async function wireLoad({ url, connections, seconds }: Run): Promise<Load> {
  const { socket, worker } = JSON.parse(url.slice('unix:'.length)) as UnixTarget;
  const mode = worker ? ['wire', worker.secret, worker.script] : ['http'];
  const stdout = await run(
    program(),
    [...mode, socket, String(connections), String(seconds * 1000), ...BROWSER_HEADERS],
    seconds * 1000 + GRACE_MS,
  );
  return { ...(JSON.parse(stdout) as Omit<Load, 'errors'>), errors: 0 };
}
