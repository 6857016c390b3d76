/** Whether somebody debugs this process: at a breakpoint the event loop stops, and that is no deadlock. */
import { createRequire } from 'node:module';

interface Inspector {
  url(): string | undefined;
}

const require = createRequire(__filename);
let inspector: Inspector | undefined;

/** The inspector listens: by --inspect, inspect=, SIGUSR1, or since the app has opened it. */
export function isDebugged(): boolean {
  if (!process.features.inspector) return false; // This Node was built without.
  inspector ??= require('node:inspector') as Inspector;
  return inspector.url() !== undefined;
}
