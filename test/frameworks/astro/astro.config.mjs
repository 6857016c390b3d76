import node from '@astrojs/node';
import { defineConfig } from 'astro/config';

export default defineConfig({
  output: 'server',
  // The host names of the site; requests for others count as ones for localhost.
  security: { allowedDomains: [{ hostname: 'www.example.org' }, { hostname: '127.0.0.1' }] },
  adapter: node({ mode: 'standalone' }),
});
