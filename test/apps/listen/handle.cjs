// Shares the socket of another server.
const shared = require('node:net').createServer();
shared.listen(process.env.TSGI_HOSTED ? 0 : process.env.PORT, () => {
  const server = require('node:http').createServer((req, res) => res.end(String(server.listening)));
  server.listen(shared, () => console.log('ready'));
});
