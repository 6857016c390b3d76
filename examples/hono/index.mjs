// A fetch handler: Hono's app has a fetch(request) method, and that is all mod_tsgi needs.
import { Hono } from 'hono';

const app = new Hono();

app.get('/', (c) => c.text('Hello from Hono!\n'));
app.get('/hello/:name', (c) => c.json({ hello: c.req.param('name') }));
app.post('/length', async (c) => c.json({ bytes: (await c.req.arrayBuffer()).byteLength }));

export default app;
