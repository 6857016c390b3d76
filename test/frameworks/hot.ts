/** Hot reloading of Vite's development server, as Vite's own client in the page does it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { waitFor } from '../harness/wait.ts';
import type { Check } from './framework.ts';
import { connect } from './sockets.ts';
import { ask, PATIENCE_MS } from './transport.ts';

interface Message {
  readonly type: string;
  readonly updates?: readonly { readonly path: string }[];
}

/** Connects where the page is; a source file that the page has loaded is changed, and the page hears of it. */
export function hotUpdate(module: string): Check {
  return async (served) => {
    const { body } = await ask(served, `${served.base}/@vite/client`);
    const [, token = ''] = /\bwsToken = "([^"]+)"/.exec(body) ?? [];
    expect(token, 'the token in Vite’s client').to.not.equal('');
    const transformed = await ask(served, served.base + module);
    expect(transformed.body, 'what the module knows of its environment').to.include('"DEV": true');
    const messages: Message[] = [];
    const socket = connect(served, `/?token=${token}`, ['vite-hmr']);
    let problem: unknown;
    socket.on('error', (error) => (problem = error));
    socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString()) as Message));
    const has = (test: (message: Message) => boolean) => (): boolean => {
      if (problem !== undefined) throw new Error('the WebSocket failed', { cause: problem });
      return messages.some(test);
    };
    const file = join(served.dir, module);
    const before = readFileSync(file, 'utf8');
    try {
      await waitFor(
        has(({ type }) => type === 'connected'),
        {
          what: 'connected',
          timeoutMs: PATIENCE_MS,
        },
      );
      writeFileSync(file, `${before}// changed\n`);
      await waitFor(
        has(({ updates = [] }) => updates.some(({ path }) => path === module)),
        { what: `an update of ${module}`, timeoutMs: PATIENCE_MS },
      );
      expect((await ask(served, served.base + module)).body).to.include('// changed');
    } finally {
      socket.terminate();
      writeFileSync(file, before);
    }
  };
}
