// An ES module that says what it knows of itself: hosted as a response, alone on stdout.
import { createServer } from 'node:http';

const facts = await Promise.resolve({
  main: import.meta.main ?? null,
  url: import.meta.url,
  dirname: import.meta.dirname,
  filename: import.meta.filename,
  argv: process.argv.slice(1),
  resolved: import.meta.resolve('./identity.js'),
  version: process.version,
});
if (process.env.TSGI_HOSTED) createServer((req, res) => res.end(JSON.stringify(facts))).listen(3000);
else console.log(JSON.stringify(facts));
