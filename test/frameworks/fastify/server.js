import { createHash } from 'node:crypto';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import formbody from '@fastify/formbody';
import multipart from '@fastify/multipart';
import statics from '@fastify/static';
import websocket from '@fastify/websocket';
import Fastify from 'fastify';

const fastify = Fastify({ logger: true });

/** Streams that wait for /release. */
const waiting = new Set();

await fastify.register(formbody);
await fastify.register(multipart, { limits: { fileSize: 16 * 1024 * 1024 } });
await fastify.register(statics, { root: path.join(import.meta.dirname, 'public') });
await fastify.register(websocket);

fastify.get('/', (request, reply) => {
  return reply.type('text/html').send(`<!doctype html>
<link rel="stylesheet" href="/style.css">
<h1>Hello from Fastify</h1>
<form method="post" action="/post"><input name="name"></form>`);
});

fastify.post('/post', (request, reply) => {
  return reply.code(201).send(`Hello, ${request.body.name}`);
});

fastify.post('/upload', async (request) => {
  const file = await request.file();
  const hash = createHash('sha256');
  for await (const chunk of file.file) hash.update(chunk);
  return { sha256: hash.digest('hex') };
});

fastify.get('/stream', (request, reply) => {
  const stream = new PassThrough();
  stream.write('data: first part\n\n');
  waiting.add(() => stream.end('data: last part\n\n'));
  return reply.type('text/event-stream').send(stream);
});

fastify.get('/release', () => {
  for (const go of waiting) go();
  waiting.clear();
  return 'released';
});

fastify.get('/ws', { websocket: true }, (socket) => {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});

try {
  await fastify.listen({ port: Number(process.env.PORT ?? 3000) });
} catch (error) {
  fastify.log.error(error);
  process.exit(1);
}
