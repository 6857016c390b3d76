// Closes and listens again, the same server.
const { once } = require('node:events');
const server = require('node:http').createServer((req, res) => res.end(JSON.stringify(events)));
const events = [];
for (const name of ['listening', 'close']) server.on(name, () => events.push(name));
(async () => {
  server.listen(process.env.PORT);
  await once(server, 'listening');
  server.close(() => {
    events.push('closed', server.listening, server.address());
    server.listen(process.env.PORT, () => {
      events.push(server.address().port);
      console.log('ready');
    });
  });
})();
