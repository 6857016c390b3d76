'use strict';

const { createHash } = require('node:crypto');
const path = require('node:path');
const { PassThrough } = require('node:stream');
const Hapi = require('@hapi/hapi');
const Inert = require('@hapi/inert');

/** Where it is mounted, if not at the root. */
const base = process.env.BASE_PATH ?? '';

/** Streams that wait for /release. */
const waiting = new Set();

const page = `<!doctype html>
<link rel="stylesheet" href="${base}/style.css">
<h1>Hello from hapi</h1>
<form method="post" action="${base}/post"><input name="name"></form>`;

const routes = [
  { method: 'GET', path: '/', handler: () => page },
  { method: 'GET', path: '/style.css', handler: { file: 'style.css' } },
  { method: 'GET', path: '/old', handler: (request, h) => h.redirect(`${base}/`) },
  {
    method: 'POST',
    path: '/post',
    handler: (request, h) => h.response(`Hello, ${request.payload.name}`).code(201),
  },
  {
    method: 'POST',
    path: '/upload',
    options: { payload: { multipart: { output: 'data' }, maxBytes: 16 * 1024 * 1024 } },
    handler: (request) => ({
      sha256: createHash('sha256').update(request.payload.file).digest('hex'),
    }),
  },
  {
    method: 'GET',
    path: '/stream',
    handler: (request, h) => {
      const stream = new PassThrough();
      stream.write('data: first part\n\n');
      waiting.add(() => stream.end('data: last part\n\n'));
      return h.response(stream).type('text/event-stream').charset('');
    },
  },
  {
    method: 'GET',
    path: '/release',
    handler: () => {
      for (const go of waiting) go();
      waiting.clear();
      return 'released';
    },
  },
];

const init = async () => {
  const server = Hapi.server({
    port: process.env.PORT || 3000,
    host: 'localhost',
    router: { stripTrailingSlash: true },
    routes: { files: { relativeTo: path.join(__dirname, 'public') } },
  });
  await server.register(Inert);
  const site = { name: 'site', register: (below) => below.route(routes) };
  await server.register(site, base === '' ? {} : { routes: { prefix: base } });
  await server.start();
  console.log('Server running on %s', server.info.uri);
};

process.on('unhandledRejection', (error) => {
  console.log(error);
  process.exit(1);
});

init();
