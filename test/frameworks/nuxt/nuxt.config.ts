export default defineNuxtConfig({
  compatibilityDate: '2025-07-15',
  telemetry: false,
  // Where it is mounted, if not at the root.
  app: { baseURL: process.env.BASE_PATH ?? '/' },
  nitro: { experimental: { websocket: true } },
});
