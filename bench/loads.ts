/** What is asked: the app that serves it, how it is sent, at how many connections. */
import { listenToEvents } from './generators/events.ts';
import { h2load } from './generators/h2load.ts';
import type { Load, Run } from './generators/load.ts';
import { wireLoad } from './generators/wire.ts';
import { wrk } from './generators/wrk.ts';
import type { ToolName } from './packages.ts';
import type { AppName, Transport } from './servers/running.ts';

interface LoadKind {
  readonly title: string;
  readonly app: AppName;
  readonly transport: Transport;
  readonly connections: readonly number[];
  readonly needs: readonly ToolName[];
  generate(run: Run): Promise<Load>;
}

/** The virtual host that is asked where there are many, the last. Others get its name as well. */
export const ASKED_HOST = 'last.localhost';

/** Loads of which each contender gets the same in turn. */
export const loads = {
  hello: {
    title: 'hello: 13 bytes, HTTP/1.1',
    app: 'hello',
    transport: 'http',
    needs: ['wrk'],
    connections: [1, 16, 64, 256],
    generate: (run) => wrk(run),
  },
  download: {
    title: 'an answer of 100 KB, HTTP/1.1',
    app: 'download',
    transport: 'http',
    needs: ['wrk'],
    connections: [16, 64],
    generate: (run) => wrk(run),
  },
  upload: {
    title: 'a request of 1 MiB, HTTP/1.1',
    app: 'upload',
    transport: 'http',
    needs: ['wrk'],
    connections: [16, 64],
    generate: (run) => wrk(run, 'upload.lua'),
  },
  tls: {
    title: 'hello over TLS, HTTP/1.1',
    app: 'hello',
    transport: 'https',
    needs: ['wrk'],
    connections: [16, 64],
    generate: (run) => wrk(run),
  },
  h2: {
    title: 'hello over TLS, HTTP/2, 4 streams a connection',
    app: 'hello',
    transport: 'h2',
    needs: ['h2load'],
    connections: [16, 64],
    generate: h2load,
  },
  events: {
    title: 'server-sent events, one for all clients every 10 ms',
    app: 'events',
    transport: 'http',
    needs: [],
    connections: [64],
    generate: listenToEvents,
  },
  worker: {
    title: 'hello on a unix socket, without Apache',
    app: 'hello',
    transport: 'http',
    needs: [],
    connections: [64],
    generate: wireLoad,
  },
  growth: {
    title: 'hello with more of everything',
    app: 'hello',
    transport: 'http',
    needs: ['wrk'],
    connections: [16, 64],
    generate: (run) => wrk({ ...run, host: ASKED_HOST }),
  },
} as const satisfies Readonly<Record<string, LoadKind>>;
export type RoundLoad = keyof typeof loads;

/** Besides these, a server alone: its start, its memory, its system calls. */
export type LoadName = RoundLoad | 'alone';
export const loadNames: readonly LoadName[] = [...(Object.keys(loads) as RoundLoad[]), 'alone'];
