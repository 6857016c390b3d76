import node from '@astrojs/node';
import { defineConfig } from 'astro/config';

export default defineConfig({
  output: 'server',
  // Where it is mounted, if not at the root.
  base: process.env.BASE_PATH,
  // The host names of the site; requests for others count as ones for localhost.
  security: { allowedDomains: [{ hostname: 'www.example.org' }, { hostname: '127.0.0.1' }] },
  adapter: node({ mode: 'middleware' }),
});
