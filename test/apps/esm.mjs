// An ES module with top-level await that listens.
import { createServer } from 'node:http';
const word = await Promise.resolve('esm');
createServer((req, res) => {
  res.end(`${word} ${String(import.meta.url.startsWith('file:'))} ${String(import.meta.main ?? 'unknown')}`);
}).listen({ port: 3000, host: '127.0.0.1' });
