import { serve } from '@hono/node-server';
import { Hono } from 'hono';
const app = new Hono();
app.get('/', (c) => c.text('hono'));
serve({ fetch: app.fetch, port: Number(process.env.PORT) }, () => console.log('ready'));
