// What a server says of its connections, and what it takes without a word.
const server = require('node:http').createServer((req, res) => {
  server.getConnections((error, count) => {
    facts.inRequest = [error, count, facts.sockets.includes(req.socket), req.socket.server === server];
    facts.sockets = facts.sockets.length;
    res.end(JSON.stringify(facts));
  });
});
const facts = { sockets: [] };
server.on('connection', (socket) => facts.sockets.push(socket));
server.once('connection', () => (facts.once = true));
server.keepAliveTimeout = 61_000;
server.headersTimeout = 65_000;
server.requestTimeout = 0;
server.maxRequestsPerSocket = 100;
server.maxHeadersCount = 50;
server.timeout = 30_000;
server.maxConnections = 1000;
facts.setTimeout = server.setTimeout(20_000) === server;
facts.ref = server.unref().ref() === server;
server.listen(process.env.PORT, () => {
  facts.refs = [server.unref() === server, server.ref() === server];
  server.closeIdleConnections();
  server.closeAllConnections();
  server.getConnections((error, count) => {
    facts.before = [error, count];
    console.log('ready');
  });
});
