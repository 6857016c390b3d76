// The same with a server of http, some time before the app itself listens.
const http = require('node:http');
const probe = http.createServer().listen(process.env.PORT, () => {
  setTimeout(() => {
    probe.close(() => {
      setTimeout(() => {
        http.createServer((req, res) => res.end('the app')).listen(process.env.PORT, () => console.log('ready'));
      }, 50);
    });
  }, 50);
});
