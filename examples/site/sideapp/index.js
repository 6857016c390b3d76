// An application at /sideapp, beside pages that Apache serves from its DocumentRoot.
'use strict';

exports.application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain; charset=utf-8']]);
  return [
    `The application at ${environ.SCRIPT_NAME} got ${environ.PATH_INFO || '/'}\n`,
    `It runs as uid ${process.getuid()}\n`,
  ];
};
