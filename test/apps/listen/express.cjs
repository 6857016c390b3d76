const express = require('express');
const app = express();
const server = app.listen(process.env.PORT, '0.0.0.0', () => {
  app.get('/', (req, res) => res.send(`express ${server.address().address}`));
  console.log('ready');
});
