// Takes another port when one is in use, as development servers do.
const http = require('node:http');
const port = Number(process.env.PORT);
function start(handler, done) {
  const server = http.createServer(handler);
  server.once('error', (error) => {
    if (error.code !== 'EADDRINUSE') throw error;
    server.listen(0, '127.0.0.1');
  });
  server.listen(port, '127.0.0.1', () => done(server));
}
const second = new Promise((resolve) => {
  start(
    (req, res) => second.then((text) => res.end(text)),
    () => {
      start(undefined, (server) => {
        resolve(server.address().port === port ? 'the same port' : 'another port');
        server.close();
        console.log('ready');
      });
    },
  );
});
