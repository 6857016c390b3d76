// An ordinary node:http app that shows what it was given; knows nothing of mod_tsgi.
'use strict';
const http = require('node:http');
const { createHash } = require('node:crypto');

const routes = {
  '/hello': (req, res) => {
    res.setHeader('Content-Type', 'text/plain');
    res.end('hello');
  },
  '/pid': (req, res) => res.end(String(process.pid)),
  '/show': (req, res) => {
    res.setHeader('Content-Type', 'application/json');
    res.end(
      JSON.stringify({
        method: req.method,
        url: req.url,
        headers: req.headers,
        rawHeaders: req.rawHeaders,
        httpVersion: req.httpVersion,
        remoteAddress: req.socket.remoteAddress,
        remotePort: req.socket.remotePort,
        encrypted: req.socket.encrypted ?? false,
        tsgi: req.tsgi,
      }),
    );
  },
  '/hash': (req, res) => {
    const hash = createHash('sha256');
    let length = 0;
    req.on('data', (chunk) => {
      hash.update(chunk);
      length += chunk.length;
    });
    req.on('end', () => res.end(`${length} ${hash.digest('hex')}`));
  },
  '/big': (req, res) => {
    // ?bytes=N of a repeating pattern, honouring back-pressure
    let left = Number(new URL(req.url, 'http://x').searchParams.get('bytes'));
    const block = Buffer.alloc(65536, 'abcdefghijklmnopqrstuvwxyz012345');
    const pump = () => {
      while (left > 0) {
        const piece = left < block.length ? block.subarray(0, left) : block;
        left -= piece.length;
        if (!res.write(piece)) return res.once('drain', pump);
      }
      res.end();
    };
    pump();
  },
  '/env': (req, res) => res.end(JSON.stringify(process.env)),
  '/process': (req, res) =>
    res.end(
      JSON.stringify({
        argv: process.argv,
        execArgv: process.execArgv,
        cwd: process.cwd(),
        title: process.title,
        pid: process.pid,
        ppid: process.ppid,
        main: require.main === module,
        filename: __filename,
        dirname: __dirname,
        uid: process.getuid(),
        gid: process.getgid(),
        groups: process.getgroups(),
        umask: process.umask(),
        version: process.version,
      }),
    ),
};

http
  .createServer((req, res) => {
    const handle = routes[req.url.split('?')[0]];
    if (handle) return handle(req, res);
    res.statusCode = 404;
    res.end('no such route\n');
  })
  .listen(process.env.PORT || 3000);
