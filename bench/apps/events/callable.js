'use strict';
const clients = require('./ticker.js');
exports.application = async function* (environ, startResponse) {
  startResponse('200 OK', [['Content-Type', 'text/event-stream']]);
  let pending = '';
  let wake = () => undefined;
  const send = (event) => {
    pending += event;
    wake();
  };
  clients.add(send);
  try {
    for (;;) {
      if (pending === '') await new Promise((resolve) => (wake = resolve));
      const events = pending;
      pending = '';
      yield events;
    }
  } finally {
    clients.delete(send);
  }
};
