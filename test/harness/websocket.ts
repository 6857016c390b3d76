/** WebSockets of a test, and what has become of them. */
import { once } from 'node:events';
import { WebSocket, type ClientOptions } from 'ws';

export interface Client {
  readonly ws: WebSocket;
  /** How it was closed; 0 = it is open. */
  code: number;
}

/** Opens one at 127.0.0.1; with options.ca, over TLS. */
export async function open(
  port: number,
  path = '/ws',
  options: ClientOptions = {},
): Promise<Client> {
  const scheme = options.ca === undefined ? 'ws' : 'wss';
  const ws = new WebSocket(`${scheme}://127.0.0.1:${String(port)}${path}`, {
    perMessageDeflate: false,
    ...options,
  });
  const client = { ws, code: 0 };
  ws.on('close', (code) => (client.code = code));
  await once(ws, 'open');
  ws.on('error', () => undefined);
  return client;
}

/** Opens many, a few at a time. */
export async function openAll(count: number, ...args: Parameters<typeof open>): Promise<Client[]> {
  const clients: Client[] = [];
  while (clients.length < count) {
    const part = Math.min(20, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: part }, () => open(...args)))));
  }
  return clients;
}

/** Sends a message. @returns the next one that comes. */
export async function say({ ws }: Client, text: string): Promise<string> {
  ws.send(text);
  return String((await once(ws, 'message'))[0]);
}

/** Each says its number. @returns whether each has heard it back. */
export async function allEcho(clients: readonly Client[]): Promise<boolean> {
  const answers = await Promise.all(clients.map((client, i) => say(client, `n${String(i)}`)));
  return answers.every((answer, i) => answer === `n${String(i)}`);
}

export const isOpen = ({ ws }: Client): boolean => ws.readyState === WebSocket.OPEN;
