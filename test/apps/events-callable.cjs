// Event streams, as a TSGI callable.
'use strict';
const { events, go } = require('./events.cjs');

exports.application = (environ, startResponse) => {
  const query = new URLSearchParams(environ.QUERY_STRING);
  startResponse(200, [['Content-Type', query.get('type') ?? 'text/event-stream']]);
  return environ.PATH_INFO === '/go' ? go(query.get('id')) : events(query.get('id'));
};
