// Symbol.asyncDispose, then an AbortSignal; another server takes the place of each.
const { once } = require('node:events');
const http = require('node:http');
const facts = [];
(async () => {
  const first = http.createServer().listen(process.env.PORT);
  await once(first, 'listening');
  await first[Symbol.asyncDispose]();
  facts.push(first.listening);
  const controller = new AbortController();
  const second = http.createServer();
  second.listen({ port: process.env.PORT, signal: controller.signal });
  await once(second, 'listening');
  controller.abort();
  await once(second, 'close');
  facts.push(second.listening);
  http.createServer((req, res) => res.end(JSON.stringify(facts))).listen(process.env.PORT, () => console.log('ready'));
})();
