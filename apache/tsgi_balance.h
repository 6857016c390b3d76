/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_balance.h Which worker gets a request: the one with the fewest in hand among
 * those that have said HELLO, of equals the one that served last.
 *
 * A slot whose worker is booting or blocked has not said HELLO on a new connection and is
 * no candidate, though its counter is zero. Nothing is locked while a thread waits here.
 */
#ifndef TSGI_BALANCE_H
#define TSGI_BALANCE_H

#include "tsgi_client.h"
#include "tsgi_connection.h"
#include "tsgi_error.h"

/** A connection with the place that it counts for. */
typedef struct {
    tsgi_slots_t *slots;
    int slot;
    tsgi_connection_t *connection; /**< NULL: nothing is leased */
    int is_admitted; /**< the request has had a lease: no full queue refuses it any more */
    int preferred;   /**< slot that is tried first, −1 = none */
    int is_spent;    /**< the preferred one had the request and did not begin with it */
    int is_counted;  /**< among the requests that the worker has in hand */
} tsgi_lease_t;

/**
 * Leases a connection that has said HELLO; waits for one, while the client stays, until
 * *deadline, which is set to the end of queue-timeout when it is 0 and waiting begins.
 * @param now tsgi_clock_now() of a moment ago
 * @return 1, or 0 and *error says why (FULL, QUEUE, UNAVAILABLE, BACKLOG, CONNECT, CLIENT).
 */
int tsgi_balance_acquire(request_rec *r, tsgi_client_t *client, tsgi_slots_t *slots,
                         apr_time_t now, apr_time_t *deadline, tsgi_lease_t *lease,
                         tsgi_error_t *error);
/**
 * Gives the connection back for the next request: whatever came on it has been consumed
 * whole.
 */
void tsgi_lease_release(tsgi_lease_t *lease, apr_time_t now);
/** What has become an upgraded connection is no request in hand any more. */
void tsgi_lease_uncount(tsgi_lease_t *lease);
/** Closes the connection; for the worker this is the end of the request. Idempotent. */
void tsgi_lease_drop(tsgi_lease_t *lease);
/**
 * Like drop, for a worker that goes: its other connections are of no use either. It tells nothing
 * about the slot, where the next one may serve already.
 */
void tsgi_lease_drop_leaving(tsgi_lease_t *lease);
/**
 * Like drop, for a worker that hung up or refused: others are tried first for a moment.
 */
void tsgi_lease_drop_penalised(tsgi_lease_t *lease, apr_time_t now);
/**
 * For a request that `slot` has had since `since` without a sign: @return 1 if another
 * slot has an idle connection and either less in hand, or has answered something since
 * then while `slot` has not.
 */
int tsgi_balance_has_better(const tsgi_slots_t *slots, int slot, apr_time_t since);

#endif
