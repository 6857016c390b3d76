// get-port, portfinder and detect-port: a server of net on the port, on several addresses, closed again.
const http = require('node:http');
const net = require('node:net');
const port = Number(process.env.PORT);
const probe = (options) =>
  new Promise((resolve, reject) => {
    const server = net.createServer();
    server.unref();
    server.on('error', reject);
    server.listen(options, () => {
      const found = server.address().port;
      server.close(() => resolve(found));
    });
  });
(async () => {
  const found = [];
  for (const host of [undefined, '0.0.0.0', '127.0.0.1', 'localhost']) found.push(await probe({ port, host }));
  const server = http.createServer((req, res) => res.end(JSON.stringify([found, server.address().port])));
  server.listen(found[0], () => console.log('ready'));
})();
