'use strict';
const app = require('fastify')();

app.get('/', ({ protocol, ip, hostname }) => ({ protocol, ip, hostname }));
app.listen({ port: 3000 });
