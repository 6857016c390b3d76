// Hono as a default export: there is no server of its own.
import { getConnInfo } from '@hono/node-server/conninfo';
import { Hono } from 'hono';

const app = new Hono();
app.get('/', (context) => {
  const { remote } = getConnInfo(context);
  return context.json({ protocol: new URL(context.req.url).protocol, remote });
});
export default app;
