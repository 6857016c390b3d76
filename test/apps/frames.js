// A worker that has gone bad: it answers with frames of its own, past the addon, on the very socket of
// the request. The last part of the path names the answer; /state tells what became of the last one.
'use strict';
const fs = require('node:fs');
const http = require('node:http');

const [INFORM, RESPONSE, DATA, END, LOG] = [0x44, 0x45, 0x46, 0x47, 0x4a];
const FIN = 1;

function frame(type, payload = '', flags = 0) {
  const body = Buffer.from(payload, 'latin1');
  const header = Buffer.alloc(8);
  header.writeUInt32LE(body.length, 0);
  header[4] = type;
  header[5] = flags;
  return Buffer.concat([header, body]);
}

function string(text) {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 254) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = Buffer.from([254, 0, 0]);
  length.writeUInt16LE(bytes.length, 1);
  return Buffer.concat([length, bytes]);
}

function head(type, status, reason, fields = [], flags = 0) {
  const fixed = Buffer.alloc(4);
  fixed.writeUInt16LE(status, 0);
  fixed.writeUInt16LE(fields.length, 2);
  const list = fields.flatMap(([name, value]) => [Buffer.from([0]), string(name), string(value)]);
  return frame(type, Buffer.concat([fixed, string(reason), ...list]).toString('latin1'), flags);
}
const answer = (reason, fields, body) =>
  Buffer.concat([head(RESPONSE, 200, reason, fields), frame(DATA, body, FIN)]);
const many = (n, buffer) => Buffer.concat(new Array(n).fill(buffer));

const log = many(50, frame(LOG, '\x04\0\0\0flood'));
const data = many(16, frame(DATA, 'x'.repeat(4096)));
/** @type {Record<string, {begin?: Buffer, forever?: Buffer}>} */
const answers = {
  logs: { forever: log },
  longer: {
    begin: Buffer.concat([head(RESPONSE, 200, '', [['Content-Length', '5']]), frame(DATA, 'hello')]),
    forever: data,
  },
  bodiless: { begin: head(RESPONSE, 204, ''), forever: data },
  informs: {
    begin: Buffer.concat([
      many(30, head(INFORM, 103, '', [['Link', 'y'.repeat(20000)]])),
      answer('', [], 'too late'),
    ]),
  },
  bytes: {
    begin: Buffer.concat([head(RESPONSE, 200, ''), many(200000, frame(DATA, 'b')), frame(END)]),
  },
  type: { begin: answer('', [['Content-Type', 'text/\x1bplain']], 'no') },
  reason: { begin: answer('O\x1b[31mK', [], 'yes') },
  'inform-value': {
    begin: Buffer.concat([
      head(INFORM, 103, '', [['Link', 'a\x1bb'], ['X-Fine', 'fine']]),
      answer('', [], 'yes'),
    ]),
  },
  lengths: { begin: answer('', [['Content-Length', '3'], ['Content-Length', '4']], 'abc') },
  negative: { begin: answer('', [['Content-Length', '-3']], 'abc') },
  huge: { begin: answer('', [['Content-Length', '99999999999999999999']], 'abc') },
  location: { begin: answer('', [['Location', '/secret.txt']], 'own') },
  sendfile: { begin: answer('', [['X-Sendfile', '/etc/passwd']], 'own') },
  smuggle: {
    begin: answer('', [['Transfer-Encoding', 'chunked'], ['Connection', 'upgrade'], ['Upgrade', 'x']], 'own'),
  },
};

function sockets() {
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

const state = { begun: '', closed: '' };

/** Writes to one socket until the request has ended or what is to be written has been. */
function speak(fd, { begin = Buffer.alloc(0), forever }, isOver) {
  let rest = begin;
  const step = () => {
    if (isOver()) return;
    try {
      for (let i = 0; i < 64 && (rest.length > 0 || forever); i++) {
        if (rest.length === 0) rest = forever;
        rest = rest.subarray(fs.writeSync(fd, rest));
      }
    } catch (error) {
      if (error.code !== 'EAGAIN') return;
    }
    if (rest.length > 0 || forever) setTimeout(step, 1);
  };
  step();
}

http
  .createServer((req, res) => {
    const name = req.url.split('/').pop();
    if (name === 'state') return res.end(JSON.stringify(state));
    if (name === 'emergency') {
      // As the host writes its own lines: the supervisor runs as the same user, so its pipe can be opened.
      const pipe = fs.openSync(`/proc/${process.ppid}/fd/4`, 'w');
      fs.writeSync(pipe, `0 ${process.pid} host flood of emergency\n`);
      fs.closeSync(pipe);
      return res.end('told');
    }
    const wanted = answers[name];
    if (wanted === undefined) return res.end('well');
    let over = false;
    state.begun = name;
    state.closed = '';
    res.on('close', () => {
      over = true;
      state.closed = name;
    });
    setImmediate(() => {
      for (const fd of sockets()) speak(fd, wanted, () => over);
    });
  })
  .listen(3000);
