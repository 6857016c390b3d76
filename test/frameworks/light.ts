/** Light rows of the matrix: nothing is built. */
import * as does from './checks.ts';
import type { Framework } from './framework.ts';
import * as sockets from './sockets.ts';

/** The app of this matrix as most frameworks write it. */
export function usual(title: string, more: Framework['checks'] = {}): Framework['checks'] {
  return {
    page: does.page('/', `Hello from ${title}`),
    asset: does.assets('/'),
    POST: does.form('/'),
    upload: does.upload('/upload'),
    stream: does.stream('/stream', '/release'),
    redirect: does.redirect('/old', `Hello from ${title}`),
    ...more,
  };
}

export const echo: Framework['checks'] = { WebSocket: sockets.echo('/ws') };
const cookie: Framework['checks'] = { cookie: does.secureCookie('/visits') };

const express: Framework = {
  name: 'express',
  title: 'Express 5',
  package: 'express',
  entry: 'app.js',
  base: '`use(base, router)`',
  says: /connect\.session\(\) MemoryStore|designed for a production|memory, and will not scale/,
  checks: usual('Express', { ...echo, ...cookie }),
};

function graphql(query: string): Parameters<typeof does.answer>[2] {
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json' };
  return { method: 'POST', headers, body: JSON.stringify({ query }) };
}
const greeting = graphql('{ hello(name: "mod_tsgi") }');
const release = `/graphql?query=${encodeURIComponent('{ release }')}`;

/** Those that run as they are written. */
export const light: readonly Framework[] = [
  {
    name: 'node-http',
    title: 'node:http',
    package: '',
    entry: 'index.js',
    base: 'its own code',
    checks: usual('node:http', { ...echo, upload: does.uploadRaw('/upload') }),
  },
  express,
  { ...express, name: 'express-4', title: 'Express 4', basedOn: 'express' },
  {
    name: 'koa',
    title: 'Koa',
    package: 'koa',
    entry: 'app.js',
    base: '`new Router({ prefix })`, `koa-mount`',
    checks: usual('Koa', { ...echo, ...cookie }),
  },
  {
    name: 'fastify',
    title: 'Fastify',
    package: 'fastify',
    entry: 'server.js',
    base: '`register(site, { prefix })`',
    checks: usual('Fastify', { ...echo, ...cookie }),
  },
  {
    name: 'hono',
    title: 'Hono, its Node.js server',
    package: 'hono',
    entry: 'index.js',
    base: '`basePath()`',
    checks: usual('Hono', echo),
  },
  {
    name: 'polka',
    title: 'polka',
    package: 'polka',
    entry: 'server.js',
    base: '`use(base, site)`',
    checks: usual('polka', { ...echo, upload: does.uploadRaw('/upload') }),
  },
  {
    name: 'h3',
    title: 'h3',
    package: 'h3',
    entry: 'server.mjs',
    base: '`mount(base, app)`',
    says: /Stopping server gracefully/,
    checks: usual('h3', echo),
  },
  {
    name: 'hapi',
    title: 'hapi',
    package: '@hapi/hapi',
    entry: 'server.js',
    base: '`routes.prefix` of a plugin',
    checks: usual('hapi'),
  },
  {
    name: 'elysia',
    title: 'Elysia, Node.js adapter',
    package: 'elysia',
    entry: 'index.js',
    base: '`new Elysia({ prefix })`',
    checks: usual('Elysia', echo),
  },
  {
    name: 'ws',
    title: 'ws, its own server',
    package: 'ws',
    entry: 'server.js',
    base: '`path`',
    checks: { WebSocket: sockets.echo('/') },
  },
  {
    name: 'socket.io',
    title: 'socket.io',
    package: 'socket.io',
    entry: 'index.js',
    base: '`path`, and Express',
    checks: {
      page: does.page('/', 'Hello from socket.io'),
      asset: does.assets('/'),
      POST: sockets.socketIo(['polling']),
      WebSocket: sockets.socketIo(['polling', 'websocket']),
    },
  },
  {
    name: 'trpc',
    title: 'tRPC, standalone',
    package: '@trpc/server',
    entry: 'server.js',
    base: '`basePath` of `createHTTPHandler()`',
    probe: '/hello',
    checks: {
      POST: does.answer('/greet', 'Hello, mod_tsgi', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: '{"name":"mod_tsgi"}',
      }),
      upload: does.upload('/upload'),
      stream: does.stream('/ticks', '/release', { headers: { Accept: 'text/event-stream' } }),
      WebSocket: sockets.echo('/', {
        say: ['{"id":1,"method":"query","params":{"path":"hello"}}'],
        expected: 'Hello from tRPC',
      }),
    },
  },
  {
    name: 'graphql-yoga',
    title: 'GraphQL Yoga',
    package: 'graphql-yoga',
    entry: 'server.js',
    base: '`graphqlEndpoint`',
    probe: release,
    checks: {
      page: does.page('/graphql', 'Yoga GraphiQL'),
      POST: does.answer('/graphql', 'Hello, mod_tsgi', greeting),
      upload: does.upload('/graphql', {
        fields: {
          operations: JSON.stringify({
            query: 'mutation ($file: File!) { upload(file: $file) }',
            variables: { file: null },
          }),
          map: '{"0":["variables.file"]}',
        },
        field: '0',
      }),
      stream: does.stream(
        `/graphql?query=${encodeURIComponent('subscription { ticks }')}`,
        release,
        { headers: { Accept: 'text/event-stream' } },
      ),
      WebSocket: sockets.echo('/graphql', {
        protocol: 'graphql-transport-ws',
        say: [
          '{"type":"connection_init"}',
          '{"type":"subscribe","id":"1","payload":{"query":"{ hello(name: \\"mod_tsgi\\") }"}}',
        ],
        expected: 'Hello, mod_tsgi',
      }),
    },
  },
  {
    name: 'apollo',
    title: 'Apollo Server, standalone',
    package: '@apollo/server',
    entry: 'index.js',
    base: 'none is needed: it answers everywhere',
    checks: {
      page: does.page('/', 'Apollo Server'),
      POST: does.answer('/', 'Hello, mod_tsgi', greeting),
    },
  },
];
