/** Others at the sockets: one in the place of a worker, one in the place of Apache. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ordinary } from '../../harness/httpd.ts';
import { isRoot } from '../../harness/place.ts';
import { fdsOf } from '../../harness/processes.ts';
import { waitFor } from '../../harness/wait.ts';
import type { ChaosEvent } from '../event.ts';
import type { Site } from '../site.ts';

const run = promisify(execFile);

/** The names under which the sockets of the workers were bound, in the site's runtime directory. */
function boundNames({ httpd }: Site): string[] {
  const name = new RegExp(`/(tsgi\\.${httpd.pid}\\.\\d+)$`, 'gm');
  const found = readFileSync('/proc/net/unix', 'utf8').matchAll(name);
  return [...new Set([...found].map((match) => join(httpd.dir, 'run', match[1] ?? '')))];
}

export const sockets: ChaosEvent = {
  name: 'sockets',
  goal: 'socket files deleted or replaced: nothing notices, a hostile listener is never spoken to',
  full: 5,
  seconds: 4,
  async run(arena) {
    const { site, load, times } = arena;
    const names = boundNames(site);
    if (names.length === 0) arena.fail('found no socket of the workers');
    for (let i = 0; i < times; i++) {
      rmSync(join(site.httpd.dir, 'run'), { recursive: true });
      let spoken = 0;
      const hostile = names.map((path) => {
        mkdirSync(dirname(path), { recursive: true });
        return createServer(() => spoken++).listen(path);
      });
      try {
        await load.served(300);
        const workers = site.record.refresh().ready.length;
        site.touch();
        await waitFor(() => site.record.refresh().ready.length >= workers + site.count, {
          what: 'fresh workers',
        });
        await load.served(300);
      } finally {
        for (const server of hostile) server.close();
      }
      if (spoken > 0) arena.fail(`${spoken} connections to a hostile listener`);
    }
    arena.note(`${names.length} sockets`);
    return undefined;
  },
};

/** Waits for HELLO, says a secret that is wrong, and tells when it was turned away. */
const STRANGER = `
const head = Buffer.from([36, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
const socket = require('node:net').connect({ path: process.argv[1] });
socket.once('data', () => socket.write(Buffer.concat([head, Buffer.alloc(32, 7)])));
socket.on('error', () => undefined);
socket.on('close', () => console.log('turned away'));
`;

export const outsiders: ChaosEvent = {
  name: 'outsiders',
  goal: "another process of Apache's user at a worker's socket: refused, logged",
  full: 20,
  seconds: 0.3,
  log: [/TSGI079/],
  async run(arena) {
    const { site, load, times } = arena;
    const child = site.children()[0]?.pid ?? 0;
    const [fd = ''] =
      Object.entries(fdsOf(child)).find(([, target]) => target.includes('/run/tsgi.')) ?? [];
    const path = `/proc/${child}/fd/${fd}`;
    const identity = isRoot ? { uid: ordinary.uid, gid: ordinary.gid } : {};
    for (let i = 0; i < times; i++) {
      const logged = site.httpd.log.matching(/TSGI079/).length;
      const node = site.options.node ?? process.execPath;
      const args = ['-e', STRANGER, path];
      const { stdout } = await run(node, args, { ...identity, timeout: 20_000 });
      if (!stdout.includes('turned away')) arena.fail('a stranger was not turned away');
      await site.logged(/TSGI079/, logged + 1);
      await load.served(50);
    }
    return undefined;
  },
};
