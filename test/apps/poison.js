// Dies by one kind of request before its handler is called: in the class that its server was made with.
'use strict';
const http = require('node:http');

class Request extends http.IncomingMessage {
  get url() {
    return this.given;
  }

  set url(value) {
    if (value.startsWith('/poison')) process.kill(process.pid, 'SIGKILL');
    this.given = value;
  }
}

http
  .createServer({ IncomingMessage: Request }, (req, res) => {
    req.resume();
    res.end(`well ${process.pid}`);
  })
  .listen(3000);
