'use strict';
exports.application = async (environ, startResponse) => {
  let length = 0;
  for await (const chunk of environ['tsgi.input']) length += chunk.length;
  startResponse('200 OK', [['Content-Type', 'text/plain']]);
  return String(length);
};
