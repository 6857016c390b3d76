// The standalone adapter; a subscription is an event stream over HTTP, or runs over a WebSocket.
import { createHash } from 'node:crypto';
import { initTRPC } from '@trpc/server';
import { createHTTPHandler } from '@trpc/server/adapters/standalone';
import { applyWSSHandler } from '@trpc/server/adapters/ws';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const t = initTRPC.create();

/** Subscriptions that wait for release. */
const waiting = new Set();

const name = (value) => {
  if (typeof value?.name === 'string') return value;
  throw new Error('expected a name');
};

const form = (value) => {
  if (value instanceof FormData) return value;
  throw new Error('expected a form');
};

const router = t.router({
  hello: t.procedure.query(() => 'Hello from tRPC'),
  greet: t.procedure.input(name).mutation(({ input }) => `Hello, ${input.name}`),
  upload: t.procedure.input(form).mutation(async ({ input }) => {
    const bytes = Buffer.from(await input.get('file').arrayBuffer());
    return createHash('sha256').update(bytes).digest('hex');
  }),
  ticks: t.procedure.subscription(async function* () {
    yield 'first part';
    await new Promise((go) => waiting.add(go));
    yield 'last part';
  }),
  release: t.procedure.query(() => {
    for (const go of waiting) go();
    waiting.clear();
    return 'released';
  }),
});

/** Where it is mounted, if not at the root. */
const basePath = `${process.env.BASE_PATH ?? ''}/`;
const server = createServer(createHTTPHandler({ router, basePath }));
applyWSSHandler({ wss: new WebSocketServer({ server }), router });
server.listen(process.env.PORT ?? 3000);
