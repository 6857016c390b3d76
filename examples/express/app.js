// An Express 5 application as it runs anywhere: nothing in it knows of Apache. Its listen()
// binds no port here, mod_tsgi serves the server that it would have started.
'use strict';
const express = require('express');

const app = express();
app.use(express.json());

app.get('/', (req, res) => {
  res.send('Hello from Express!\n');
});

app.get('/users/:id', (req, res) => {
  res.json({ id: req.params.id, ip: req.ip, protocol: req.protocol });
});

app.post('/echo', (req, res) => {
  res.json(req.body);
});

app.listen(process.env.PORT ?? 3000);
