'use strict';
const express = require('express');

const app = express();
app.use(express.json());
app.get('/items/:id', (req, res) => res.set('X-Original', req.originalUrl).send(req.params.id));
app.post('/items', (req, res) => res.status(201).json(req.body));
app.get('/fails', async () => {
  throw Object.assign(new Error('teapot'), { status: 418, expose: true });
});
app.use((error, req, res, next) => res.status(error.status).send(error.message));
app.listen(3000);
