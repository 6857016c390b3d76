// A CommonJS TypeScript entry.
import http = require('node:http');
http.createServer((_req, res) => { res.end('cts'); }).listen(3000);
