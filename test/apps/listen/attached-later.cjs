// The listener of requests comes after listen().
const server = require('node:http').createServer();
server.listen({ port: process.env.PORT });
server.on('listening', () => {
  server.on('request', (req, res) => res.end('attached later'));
  console.log('ready');
});
