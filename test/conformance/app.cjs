// One app for the conformance suite: `node app.cjs` and the same file below Apache. What it saw of each
// request is kept under the request's X-Case, and told at /seen.
'use strict';
const { createHash } = require('node:crypto');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');

const seen = new Map();

function watch(req, res, notes) {
  for (const name of ['aborted', 'end', 'error', 'close']) {
    req.on(name, () => notes.push(`req ${name}`));
  }
  for (const name of ['finish', 'error', 'close']) {
    res.on(name, () => notes.push(`res ${name}`));
  }
}

function readAll(req, done) {
  const hash = createHash('sha256');
  let length = 0;
  req.on('data', (chunk) => {
    length += chunk.length;
    hash.update(chunk);
  });
  req.on('end', () => done(`${length} ${hash.digest('hex').slice(0, 16)}`));
}

const big = Buffer.alloc(64 * 1024, '0123456789abcdef');

/** What each path answers: (req, res, note). */
const routes = {
  '/plain': (req, res) => res.end('plain'),
  '/echo': (req, res) => readAll(req, (sum) => res.end(`${req.method} ${sum}`)),
  '/ignore': (req, res) => res.end('ignored the body'),
  '/empty': (req, res) => res.end(),
  '/no-content': (req, res) => res.writeHead(204).end(),
  '/not-modified': (req, res) => res.writeHead(304, { ETag: '"x"' }).end(),
  '/reset-content': (req, res) => res.writeHead(205).end(),
  '/reason': (req, res) => res.writeHead(418, 'Short and stout').end('tea'),
  '/no-reason': (req, res) => {
    res.statusCode = 299;
    res.end('two hundred ninety nine');
  },
  '/status-500': (req, res) => res.writeHead(500, { 'X-Why': 'because' }).end('own error page'),
  '/status-404': (req, res) => res.writeHead(404, { 'Content-Type': 'text/html' }).end('<p>own'),
  '/redirect': (req, res) => res.writeHead(302, { Location: '/elsewhere?a=1' }).end(),
  '/relative-redirect': (req, res) => res.writeHead(303, { Location: 'there' }).end('see'),
  '/headers': (req, res) => {
    res.setHeader('X-First', '1');
    res.setHeader('content-type', 'text/plain; charset=utf-8');
    res.setHeader('X-Many', ['a', 'b', 'c']);
    res.setHeader('x-lower', 'v');
    res.setHeader('X-Empty', '');
    res.setHeader('X-Latin', 'caf\u00e9');
    res.setHeader('ETag', 'W/"1"');
    res.end('headers');
  },
  '/raw-headers': (req, res) => {
    res.writeHead(200, ['B', '1', 'A', '2', 'B', '3', 'Content-Length', '2']);
    res.end('ok');
  },
  '/cookies': (req, res) => {
    res.setHeader('Set-Cookie', ['a=1; Path=/', 'b=2; HttpOnly', 'a=3']);
    res.end('cookies');
  },
  '/caching': (req, res) => {
    const headers = {
      'Cache-Control': 'public, max-age=60',
      'Last-Modified': 'Wed, 21 Oct 2015 07:28:00 GMT',
      Expires: 'Wed, 21 Oct 2015 08:28:00 GMT',
      Vary: 'Accept-Encoding',
      Age: '3',
      'Accept-Ranges': 'none',
    };
    res.writeHead(200, headers).end('cached');
  },
  '/partial': (req, res) => {
    res.writeHead(206, { 'Content-Range': 'bytes 0-3/10', 'Content-Length': 4 }).end('0123');
  },
  '/www-authenticate': (req, res) => {
    res.setHeader('WWW-Authenticate', ['Basic realm="a"', 'Bearer']);
    res.writeHead(401).end('who are you');
  },
  '/own-date': (req, res) => {
    res.setHeader('Date', 'Wed, 21 Oct 2015 07:28:00 GMT');
    res.setHeader('Server', 'mine');
    res.end('dated');
  },
  '/no-date': (req, res) => {
    res.sendDate = false;
    res.end('undated');
  },
  '/sized': (req, res) => {
    res.setHeader('Content-Length', '5');
    res.end('sized');
  },
  '/chunks': (req, res) => {
    res.write('one ');
    setImmediate(() => {
      res.write('two ');
      setTimeout(() => res.end('three'), 20);
    });
  },
  '/one-write': (req, res) => {
    res.write('all');
    res.end();
  },
  '/trailers': (req, res) => {
    res.writeHead(200, { Trailer: 'X-Sum' });
    res.write('body');
    res.addTrailers({ 'X-Sum': '4' });
    res.end();
  },
  '/close': (req, res) => {
    res.setHeader('Connection', 'close');
    res.end('closing');
  },
  '/flush': (req, res) => {
    res.setHeader('X-Early', '1');
    res.flushHeaders();
    setTimeout(() => res.end('late body'), 30);
  },
  '/cork': (req, res) => {
    res.cork();
    res.write('a');
    res.write('b');
    process.nextTick(() => {
      res.uncork();
      res.end('c');
    });
  },
  '/pressure': (req, res, note) => {
    let left = 64;
    const pump = () => {
      while (left > 0) {
        left--;
        // Whether it waits the kernel's buffers decide.
        if (!res.write(big)) return void res.once('drain', pump);
      }
      note('all written');
      res.end();
    };
    pump();
  },
  '/early-hints': (req, res) => {
    res.writeEarlyHints({ link: ['</a.css>; rel=preload', '</b.js>; rel=preload'] }, () => {
      res.end('hinted');
    });
  },
  '/processing': (req, res) => {
    res.writeProcessing();
    setTimeout(() => res.end('processed'), 10);
  },
  '/hints-and-more': (req, res) => {
    res.writeProcessing();
    res.writeEarlyHints({ link: '</a.css>; rel=preload', 'x-trace': '7' });
    res.writeHead(200, { 'X-Final': 'yes' }).end('final');
  },
  '/drain': (req, res, note) => {
    res.on('drain', () => {
      note(`drain ${res.writableNeedDrain}`);
      res.end();
    });
    const hasRoom = res.write(Buffer.alloc(256 * 1024, 'x'));
    note(`written ${hasRoom}`);
    if (hasRoom === res.writableNeedDrain) note('which contradicts itself');
    if (hasRoom) res.end();
  },
  '/cork-twice': (req, res, note) => {
    res.cork();
    res.cork();
    res.write('a');
    note(`corked ${res.writableCorked}`);
    res.uncork();
    res.write('b');
    res.uncork();
    note(`corked ${res.writableCorked}`);
    res.end('c');
  },
  '/head-status': (req, res) => {
    res.statusCode = 404;
    res.statusMessage = 'Nothing Here';
    res.end('gone');
  },
  '/head-merged': (req, res) => {
    res.setHeader('X-Set', 'by setHeader');
    res.setHeader('X-Both', 'by setHeader');
    res.writeHead(201, 'Made', { 'x-both': 'by writeHead', 'X-Number': 7 }).end('merged');
  },
  '/head-list': (req, res) => {
    res.writeHead(200, 'Fine', ['X-A', '1', 'X-A', '2', 'x-b', '3']).end('list');
  },
  '/head-undone': (req, res) => {
    res.setHeader('X-Gone', '1');
    res.appendHeader('X-More', 'a');
    res.appendHeader('x-more', 'b');
    res.removeHeader('x-gone');
    res.end(JSON.stringify([res.getHeaderNames(), res.hasHeader('X-More')]));
  },
  '/head-map': (req, res) => {
    res.setHeaders(new Map([['X-Map', '1']]));
    res.end('map');
  },
  '/head-twice': (req, res, note) => {
    res.writeHead(200, { 'X-First': '1' });
    try {
      res.writeHead(500, { 'X-Second': '2' });
    } catch (error) {
      note(error.code);
    }
    res.end('once');
  },
  '/utf8-bytes': (req, res) => {
    res.setHeader('X-Utf8', Buffer.from('caf\u00e9 \u20ac').toString('latin1'));
    res.end(Buffer.from('bytes'));
  },
  '/latin1-with-bytes': (req, res) => {
    res.writeHead(200, 'Tr\u00e8s bien', { 'X-Latin': 'caf\u00e9' });
    res.end(Buffer.from('bytes'));
  },
  '/latin1-with-text': (req, res) => {
    res.writeHead(200, 'Tr\u00e8s bien', { 'X-Latin': 'caf\u00e9', 'Content-Length': 4 });
    res.end('text');
  },
  '/latin1-with-chunks': (req, res) => {
    res.setHeader('X-Latin', 'caf\u00e9');
    res.write('te');
    res.end('xt');
  },
  '/latin1-flushed': (req, res) => {
    res.setHeader('X-Latin', 'caf\u00e9');
    res.flushHeaders();
    res.end('text');
  },
  '/latin1-alone': (req, res) => res.writeHead(204, { 'X-Latin': 'caf\u00e9' }).end(),
  '/disposition': (req, res) => {
    const name = Buffer.from('caf\u00e9.txt').toString('latin1');
    res.setHeader('Content-Disposition', `attachment; filename="${name}"`);
    res.end('named');
  },
  '/trailers-late': (req, res) => {
    res.writeHead(200, { Trailer: 'X-Sum, X-Time' });
    res.write('body');
    setTimeout(() => {
      res.addTrailers([
        ['X-Sum', '4'],
        ['X-Time', 'caf\u00e9'],
      ]);
      res.end(' and more');
    }, 20);
  },
  '/trailers-unannounced': (req, res) => {
    res.write('body');
    res.addTrailers({ 'X-Sum': '4' });
    res.end();
  },
  '/trailers-of-nothing': (req, res) => {
    res.writeHead(200, { 'Transfer-Encoding': 'chunked', Trailer: 'X-Sum' });
    res.addTrailers({ 'X-Sum': '0' });
    res.end();
  },
  '/read-on': (req, res, note) => {
    // Answers at the first bytes, and takes the rest of the upload all the same.
    let length = 0;
    req.once('data', () => res.end('thanks'));
    req.on('data', (chunk) => (length += chunk.length));
    req.on('end', () => note(`req read ${length}`));
  },
  '/read-slowly': (req, res, note) => {
    // Slower than the client sends: it has left long before the end.
    let length = 0;
    req.once('data', () => res.end('thanks'));
    req.on('data', (chunk) => {
      length += chunk.length;
      req.pause();
      setTimeout(() => req.resume(), 2);
    });
    req.on('end', () => note(`req read ${length}`));
  },
  '/iterate': async (req, res, note) => {
    let length = 0;
    for await (const chunk of req) {
      if (length === 0) res.end('thanks');
      length += chunk.length;
    }
    note(`req read ${length}`);
  },
  '/pipe': (req, res) => req.pipe(res),
  '/destroy-request': (req, res, note) => {
    req.once('data', () => {
      req.destroy();
      note(`destroyed ${req.destroyed}`);
    });
  },
  '/req-timeout': (req, res, note) => {
    req.setTimeout(50, () => {
      note('req timeout');
      res.writeHead(503).end('timed out');
    });
  },
  '/socket-timeout': (req, res, note) => {
    req.socket.setTimeout(50, () => note('socket timeout'));
    res.on('timeout', () => {
      note('res timeout');
      res.end('timed out');
    });
  },
  '/server-timeout': (req, res, note) => {
    server.once('timeout', (socket) => {
      note(`server timeout ${socket === req.socket}`);
      res.end('timed out');
    });
    req.socket.setTimeout(50);
  },
  '/no-timeout-listener': (req) => {
    req.socket.setTimeout(50);
  },
  '/encodings': (req, res) => {
    res.write('68656c6c6f', 'hex');
    res.write(' caf\u00e9 ', 'latin1');
    res.end('\u20ac', 'utf8');
  },
  '/early-answer': (req, res) => {
    req.once('data', () => res.end('enough'));
  },
  '/refuse': (req, res) => {
    res.writeHead(413, { Connection: 'close' });
    res.end('too large');
  },
  '/throw-after-head': (req, res) => {
    res.writeHead(200, { 'Content-Length': 100 });
    res.write('some');
    setTimeout(() => res.destroy(new Error('gave up')), 20);
  },
  '/destroy': (req) => {
    req.socket.destroy();
  },
  '/destroy-chunked': (req, res) => {
    res.write('some');
    setTimeout(() => res.socket.destroy(), 20);
  },
  '/wait': () => undefined,
  '/endless': (req, res) => {
    const pump = () => {
      while (!res.destroyed && res.write(big));
    };
    res.on('drain', pump);
    pump();
  },
  '/timeout': (req, res, note) => {
    res.setTimeout(50, () => {
      note('timeout');
      res.writeHead(503).end('timed out');
    });
  },
  '/client': (req, res) => {
    const { socket } = req;
    const { remoteAddress, remoteFamily, localAddress, encrypted, authorized } = socket;
    const { servername, alpnProtocol, authorizationError } = socket;
    const plain = { remoteAddress, remoteFamily, localAddress, kind: socket.constructor.name };
    const isNetSocket = socket instanceof net.Socket;
    const tls = encrypted && {
      isTlsSocket: socket instanceof require('node:tls').TLSSocket,
      ...{ authorized, authorizationError, servername },
      alpnProtocol: String(alpnProtocol).padEnd(10),
      ...{ protocol: socket.getProtocol(), cipher: socket.getCipher() },
      certificate: socket.getPeerCertificate(),
      x509: socket.getPeerX509Certificate() ?? null,
      isReused: socket.isSessionReused(),
    };
    const hasPorts = socket.remotePort > 0 && socket.localPort > 0;
    const isSame = socket === req.connection && socket === res.socket && socket === req.client;
    res.end(JSON.stringify({ ...plain, isNetSocket, hasPorts, isSame, tls }));
  },
  '/raw': (req, res) => res.end(JSON.stringify(req.rawHeaders)),
  '/content-type-twice': (req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Encoding': 'identity' });
    res.end('{}');
  },
  '/zero-length': (req, res) => res.writeHead(200, { 'Content-Length': 0 }).end(),
  '/head-like': (req, res) => {
    res.writeHead(200, { 'Content-Length': 1234 });
    res.end();
  },
  '/strict-length': (req, res, note) => {
    res.strictContentLength = true;
    res.writeHead(200, { 'Content-Length': 2 });
    try {
      res.write('much too long');
    } catch (error) {
      note(error.code);
      res.destroy();
    }
  },
  '/late-header': (req, res, note) => {
    res.write('x');
    try {
      res.setHeader('X-Late', '1');
    } catch (error) {
      note(error.code);
    }
    res.end();
  },
  '/bad-header': (req, res, note) => {
    for (const [name, value] of [
      ['X Bad', '1'],
      ['X-Bad', 'a\nb'],
      ['X-Uni', '\u20ac'],
    ]) {
      try {
        res.setHeader(name, value);
      } catch (error) {
        note(error.code);
      }
    }
    res.end('refused three');
  },
};

