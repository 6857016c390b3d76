// Exports what it lets listen, with a host name that is looked up first.
const http = require('node:http');
const server = http.createServer((req, res) => res.end(String(server.listening)));
server.listen(process.env.PORT, 'localhost', () => console.log('ready'));
module.exports = (req, res) => res.end('the export');
