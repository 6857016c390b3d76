// How an app of the benchmark listens by itself: on the unix socket or port that LISTEN names. Under mod_tsgi and
// Passenger the place does not matter. Front ends keep connections; a backend that closed an idle one first
// would lose their requests.
'use strict';
const { chmodSync } = require('node:fs');
module.exports = (server) => {
  const where = process.env.LISTEN ?? '3000';
  server.keepAliveTimeout = 600_000;
  server.listen(where, () => {
    if (where.startsWith('/')) chmodSync(where, 0o777);
  });
};
