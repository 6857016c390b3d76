export default defineEventHandler(() => ({ hello: 'Hello from Nuxt' }));
