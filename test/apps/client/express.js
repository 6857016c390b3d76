// Express as its guide has it, with two packages for sessions whose cookies are `secure`; no 'trust proxy'.
'use strict';
const cookieSession = require('cookie-session');
const expressSession = require('express-session');
const express = require(process.env.EXPRESS ?? 'express');

const app = express();
const options = { resave: false, saveUninitialized: true };
app.use('/session', expressSession({ ...options, secret: 'test', cookie: { secure: true } }));
app.use('/cookie', cookieSession({ name: 'own', secret: 'test', secure: true }));
app.get('/cookie', (req, res) => {
  req.session.user = 'alice';
  res.send('kept');
});
app.get('/session', (req, res) => res.send('kept'));
app.get('/', (req, res) => {
  const { protocol, secure, ip, ips, hostname } = req;
  res.json({ protocol, secure, ip, ips, hostname });
});
app.get('/away', (req, res) => res.redirect(`${req.protocol}://${req.get('host')}/there`));
app.listen(3000);
