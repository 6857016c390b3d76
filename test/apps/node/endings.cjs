// Comes to its end in every way that a program can, and says so on stdout.
'use strict';
const { createServer } = require('node:http');

process.on('beforeExit', (code) => console.log(`beforeExit ${code}`));
process.on('exit', (code) => console.log(`exit ${code}`));

const line = 'x'.repeat(290);
const actions = {
  '/pid': (res) => res.end(String(process.pid)),
  '/floods': () => {
    for (let i = 0; i < 100; i++) process.stdout.write(`flood ${String(i).padStart(4, '0')} ${line}\n`);
    process.exit(3);
  },
  '/closes': (res) => {
    res.end('closing');
    process.exitCode = 7;
    server.close();
  },
  '/rejects': (res) => {
    void Promise.reject(new Error('nobody handles this'));
    setImmediate(() => res.end(String(process.pid)));
  },
  '/consoles': (res) => {
    console.log('%s has %d', 'log', 1);
    console.error(new Error('as an object'));
    console.table([{ a: 1 }]);
    console.group('group');
    console.info('indented');
    console.groupEnd();
    console.dir({ deep: { deeper: { deepest: 1 } } });
    console.assert(false, 'not so');
    console.trace('from here');
    res.end('ok');
  },
};
const server = createServer((req, res) => actions[req.url](res)).listen(3000);
