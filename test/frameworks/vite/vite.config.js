import { defineConfig } from 'vite';

export default defineConfig({
  // Where it is mounted, if not at the root.
  base: `${process.env.BASE_PATH ?? ''}/`,
  // The host names of the site; requests for others get 403.
  server: { allowedHosts: ['www.example.org'] },
});
