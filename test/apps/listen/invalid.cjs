// Arguments that listen() refuses.
const http = require('node:http');
const facts = {};
const wrong = [[65536], [1.5], [{}], [{ port: -1 }], [true], [{ port: 'x' }], [{ fd: -1 }], [Symbol.iterator]];
for (const [i, args] of wrong.entries()) {
  const server = http.createServer();
  try {
    server.listen(...args);
    facts[i] = 'accepted';
    server.close();
  } catch (error) {
    facts[i] = [error.code, error.message, server.listening];
  }
}
const server = http.createServer((req, res) => res.end(JSON.stringify(facts))).listen(process.env.PORT, () => console.log('ready'));
try {
  server.listen(process.env.PORT);
} catch (error) {
  facts.twice = [error.code, error.message];
}
http.createServer().close((error) => (facts.never = error.code));
