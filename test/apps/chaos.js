// Notes every request that reaches it in a file, so that one which comes twice can be counted, and
// answers with the id that it was asked by, so that an answer to somebody else can be recognised.
// Notes, too, when it is ready and when it is told to finish. Does to its process what do= says.
'use strict';
const { ftruncateSync, openSync, closeSync, writeSync } = require('node:fs');
const http = require('node:http');

const file = openSync(process.env.CHAOS_FILE, 'a');
const note = (...words) => writeSync(file, `${words.join(' ')}\n`);

/** Lets the event loop stand still. */
const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

const held = [];
const deeds = {
  /** Writes n MiB to both streams without waiting. */
  flood(n) {
    for (let i = 0; i < n * 8; i++) {
      process.stdout.write(`${'o'.repeat(1023)}\n`.repeat(64));
      process.stderr.write(`${'e'.repeat(1023)}\n`.repeat(64));
    }
  },
  /** Tries to empty whatever its streams lead to. */
  truncate() {
    for (const fd of [1, 2]) {
      try {
        ftruncateSync(fd);
      } catch {
        // A pipe has no length: as it should be.
      }
    }
  },
  /** Takes descriptors until there are no more. */
  exhaust() {
    try {
      for (;;) held.push(openSync('/dev/null'));
    } catch {
      // The limit is reached.
    }
  },
  release() {
    for (const fd of held.splice(0)) closeSync(fd);
  },
  block,
};

const server = http.createServer((req, res) => {
  const { searchParams } = new URL(req.url, 'http://x');
  const id = searchParams.get('id');
  if (id !== null) note(id, process.pid);
  deeds[searchParams.get('do')]?.(Number(searchParams.get('n')));
  const wait = Number(searchParams.get('wait') ?? 0);
  const size = Number(searchParams.get('size') ?? 0);
  const chunks = [];
  if (searchParams.get('body') === 'unread') return; // and never an answer
  req.on('data', (chunk) => chunks.push(chunk));
  req.on('end', () => {
    res.setHeader('X-Id', String(id));
    const answer = `${id} ${Buffer.concat(chunks)} ${'x'.repeat(size)}`;
    if (wait > 0) setTimeout(() => res.end(answer), wait);
    else res.end(answer);
  });
});
server.listen(3000, () => {
  note('#ready', process.pid, Math.round(process.uptime() * 1000), Date.now());
});

// The package's index.js, where a test wants to know about drains.
if (process.env.CHAOS_PACKAGE) {
  import(process.env.CHAOS_PACKAGE).then(({ tsgi }) => {
    tsgi.on('drain', () => note('#drain', process.pid, Date.now()));
  });
}
