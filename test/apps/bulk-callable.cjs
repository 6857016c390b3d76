// Large bodies both ways, as a TSGI callable.
'use strict';
const { blocks, bytesOf, sum } = require('./bulk.cjs');

exports.application = async (environ, startResponse) => {
  const body =
    environ.REQUEST_METHOD === 'GET'
      ? blocks(bytesOf(environ.QUERY_STRING))
      : await sum(environ['tsgi.input']);
  startResponse(200, [['Content-Type', 'application/octet-stream']]);
  return body;
};
