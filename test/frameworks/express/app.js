const { createHash } = require('node:crypto');
const path = require('node:path');
const express = require('express');
const multer = require('multer');
const { WebSocketServer } = require('ws');

const app = express();
const upload = multer({ storage: multer.memoryStorage() });

/** Streams that wait for /release. */
const waiting = new Set();

app.use(express.static(path.join(__dirname, 'public')));
app.use(express.urlencoded({ extended: false }));

app.get('/', (req, res) => {
  res.send(`<!doctype html>
<link rel="stylesheet" href="/style.css">
<h1>Hello from Express</h1>
<form method="post" action="/post"><input name="name"></form>`);
});

app.post('/post', (req, res) => {
  res.status(201).send(`Hello, ${req.body.name}`);
});

app.post('/upload', upload.single('file'), (req, res) => {
  res.json({ sha256: createHash('sha256').update(req.file.buffer).digest('hex') });
});

app.get('/stream', (req, res) => {
  res.type('text/event-stream');
  res.write('data: first part\n\n');
  waiting.add(() => res.end('data: last part\n\n'));
});

app.get('/release', (req, res) => {
  for (const go of waiting) go();
  waiting.clear();
  res.send('released');
});

const server = app.listen(process.env.PORT || 3000, () => {
  console.log(`listening on port ${server.address().port}`);
});

new WebSocketServer({ server, path: '/ws' }).on('connection', (socket) => {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});
