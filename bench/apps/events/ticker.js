// One event for all clients every 10 ms: when it was made (CLOCK_MONOTONIC in ns, the same in all processes), and some text.
'use strict';
const text = 'x'.repeat(80);
const clients = new Set();
setInterval(() => {
  const event = `data: ${process.hrtime.bigint()} ${text}\n\n`;
  for (const send of clients) send(event);
}, 10);
module.exports = clients;
