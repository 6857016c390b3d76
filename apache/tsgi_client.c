/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_client.h"

#include "apr_portable.h"
#include "http_core.h"

#include <errno.h>
#include <stdint.h>
#include <time.h>

/* How often c->aborted is looked at where no socket can be polled. */
#define GONE_TICK (200 * MS)
#define MS INT64_C(1000)

void tsgi_client_init(tsgi_client_t *client, request_rec *r)
{
    client->c = r->connection;
    client->fd = -1;
    client->silent_ticks = 0;
    client->may_leave = 0;
    if (r->connection->master == NULL) {
        apr_socket_t *socket = ap_get_conn_socket(r->connection);
        apr_os_sock_t fd;
        if (socket != NULL && apr_os_sock_get(&fd, socket) == APR_SUCCESS) {
            client->fd = fd;
        }
    }
}

static int poll_retry(struct pollfd *fds, nfds_t n, int64_t timeout_us)
{
    const struct timespec timeout = {.tv_sec = timeout_us / (1000 * MS),
                                     .tv_nsec = timeout_us % (1000 * MS) * 1000};
    const int rc = ppoll(fds, n, &timeout, NULL);
    if (rc < 0 && errno == EINTR) {
        return 0; /* callers compute the time that is left and come again */
    }
    return rc;
}

/*
 * How soon input is tried again, in µs: almost at once while the client uploads, since what it may
 * send ahead is 64 KiB at first, and each round trip takes a tick; rarely when it rests.
 */
static int64_t input_tick(tsgi_client_t *client)
{
    const int n = client->silent_ticks++;
    return n < 40 ? 50 : n < 56 ? MS : n < 72 ? 5 * MS : 20 * MS;
}

static tsgi_wait_t wait_by_ticks(tsgi_client_t *client, struct pollfd *fds, nfds_t n,
                                 int timeout_ms, int want_input)
{
    const int64_t longest = want_input ? input_tick(client) : GONE_TICK;
    const int64_t left = (int64_t)timeout_ms * MS;
    const int64_t tick = left < longest ? left : longest;
    const int rc = poll_retry(fds, n, tick);
    if (client->c->aborted) {
        return TSGI_WAIT_GONE;
    }
    return rc != 0 || want_input ? TSGI_WAIT_READY : TSGI_WAIT_TIMEOUT;
}

tsgi_wait_t tsgi_client_wait(tsgi_client_t *client, struct pollfd *fds, nfds_t n,
                             int timeout_ms, int want_input)
{
    if (client->c->aborted) {
        return TSGI_WAIT_GONE;
    }
    if (client->fd < 0) {
        return wait_by_ticks(client, fds, n, timeout_ms, want_input);
    }
    /* POLLRDHUP: a client that has closed its half has gone, as for node:http. */
    struct pollfd *own = &fds[n];
    own->fd = client->fd;
    own->events =
        (short)((client->may_leave ? 0 : POLLRDHUP) | (want_input ? POLLIN : 0));
    own->revents = 0;
    const int rc = poll_retry(fds, n + 1, (int64_t)timeout_ms * MS);
    if (rc <= 0) {
        return rc < 0 ? TSGI_WAIT_READY : TSGI_WAIT_TIMEOUT;
    }
    if (own->revents == 0 || rc > 1) {
        return TSGI_WAIT_READY; /* what a worker has to say comes first */
    }
    /* With input wanted, its end is found by whoever reads: what came before the end
     * still counts. */
    return want_input ? TSGI_WAIT_READY : TSGI_WAIT_GONE;
}
