'use strict';
const app = require('fastify')();

const body = {
  type: 'object',
  required: ['name'],
  properties: { name: { type: 'string' } },
};
app.get('/items/:id', async (request) => request.params.id);
app.post('/items', { schema: { body } }, async (request, reply) => {
  reply.code(201);
  return request.body;
});
app.listen({ port: 3000 });
