// listen(port, callback): what holds before, in and after the callback.
const facts = { events: [] };
const server = require('node:http').createServer((req, res) => {
  res.end(JSON.stringify({ ...facts, now: server.listening }));
});
server.on('listening', () => facts.events.push('listening'));
facts.before = [server.listening, server.address()];
const returned = server.listen(process.env.PORT, function callback() {
  facts.events.push('callback');
  facts.isThis = this === server;
  facts.address = server.address();
  console.log('ready');
});
facts.isChained = returned === server;
facts.after = server.listening;
