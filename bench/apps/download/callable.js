'use strict';
const body = Buffer.alloc(100_000, 'abcdefghij');
exports.application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return body;
};
