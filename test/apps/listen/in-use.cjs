// A second server on the same port, of http and of net, gets EADDRINUSE, as do tools that look for a free port.
const http = require('node:http');
const net = require('node:net');
const port = Number(process.env.PORT);
const facts = {};
function tryServer(name, server, ...args) {
  return new Promise((resolve) => {
    server.on('error', (error) => {
      facts[name] = { ...error, message: error.message, listening: server.listening };
      resolve();
    });
    server.listen(...args, () => {
      facts[name] = 'listens';
      server.close(resolve);
    });
  });
}
const app = http.createServer((req, res) => tried.then(() => res.end(JSON.stringify(facts))));
let finish;
const tried = new Promise((resolve) => (finish = resolve));
app.listen(port, async () => {
  await tryServer('http', http.createServer(), port);
  await tryServer('http on 127.0.0.1', http.createServer(), port, '127.0.0.1');
  await tryServer('net', net.createServer(), port);
  await tryServer('net on 0.0.0.0', net.createServer(), { port, host: '0.0.0.0' });
  await tryServer('another port', net.createServer(), 0);
  finish();
  console.log('ready');
});
