/** The matrix. Light ones first; each is served as its own documentation says. */
import * as does from './checks.ts';
import type { Framework } from './framework.ts';

/** The app of this matrix as most frameworks write it. */
function usual(title: string, more: Framework['checks'] = {}): Framework['checks'] {
  return {
    page: does.page('/', `Hello from ${title}`),
    asset: does.assets('/'),
    POST: does.form('/'),
    upload: does.upload('/upload'),
    stream: does.stream('/stream', '/release'),
    ...more,
  };
}

const echo: Framework['checks'] = { WebSocket: does.echo('/ws') };

const express: Framework = {
  name: 'express',
  title: 'Express 5',
  package: 'express',
  entry: 'app.js',
  checks: usual('Express', echo),
};

const nest: Framework = {
  name: 'nest',
  title: 'NestJS, Express adapter',
  package: '@nestjs/core',
  entry: 'dist/main.js',
  checks: usual('NestJS', {
    WebSocket: does.echo('/ws', { say: ['{"event":"echo","data":"mod_tsgi"}'] }),
  }),
};

function graphql(query: string): Parameters<typeof does.answer>[2] {
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json' };
  return { method: 'POST', headers, body: JSON.stringify({ query }) };
}
const greeting = graphql('{ hello(name: "mod_tsgi") }');
const release = `/graphql?query=${encodeURIComponent('{ release }')}`;

const light: readonly Framework[] = [
  {
    name: 'node-http',
    title: 'node:http',
    package: '',
    entry: 'index.js',
    checks: usual('node:http', { ...echo, upload: does.uploadRaw('/upload') }),
  },
  express,
  { ...express, name: 'express-4', title: 'Express 4', basedOn: 'express' },
  {
    name: 'koa',
    title: 'Koa',
    package: 'koa',
    entry: 'app.js',
    checks: usual('Koa', echo),
  },
  {
    name: 'fastify',
    title: 'Fastify',
    package: 'fastify',
    entry: 'server.js',
    checks: usual('Fastify', echo),
  },
  {
    name: 'hono',
    title: 'Hono, its Node.js server',
    package: 'hono',
    entry: 'index.js',
    checks: usual('Hono', echo),
  },
  {
    name: 'polka',
    title: 'polka',
    package: 'polka',
    entry: 'server.js',
    checks: usual('polka', { ...echo, upload: does.uploadRaw('/upload') }),
  },
  {
    name: 'h3',
    title: 'h3',
    package: 'h3',
    entry: 'server.mjs',
    says: /Stopping server gracefully/,
    checks: usual('h3', echo),
  },
  { name: 'hapi', title: 'hapi', package: '@hapi/hapi', entry: 'server.js', checks: usual('hapi') },
  {
    name: 'elysia',
    title: 'Elysia, Node.js adapter',
    package: 'elysia',
    entry: 'index.js',
    checks: usual('Elysia', echo),
  },
  {
    name: 'ws',
    title: 'ws, its own server',
    package: 'ws',
    entry: 'server.js',
    checks: { WebSocket: does.echo('/') },
  },
  {
    name: 'socket.io',
    title: 'socket.io',
    package: 'socket.io',
    entry: 'index.js',
    checks: {
      page: does.page('/', 'Hello from socket.io'),
      asset: does.assets('/'),
      POST: does.socketIo(['polling']),
      WebSocket: does.socketIo(['polling', 'websocket']),
    },
  },
  {
    name: 'trpc',
    title: 'tRPC, standalone',
    package: '@trpc/server',
    entry: 'server.js',
    probe: '/hello',
    checks: {
      POST: does.answer('/greet', 'Hello, mod_tsgi', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: '{"name":"mod_tsgi"}',
      }),
      upload: does.upload('/upload'),
      stream: does.stream('/ticks', '/release', { headers: { Accept: 'text/event-stream' } }),
      WebSocket: does.echo('/', {
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
      WebSocket: does.echo('/graphql', {
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
    checks: {
      page: does.page('/', 'Apollo Server'),
      POST: does.answer('/', 'Hello, mod_tsgi', greeting),
    },
  },
];

const nitroPaths: Framework['checks'] = {
  upload: does.upload('/api/upload'),
  stream: does.stream('/api/stream', '/api/release'),
};

/** The oldest Node.js that the newest versions of some frameworks run on. */
const NEWER_NODE = 22;

const nuxt: Framework = {
  name: 'nuxt',
  title: 'Nuxt 4.4',
  package: 'nuxt',
  entry: '.output/server/index.mjs',
  checks: usual('Nuxt', { ...echo, ...nitroPaths }),
};

const sveltekit: Framework = {
  name: 'sveltekit',
  title: 'SvelteKit 2, adapter-node',
  package: '@sveltejs/kit',
  entry: 'build/index.js',
  options: 'env=ORIGIN=@ORIGIN@ env=BODY_SIZE_LIMIT=16M',
  checks: usual('SvelteKit'),
};

const astro: Framework = {
  name: 'astro',
  title: 'Astro 5, standalone',
  package: 'astro',
  entry: 'dist/server/entry.mjs',
  checks: usual('Astro'),
};

const reactRouter: Framework = {
  name: 'react-router',
  title: 'React Router 7, Express',
  package: 'react-router',
  entry: 'server.js',
  checks: usual('React Router'),
};

/** Those that are built first. */
const built: readonly Framework[] = [
  nest,
  {
    ...nest,
    name: 'nest-fastify',
    title: 'NestJS, Fastify adapter',
    basedOn: 'nest',
    entry: 'dist/main-fastify.js',
  },
  {
    name: 'next',
    title: 'Next.js, standalone output',
    package: 'next',
    entry: '.next/standalone/server.js',
    checks: usual('Next.js', { POST: does.both(does.form('/'), does.serverAction('/')) }),
  },
  nuxt,
  { ...nuxt, name: 'nuxt-4.5', title: 'Nuxt 4.5', basedOn: 'nuxt', node: NEWER_NODE },
  {
    name: 'nitro',
    title: 'Nitro',
    package: 'nitropack',
    entry: '.output/server/index.mjs',
    checks: usual('Nitro', echo),
  },
  sveltekit,
  {
    ...sveltekit,
    name: 'sveltekit-3',
    title: 'SvelteKit 3, adapter-node',
    basedOn: 'sveltekit',
    node: NEWER_NODE,
    options: 'env=PROTOCOL_HEADER=x-forwarded-proto env=BODY_SIZE_LIMIT=16M',
    directives: ['RequestHeader set X-Forwarded-Proto expr=%{REQUEST_SCHEME}'],
  },
  astro,
  {
    ...astro,
    name: 'astro-middleware',
    title: 'Astro 5, middleware of Express',
    basedOn: 'astro',
    entry: 'run-server.mjs',
  },
  { ...astro, name: 'astro-7', title: 'Astro 7, standalone', basedOn: 'astro', node: NEWER_NODE },
  reactRouter,
  {
    ...reactRouter,
    name: 'react-router-serve',
    title: 'React Router 7, react-router-serve',
    basedOn: 'react-router',
    entry: 'node_modules/@react-router/serve/bin.js',
    options: 'script-args=./build/server/index.js',
  },
  {
    ...reactRouter,
    name: 'react-router-8',
    title: 'React Router 8, Express',
    basedOn: 'react-router',
    node: NEWER_NODE,
  },
];

export const frameworks: readonly Framework[] = [...light, ...built];
