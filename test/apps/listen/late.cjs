// Listens when something else is done.
setTimeout(() => {
  require('node:http')
    .createServer((req, res) => res.end('late'))
    .listen(process.env.PORT, '0.0.0.0', () => console.log('ready'));
}, 200);
