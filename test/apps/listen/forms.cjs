// Every form of the arguments, one after the other; the last one stays.
const { once } = require('node:events');
const http = require('node:http');
const port = Number(process.env.PORT);
const forms = [
  ['number', port],
  ['text', String(port)],
  ['text in hexadecimal', `0x${port.toString(16)}`],
  ['IPv4', port, '127.0.0.1'],
  ['every IPv4', port, '0.0.0.0'],
  ['name', port, 'localhost'],
  ['backlog', port, 10],
  ['host and backlog', port, '127.0.0.1', 10],
  ['host undefined', port, undefined],
  ['options', { port, host: '127.0.0.1', backlog: 5, exclusive: true }],
  ['options with text', { port: String(port) }],
  ['path', '/tmp/tsgi-listen-forms-' + process.pid + '.sock'],
];
async function tryAll(answer) {
  const facts = {};
  for (const [name, ...args] of forms) {
    const server = http.createServer();
    let called = 0;
    server.listen(...args, () => called++);
    await once(server, 'listening');
    facts[name] = [called, server.listening, server.address()];
    if (name === 'path') facts[name][2] = facts[name][2] === args[0];
    await new Promise((resolve) => server.close(resolve));
    facts[name].push(server.listening, name === 'path' || server.address());
  }
  http.createServer((req, res) => res.end(JSON.stringify(facts))).listen(port, () => console.log('ready'));
}
tryAll();
