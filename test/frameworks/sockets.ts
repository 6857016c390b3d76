/** WebSockets of an app: each as a browser or a client library would use it. */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { waitFor } from '../harness/wait.ts';
import type { Check, Served } from './framework.ts';
import { PATIENCE_MS } from './transport.ts';

/** Connects as a page of the site does. */
export function connect(served: Served, path: string, protocols: string[] = []): WebSocket {
  const { origin, base, ca } = served;
  return new WebSocket(origin.replace(/^http/, 'ws') + base + path, protocols, { ca, origin });
}

export interface EchoOptions {
  /** Each one after an answer to the one before. */
  readonly say?: readonly string[];
  readonly expected?: string;
  readonly protocol?: string;
}

/** A WebSocket on which the app answers what it is told, and closes when it is told to. */
export function echo(path: string, options: EchoOptions = {}): Check {
  const { say = ['mod_tsgi'], expected = 'mod_tsgi', protocol } = options;
  return async (served) => {
    const socket = connect(served, path, protocol === undefined ? [] : [protocol]);
    const heard: string[] = [];
    const unsaid = [...say];
    const speak = (): void => {
      const message = unsaid.shift();
      if (message !== undefined) socket.send(message);
    };
    socket.on('message', (data: Buffer) => {
      heard.push(data.toString());
      speak();
    });
    let code: number | undefined;
    socket.on('close', (status) => (code = status));
    await once(socket, 'open');
    let error: Error | undefined;
    socket.on('error', (reason) => (error = reason));
    speak();
    const answered = (): boolean => heard.some((message) => message.includes(expected));
    try {
      await waitFor(() => answered() || code !== undefined, {
        what: `${expected} from ${path}`,
        timeoutMs: PATIENCE_MS,
      });
      expect(answered(), `${heard.join(' ')} ${String(code)} ${String(error)}`).to.equal(true);
      socket.close(1000);
      await waitFor(() => code !== undefined, { what: 'the close', timeoutMs: PATIENCE_MS });
      expect(code, String(error)).to.be.oneOf([1000, 1005]);
    } finally {
      socket.terminate();
    }
  };
}

/** The part of socket.io-client that is used. */
interface Client {
  readonly io: { readonly engine: { readonly transport: { readonly name: string } } };
  emitWithAck(event: string, ...args: unknown[]): Promise<unknown>;
  disconnect(): void;
  on(event: 'connect' | 'connect_error', listener: (error?: Error) => void): void;
}
type Connect = (url: string, options: object) => Client;

/** socket.io's own client: connects by one of the transports and ends with the last one. */
export function socketIo(transports: readonly string[]): Check {
  return async ({ origin, base, ca, dir }) => {
    const require = createRequire(join(dir, 'package.json'));
    const { io } = require('socket.io-client') as { io: Connect };
    const path = `${base}/socket.io/`;
    const client = io(origin, { path, ca, transports, reconnection: false });
    try {
      await new Promise<void>((resolve, reject) => {
        client.on('connect', () => {
          resolve();
        });
        client.on('connect_error', (error) => {
          reject(error!);
        });
      });
      const last = transports.at(-1);
      await waitFor(() => client.io.engine.transport.name === last, {
        what: `the transport ${last ?? ''}`,
        timeoutMs: PATIENCE_MS,
      });
      expect(await client.emitWithAck('echo', 'mod_tsgi')).to.equal('mod_tsgi');
    } finally {
      client.disconnect();
    }
  };
}
