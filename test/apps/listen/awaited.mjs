// Listens after a top-level await, and waits for it.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout } from 'node:timers/promises';
await setTimeout(50);
const server = createServer((req, res) => res.end(`awaited ${server.address().port}`));
server.listen(process.env.PORT);
await once(server, 'listening');
console.log('ready');