function record(req) {
  const id = req.headers['x-case'];
  const entry = {
    method: req.method,
    url: req.url,
    httpVersion: req.httpVersion,
    rawHeaders: req.rawHeaders,
    rawTrailers: [],
    notes: [],
    isOver: false,
  };
  if (id !== undefined) seen.set(id, entry);
  return entry;
}

function serve(req, res) {
  const [path, query] = req.url.split('?');
  if (path === '/seen') {
    const entry = seen.get(new URLSearchParams(query).get('id'));
    res.end(JSON.stringify(entry ?? null));
    return;
  }
  const entry = record(req);
  const note = (text) => entry.notes.push(text);
  watch(req, res, entry.notes);
  req.on('end', () => (entry.rawTrailers = req.rawTrailers));
  // A body that was refused, by its Expect, never comes.
  let open = req.headers.expect !== undefined && path.startsWith('/refuse') ? 1 : 2;
  const onClose = () => setImmediate(() => (entry.isOver = --open <= 0));
  req.on('close', onClose);
  res.on('close', onClose);
  const [, name] = path.replace(/^http:\/\/[^/]*/, '').split('/');
  (routes[`/${name}`] ?? routes['/plain'])(req, res, note);
}

const { TLS_KEY, TLS_CERT } = process.env;
const server =
  TLS_KEY === undefined
    ? http.createServer(serve)
    : https.createServer({ key: readFileSync(TLS_KEY), cert: readFileSync(TLS_CERT) }, serve);
if (process.env.EXPECT !== 'default') {
  server.on('checkContinue', (req, res) => {
    if (!req.url.startsWith('/refuse')) res.writeContinue();
    serve(req, res);
  });
  server.on('checkExpectation', (req, res) => {
    record(req).isOver = true;
    res.writeHead(417, 'Not Here').end(`expected ${req.headers.expect}`);
  });
}
server.listen(process.env.TSGI_HOSTED ? 80 : 0, '127.0.0.1', () => {
  if (!process.env.TSGI_HOSTED) process.stdout.write(`${server.address().port}\n`);
});
