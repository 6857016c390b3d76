import { createHash } from 'node:crypto';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import multipart from '@fastify/multipart';
import session from '@fastify/session';
import statics from '@fastify/static';
import websocket from '@fastify/websocket';
import Fastify from 'fastify';

const fastify = Fastify({ logger: true });

/** Where it is mounted, if not at the root. */
const base = process.env.BASE_PATH ?? '';

/** Streams that wait for /release. */
const waiting = new Set();

/** What it has, below `base`. */
async function site(app) {
  await app.register(formbody);
  await app.register(multipart, { limits: { fileSize: 16 * 1024 * 1024 } });
  await app.register(statics, { root: path.join(import.meta.dirname, 'public') });
  await app.register(websocket);
  await app.register(cookie);
  await app.register(session, {
    secret: 'a secret of this app that is long enough',
    cookie: { secure: true },
    saveUninitialized: false,
  });

  app.get('/', (request, reply) => {
    return reply.type('text/html').send(`<!doctype html>
<link rel="stylesheet" href="${base}/style.css">
<h1>Hello from Fastify</h1>
<form method="post" action="${base}/post"><input name="name"></form>`);
  });

  app.get('/old', (request, reply) => {
    return reply.redirect(`${base}/`);
  });

  app.get('/visits', (request) => {
    const visits = (request.session.get('visits') ?? 0) + 1;
    request.session.set('visits', visits);
    return `visits: ${visits}`;
  });

  app.post('/post', (request, reply) => {
    return reply.code(201).send(`Hello, ${request.body.name}`);
  });

  app.post('/upload', async (request) => {
    const file = await request.file();
    const hash = createHash('sha256');
    for await (const chunk of file.file) hash.update(chunk);
    return { sha256: hash.digest('hex') };
  });

  app.get('/stream', (request, reply) => {
    const stream = new PassThrough();
    stream.write('data: first part\n\n');
    waiting.add(() => stream.end('data: last part\n\n'));
    return reply.type('text/event-stream').send(stream);
  });

  app.get('/release', () => {
    for (const go of waiting) go();
    waiting.clear();
    return 'released';
  });

  app.get('/ws', { websocket: true }, (socket) => {
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
}

await fastify.register(site, { prefix: base });

try {
  await fastify.listen({ port: Number(process.env.PORT ?? 3000) });
} catch (error) {
  fastify.log.error(error);
  process.exit(1);
}
