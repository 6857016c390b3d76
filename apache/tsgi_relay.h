/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_relay.h Upgraded connections that cannot be handed over (TLS, HTTP/2, foreign filters): who
 * relays their bytes, and how many there may be. Apache children only.
 *
 * Under an MPM that can suspend connections (event), a few pollers of the child have them all, and none
 * holds a thread: the handler returns SUSPENDED, and when httpd's thread has let go of the connection
 * (suspend_connection hook) a poller takes it over until its end. httpd 2.4 cannot take it back, so the
 * poller also does what comes after: the request's end, lingering close, the connection's pool. Else the
 * request's own thread relays.
 *
 * Both are bounded. Suspended connections count for httpd as open ones, of which a child accepts
 * ThreadsPerChild and AsyncRequestWorkerFactor more for each idle thread: half of that is for relays.
 * Of threads, all relays of one application group hold at most half of apache-threads.
 */
#ifndef TSGI_RELAY_H
#define TSGI_RELAY_H

#include "tsgi_pump.h"

/** child_init: how many relays this child can bear. */
void tsgi_relay_child_init(apr_pool_t *pchild, server_rec *s);
/** child_stopping hook: its connections may live on, but not where httpd lacks places for others. */
void tsgi_relay_child_stopping(apr_pool_t *pchild, int graceful);
/**
 * The worker has answered 101, and nothing of it has left. The thread of the request.
 * @return SUSPEND: the handler returns SUSPENDED and touches nothing any more; DONE; FAIL
 */
tsgi_step_t tsgi_relay_run(tsgi_exchange_t *x);
/** suspend_connection hook: the request's thread has let go of it. */
void tsgi_relay_suspended(conn_rec *c, request_rec *r);

#endif
