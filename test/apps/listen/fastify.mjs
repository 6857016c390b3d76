// By default Fastify listens on every address of localhost, with a server for each.
import fastify from 'fastify';
const app = fastify();
app.get('/', () => ({ answer: 'fastify' }));
await app.listen({ port: Number(process.env.PORT) });
console.log('ready');
