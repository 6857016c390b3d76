const { createHash } = require('node:crypto');
const path = require('node:path');
const express = require('express');
const session = require('express-session');
const multer = require('multer');
const { WebSocketServer } = require('ws');

const app = express();
const router = express.Router();
const upload = multer({ storage: multer.memoryStorage() });

/** Where it is mounted, if not at the root. */
const base = process.env.BASE_PATH ?? '';

/** Streams that wait for /release. */
const waiting = new Set();

router.use(express.static(path.join(__dirname, 'public')));
router.use(express.urlencoded({ extended: false }));

router.get('/', (req, res) => {
  res.send(`<!doctype html>
<link rel="stylesheet" href="${base}/style.css">
<h1>Hello from Express</h1>
<form method="post" action="${base}/post"><input name="name"></form>`);
});

router.get('/old', (req, res) => {
  res.redirect(`${base}/`);
});

const settings = { secret: 'of this app', resave: false, saveUninitialized: false };
router.get('/visits', session({ ...settings, cookie: { secure: true } }), (req, res) => {
  req.session.visits = (req.session.visits ?? 0) + 1;
  res.send(`visits: ${req.session.visits}`);
});

router.post('/post', (req, res) => {
  res.status(201).send(`Hello, ${req.body.name}`);
});

router.post('/upload', upload.single('file'), (req, res) => {
  res.json({ sha256: createHash('sha256').update(req.file.buffer).digest('hex') });
});

router.get('/stream', (req, res) => {
  res.type('text/event-stream');
  res.write('data: first part\n\n');
  waiting.add(() => res.end('data: last part\n\n'));
});

router.get('/release', (req, res) => {
  for (const go of waiting) go();
  waiting.clear();
  res.send('released');
});

app.use(base || '/', router);

const server = app.listen(process.env.PORT || 3000, () => {
  console.log(`listening on port ${server.address().port}`);
});

new WebSocketServer({ server, path: `${base}/ws` }).on('connection', (socket) => {
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});
