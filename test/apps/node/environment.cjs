// Answers with its environment.
'use strict';
require('node:http')
  .createServer((req, res) => res.end(JSON.stringify({ env: process.env, limit: Error.stackTraceLimit })))
  .listen(3000);
