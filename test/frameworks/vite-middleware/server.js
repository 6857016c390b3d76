// A server-rendered app in development, as Vite's guide sets it up: Vite is middleware of Express. Its guide leaves hot
// reloading on a port of its own; with `hmr.server` it is on the app's.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import express from 'express';
import { createServer as createViteServer } from 'vite';

const app = express();
const server = createServer(app);
const vite = await createViteServer({
  root: import.meta.dirname,
  server: { middlewareMode: true, hmr: { server } },
  appType: 'custom',
});

/** Where it is mounted, if not at the root. */
const base = vite.config.base;

/** Streams that wait for /release. */
const waiting = new Set();

app.post(`${base}upload`, async (req, res) => {
  const hash = createHash('sha256');
  for await (const chunk of req) hash.update(chunk);
  res.send(hash.digest('hex'));
});

app.get(`${base}stream`, (req, res) => {
  res.type('text/event-stream');
  res.write('data: first part\n\n');
  waiting.add(() => res.end('data: last part\n\n'));
});

app.get(`${base}release`, (req, res) => {
  for (const go of waiting) go();
  waiting.clear();
  res.send('released');
});

app.get(`${base}old`, (req, res) => {
  res.redirect(base);
});

app.use(vite.middlewares);

app.all('*all', express.urlencoded({ extended: false }), async (req, res, next) => {
  try {
    const file = await readFile(path.join(import.meta.dirname, 'index.html'), 'utf8');
    const template = await vite.transformIndexHtml(req.originalUrl, file);
    const { render } = await vite.ssrLoadModule('/src/entry-server.js');
    const html = template.replace('<!--ssr-outlet-->', () => render(req.body?.name));
    res.type('html').send(html);
  } catch (error) {
    vite.ssrFixStacktrace(error);
    next(error);
  }
});

server.listen(process.env.PORT ?? 5173);
