/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_client.h The client's end of a request, as far as somebody who waits for a
 * worker has to look at it.
 *
 * The client of an HTTP/1 connection is a socket that can be polled. A request of HTTP/2
 * runs on a secondary connection whose socket belongs to another thread: there the only
 * sign is c->aborted, which is looked at by ticks. The thread of the request only.
 */
#ifndef TSGI_CLIENT_H
#define TSGI_CLIENT_H

#include "tsgi_module.h"

#include <poll.h>

typedef struct {
    conn_rec *c;
    int fd;           /**< −1: not to be polled */
    int silent_ticks; /**< vain tries to read since the last byte; the caller zeroes it */
    int may_leave; /**< it has its whole answer: that it sends no more is no farewell */
} tsgi_client_t;

typedef enum { TSGI_WAIT_TIMEOUT, TSGI_WAIT_READY, TSGI_WAIT_GONE } tsgi_wait_t;

void tsgi_client_init(tsgi_client_t *client, request_rec *r);
/**
 * Waits until one of fds[0..n) is ready or the client has gone away; with want_input also
 * until the client has sent something. fds must have room for one more at fds[n].
 * @return TSGI_WAIT_READY also for want_input ticks of clients that cannot be polled:
 * then just try to read.
 */
tsgi_wait_t tsgi_client_wait(tsgi_client_t *client, struct pollfd *fds, nfds_t n,
                             int timeout_ms, int want_input);

#endif
