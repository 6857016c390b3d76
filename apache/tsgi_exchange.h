/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_exchange.h One request and its response: leases a worker, pumps body and
 * frames in both directions, and sends the request again where the retry law
 * (docs/wire.md) allows it. The thread of the request only.
 */
#ifndef TSGI_EXCHANGE_H
#define TSGI_EXCHANGE_H

#include "tsgi_config.h"

/**
 * @return what the handler returns: OK when the response has been passed on, else an HTTP
 * status.
 */
int tsgi_exchange_run(request_rec *r, const tsgi_route_t *route);

#endif
