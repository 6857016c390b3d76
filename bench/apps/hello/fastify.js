'use strict';
const app = require('fastify')();
app.get('/*', (request, reply) => {
  reply.type('text/plain').send('Hello, world!');
});
module.exports = app;
