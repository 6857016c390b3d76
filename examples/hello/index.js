// The smallest TSGI application: a callable that takes the request's environment and a
// function that begins the response, and returns the pieces of the body.
'use strict';

exports.application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain; charset=utf-8']]);
  return ['Hello from mod_tsgi!\n'];
};
