// Tells what the modules that ran before it (observer.cjs, observer.mjs) have seen of its requests.
'use strict';
const http = require('node:http');

const app = (req, res) => {
  if (req.url === '/told') {
    res.end(JSON.stringify({ seen: globalThis.seen, preloaded: globalThis.preloaded }));
    return;
  }
  globalThis.store?.run(req.url, () => setTimeout(() => res.end('ok'), 1));
};

if (process.env.TSGI_HOSTED) http.createServer(app).listen(3000);
else {
  const server = http.createServer(app).listen(0, '127.0.0.1', async () => {
    const base = `http://127.0.0.1:${server.address().port}`;
    const headers = { connection: 'close' };
    for (const path of ['/a', '/b?c']) await (await fetch(base + path, { headers })).text();
    console.log(await (await fetch(`${base}/told`, { headers })).text());
    server.close();
  });
}
