'use strict';
const { begin, block, finish } = require('./identity.js');

exports.application = async (environ, startResponse) => {
  const query = new URLSearchParams(environ.QUERY_STRING);
  startResponse('200 OK', [['Content-Type', 'application/json']]);
  if (environ.PATH_INFO === '/block') {
    block(Number(query.get('ms')));
    return [];
  }
  return [await finish(begin(query.get('user')))];
};
