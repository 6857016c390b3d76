export default defineNitroConfig({
  compatibilityDate: '2025-07-15',
  srcDir: 'server',
  // Where it is mounted, if not at the root.
  baseURL: process.env.BASE_PATH ?? '/',
  publicAssets: [{ dir: '../public' }],
  experimental: { websocket: true },
});
