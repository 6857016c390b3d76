// What the image serves until an application is put into /srv/app.
'use strict';

exports.application = (environ, startResponse) => {
  startResponse('200 OK', [['Content-Type', 'text/plain; charset=utf-8']]);
  return ['mod_tsgi runs. Put your application into /srv/app.\n'];
};
