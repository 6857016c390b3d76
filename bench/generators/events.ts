/**
 * Clients of server-sent events: each keeps one stream open. What counts is the events that arrive and how
 * long after they were made; apps/events/ticker.js writes the time into each.
 */
import { connect, type Socket } from 'node:net';
import { until } from '../servers/running.ts';
import { quantile } from '../stats.ts';
import { GRACE_MS, type Load, type Run } from './load.ts';

/** The times in ns at which the events of a piece of stream were made. */
export function eventTimes(text: string): bigint[] {
  return [...text.matchAll(/^data: (\d+) /gm)].map(([, time]) => BigInt(time ?? 0));
}

interface Client {
  readonly socket: Socket;
  events: number;
  isOpen: boolean;
}

export async function listenToEvents({ url, connections, seconds }: Run): Promise<Load> {
  const { hostname, port, pathname } = new URL(url);
  const latencies: number[] = [];
  let isCounting = false;
  const clients = Array.from({ length: connections }, (): Client => {
    const socket = connect(Number(port), hostname);
    const client = { socket, events: 0, isOpen: true };
    let rest = '';
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`);
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      const now = process.hrtime.bigint();
      const text = rest + chunk;
      const end = text.lastIndexOf('\n') + 1;
      rest = text.slice(end);
      for (const time of eventTimes(text.slice(0, end))) {
        client.events++;
        if (isCounting) latencies.push(Number(now - time) / 1000);
      }
    });
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => {
      client.isOpen = false;
    });
    return client;
  });
  try {
    const areServed = () => clients.every(({ events }) => events > 0);
    await until(areServed, 'the first event for each client');
    const since = performance.now();
    isCounting = true;
    const isOver = () => performance.now() - since >= seconds * 1000;
    await until(isOver, 'the end of the run', seconds * 1000 + GRACE_MS);
    const elapsed = (performance.now() - since) / 1000;
    return {
      requests: latencies.length,
      perSecond: latencies.length / elapsed,
      p50Us: quantile(latencies, 0.5),
      p99Us: quantile(latencies, 0.99),
      errors: clients.filter(({ isOpen }) => !isOpen).length,
    };
  } finally {
    for (const { socket } of clients) socket.destroy();
  }
}
