// The plainest app there is.
'use strict';
const { createServer } = require('node:http');
createServer((req, res) => {
  const { title, version } = process;
  res.end(JSON.stringify({ title, version, isMain: require.main === module }));
}).listen(3000);
