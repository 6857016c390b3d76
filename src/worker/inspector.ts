/**
 * Node's inspector in a worker: opened where inspect= says and nowhere else, and asked whether it is
 * open, since at a breakpoint the event loop stops, which is no deadlock.
 */
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { errorLine } from '../errors.ts';
import type { InspectorAddress } from '../ipc/messages.ts';

/** The worker that this one replaces holds the port until it ends. */
const RETRY_MS = 200;

interface Inspector {
  url(): string | undefined;
  open(port: number, host: string): void;
}

const require = createRequire(__filename);
let inspector: Inspector | undefined;

/** @returns undefined if this Node was built without. */
function loadInspector(): Inspector | undefined {
  if (!process.features.inspector) return undefined;
  return (inspector ??= require('node:inspector') as Inspector);
}

/** The inspector listens: by inspect=, --inspect, or since the app has opened it. */
export function isDebugged(): boolean {
  return loadInspector()?.url() !== undefined;
}

/** What Node's permission model, if it is in force, forbids throws; a listen() even where nobody can catch it. */
function isForbidden(scope: 'inspector' | 'net'): boolean {
  const { permission } = process as { permission?: { has(scope: string): boolean } };
  return permission !== undefined && !permission.has(scope);
}

/** @returns undefined if the address can be listened at now, else why not. */
function whyTaken({ host, port }: InspectorAddress): Promise<NodeJS.ErrnoException | undefined> {
  // Where addresses cannot be tried, or Node 20 to 24 know of no such scope, Node itself tells on stderr.
  if (isForbidden('net')) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', resolve);
    try {
      server.listen({ host, port, exclusive: true }, () => {
        server.close(() => {
          resolve(undefined);
        });
      });
    } catch (error) {
      resolve(error as Error); // A port beyond the last one.
    }
  });
}

/** Opens it, unless it listens already, by --inspect in node-args=. @returns why it is still closed. */
function whyNotOpened({ host, port }: InspectorAddress): NodeJS.ErrnoException | undefined {
  const node = loadInspector();
  if (!node) return new Error('this Node.js was built without it');
  if (isForbidden('inspector')) return new Error("Node's permission model forbids it");
  if (node.url() === undefined) node.open(port, host);
  return undefined;
}

/**
 * Opens the inspector, as soon as its address is free: inspector.open() says only on stderr that
 * it is not. To be called before the app is loaded, so that its first lines can be looked at.
 * @returns when it was tried once.
 */
export async function openInspector(
  address: InspectorAddress,
  log: (text: string) => void,
): Promise<void> {
  const error = (await whyTaken(address)) ?? whyNotOpened(address);
  if (error?.code === 'EADDRINUSE') {
    setTimeout(() => void openInspector(address, log), RETRY_MS).unref();
  } else if (error) {
    log(errorLine(631, { ...address, reason: error.message }));
  }
}
