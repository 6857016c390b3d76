// The application at / of a virtual host. Apache serves /robots.txt, /favicon.ico and
// /media/ itself; everything else comes here.
'use strict';

exports.application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain; charset=utf-8']]);
  return [
    `The application at / got ${environ.PATH_INFO}\n`,
    `It runs as uid ${process.getuid()}\n`,
  ];
};
