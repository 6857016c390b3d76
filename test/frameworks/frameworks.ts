/** The matrix. Light ones first; each is served as its own documentation says. */
import * as does from './checks.ts';
import type { Framework } from './framework.ts';
import { hotUpdate } from './hot.ts';
import { echo, light, usual } from './light.ts';
import * as sockets from './sockets.ts';

const nest: Framework = {
  name: 'nest',
  title: 'NestJS, Express adapter',
  package: '@nestjs/core',
  entry: 'dist/main.js',
  base: '`setGlobalPrefix()`, `prefix` of `useStaticAssets()`',
  checks: usual('NestJS', {
    WebSocket: sockets.echo('/ws', { say: ['{"event":"echo","data":"mod_tsgi"}'] }),
  }),
};

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
  base: '`app.baseURL`',
  lacksBelowBase: ['WebSocket'],
  isBuiltForBase: true,
  checks: usual('Nuxt', { ...echo, ...nitroPaths }),
};

const sveltekit: Framework = {
  name: 'sveltekit',
  title: 'SvelteKit 2, adapter-node',
  package: '@sveltejs/kit',
  entry: 'build/index.js',
  base: '`paths.base`',
  isBuiltForBase: true,
  options: 'env=BODY_SIZE_LIMIT=16M',
  withoutTls: 'env=ORIGIN=@ORIGIN@',
  checks: usual('SvelteKit', { POST: does.guardedForm('/') }),
};

const astro: Framework = {
  name: 'astro',
  title: 'Astro 5, standalone',
  package: 'astro',
  entry: 'dist/server/entry.mjs',
  base: '`base`',
  isBuiltForBase: true,
  checks: usual('Astro', { POST: does.guardedForm('/') }),
};

const reactRouter: Framework = {
  name: 'react-router',
  title: 'React Router 7, Express',
  package: 'react-router',
  entry: 'server.js',
  base: '`basename`, and Vite’s `base`',
  isBuiltForBase: true,
  checks: usual('React Router'),
};

/** Not the app but its development server, which writes below node_modules. */
const vite: Framework = {
  name: 'vite',
  title: 'Vite 7, createServer()',
  package: 'vite',
  entry: 'server.js',
  base: '`base`',
  mode: 'development',
  writes: true,
  checks: {
    page: does.both(does.page('/', 'Hello from Vite'), does.hosts('/', 'www.example.org')),
    asset: does.assets('/'),
    WebSocket: hotUpdate('/src/main.js'),
  },
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
    base: '`basePath`',
    isBuiltForBase: true,
    // A redirect after a form without JavaScript lacks Next.js' basePath.
    belowBase: ['Header edit Location "^(?!@BASE@(?:[/?]|$))/" "@BASE@/"'],
    checks: usual('Next.js', { POST: does.both(does.form('/'), does.serverAction('/')) }),
  },
  nuxt,
  { ...nuxt, name: 'nuxt-4.5', title: 'Nuxt 4.5', basedOn: 'nuxt', node: NEWER_NODE },
  {
    name: 'nitro',
    title: 'Nitro',
    package: 'nitropack',
    entry: '.output/server/index.mjs',
    base: '`baseURL`',
    lacksBelowBase: ['WebSocket'],
    isBuiltForBase: true,
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

export const frameworks: readonly Framework[] = [
  ...light,
  ...built,
  vite,
  {
    ...vite,
    name: 'vite-dev',
    title: 'Vite 7, vite dev',
    basedOn: 'vite',
    entry: 'node_modules/vite/bin/vite.js',
  },
  {
    ...vite,
    name: 'vite-middleware',
    title: 'Vite 7, middleware of Express',
    basedOn: 'vite',
    checks: usual('Vite', {
      upload: does.uploadRaw('/upload'),
      WebSocket: hotUpdate('/src/main.js'),
    }),
  },
];
