// Hono on its own server for Node.
import { serve } from '@hono/node-server';
import { getConnInfo } from '@hono/node-server/conninfo';
import { Hono } from 'hono';

const app = new Hono();
app.get('/', (context) => {
  const { remote } = getConnInfo(context);
  return context.json({ protocol: new URL(context.req.url).protocol, remote });
});
serve({ fetch: app.fetch, port: 3000 });
