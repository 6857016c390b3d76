/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_outage.h
 * What Apache's parent tells its children about a group whose supervisor does not come up: nobody will
 * answer on the sockets, so requests that find no worker get 503 at once instead of waiting for one.
 *
 * It lies in memory that the parent shares with its children (tsgi_spawn_shared()). Only the parent
 * writes it, and never reads it; children read it, and only when they would have to wait.
 */
#ifndef TSGI_OUTAGE_H
#define TSGI_OUTAGE_H

#include "apr_time.h"

struct tsgi_supervisor_t;

typedef struct {
    apr_uint32_t code; /**< the N of the TSGI<N> that said why; 0 = no outage */
    apr_time_t
        retry_at; /**< tsgi_clock_now() when the next supervisor starts, or started */
} tsgi_outage_t;

/** It begins, or goes on, until the supervisor that is due. Parent. */
void tsgi_outage_begin(struct tsgi_supervisor_t *supervisor, unsigned code);

/** It is over, or there was none. Parent. */
void tsgi_outage_end(struct tsgi_supervisor_t *supervisor);

/**
 * Ends it when a supervisor that came up has stayed for a while. Parent.
 * @return when that will be so, 0 = there is nothing to wait for
 */
apr_time_t tsgi_outage_tick(struct tsgi_supervisor_t *supervisor, apr_time_t now);

/** @return its code; 0: there is none. Any thread of a child. */
unsigned tsgi_outage_get(const tsgi_outage_t *outage, apr_time_t *retry_at);

#endif
