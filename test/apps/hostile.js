// A worker that has gone bad: it writes what the request asks for straight to the sockets on which
// Apache talks to it, past the addon. ?hex=… is written; ?close=1 ends the process after it.
'use strict';
const fs = require('node:fs');
const http = require('node:http');

// The listening socket (4), the control socket (3) and pipes are no connections: those are what accept() made later.
function connections() {
  return fs
    .readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => {
      if (fd <= 4) return false;
      try {
        return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
      } catch {
        return false;
      }
    });
}

let held;
http
  .createServer((req, res) => {
    const url = new URL(req.url, 'http://x');
    if (url.pathname.endsWith('/fire')) return setImmediate(held);
    const hex = url.searchParams.get('hex');
    if (hex === null) return res.end('well');
    const speak = () => {
      for (const fd of connections()) {
        try {
          fs.writeSync(fd, Buffer.from(hex, 'hex'));
        } catch {
          // not one that can be written to
        }
      }
      if (url.searchParams.has('exit')) process.kill(process.pid, 'SIGKILL');
    };
    if (!url.searchParams.has('head')) return setImmediate(speak);
    // The client must have got the head before: it then asks for /fire.
    res.writeHead(200, { 'Content-Type': 'text/plain' });
    res.write('begun');
    held = speak;
  })
  .listen(3000);
