'use strict';
exports.application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return 'Hello, world!';
};
