/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_upgrade.h"
#include "tsgi_filters.h"
#include "tsgi_pump.h"

#include "http_core.h"
#include "http_protocol.h"
#include "http_ssl.h"
#include "util_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Between two tries while too many descriptors are in flight, in ms. */
#define RETRY_AFTER 20

/* ---- which requests ----------------------------------------------------------------- */

static int is_passable(request_rec *r)
{
    const tsgi_server_conf_t *conf =
        ap_get_module_config(r->server->module_config, &tsgi_module);
    conn_rec *c = r->connection;

    return conf->upgrade_passing != 0 && c->master == NULL &&
           ap_get_conn_socket(c) != NULL && !ap_ssl_conn_is_ssl(c) &&
           !c->data_in_output_filters && tsgi_filters_are_harmless(c->input_filters) &&
           tsgi_filters_are_harmless(c->output_filters);
}

/* A tunnel to a host that the client names, which is the app's affair alone. */
static uint32_t connect_flags(request_rec *r)
{
    if (r->connection->master != NULL || r->main != NULL || r->prev != NULL ||
        ap_request_has_body(r)) {
        return 0;
    }
    return is_passable(r) ? TSGI_R_UPGRADE | TSGI_R_PASS : TSGI_R_UPGRADE;
}

uint32_t tsgi_upgrade_flags(request_rec *r)
{
    if (r->method_number == M_CONNECT) {
        return connect_flags(r);
    }
    const char *upgrade = apr_table_get(r->headers_in, "Upgrade");

    if (upgrade == NULL || upgrade[0] == '\0' || r->main != NULL ||
        (r->prev != NULL && ap_is_HTTP_ERROR(r->status)) ||
        !ap_find_token(r->pool, apr_table_get(r->headers_in, "Connection"), "upgrade")) {
        return 0;
    }
    if (r->connection->master != NULL) {
        /* A client of HTTP/2 cannot send these headers: mod_http2 has made them of an
         * extended CONNECT (RFC 8441). What looks like a body is the tunnel to come. */
        return TSGI_R_UPGRADE;
    }
    if (r->proto_num < HTTP_VERSION(1, 1) || ap_request_has_body(r)) {
        return 0;
    }
    return is_passable(r) ? TSGI_R_UPGRADE | TSGI_R_PASS : TSGI_R_UPGRADE;
}

/* ---- handing over ------------------------------------------------------------------- */

static tsgi_step_t fail(tsgi_exchange_t *x, apr_status_t error, const char *detail)
{
    x->error.os_error = error;
    x->error.detail = detail;
    return tsgi_pump_fail(x, TSGI_FAIL_PASS);
}

/* Takes from httpd's filters what the client has sent already, without waiting. */
static tsgi_step_t take_received(tsgi_exchange_t *x, apr_bucket_brigade *all)
{
    conn_rec *c = x->r->connection;
    apr_bucket_brigade *bb = apr_brigade_create(x->r->pool, c->bucket_alloc);
    apr_off_t total = 0, length;

    ap_remove_input_filter_byhandle(c->input_filters, "reqtimeout");
    for (;;) {
        const apr_status_t rv =
            ap_get_brigade(c->input_filters, bb, AP_MODE_READBYTES, APR_NONBLOCK_READ,
                           TSGI_MAX_SOCKET + 1 - total);
        if (APR_STATUS_IS_EOF(rv) || APR_STATUS_IS_EAGAIN(rv) ||
            (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(bb))) {
            return TSGI_STEP_MORE; /* who has the descriptor finds an end himself */
        }
        if (rv != APR_SUCCESS || apr_brigade_length(bb, 1, &length) != APR_SUCCESS) {
            return tsgi_pump_fail(x, TSGI_FAIL_CLIENT);
        }
        total += length;
        if (total > TSGI_MAX_SOCKET) {
            return fail(x, 0, "the client has sent more than 64 KiB before an answer");
        }
        APR_BRIGADE_CONCAT(all, bb);
    }
}

/* Sends SOCKET and the descriptor. @return 0 or an errno; *is_passed: it has left. */
static int send_socket(tsgi_exchange_t *x, int fd, char *bytes, apr_size_t n,
                       int *is_passed)
{
    tsgi_connection_t *connection = x->lease.connection;
    const apr_time_t deadline =
        tsgi_clock_now() + apr_time_from_msec(x->slots->generation->socket_timeout);
    uint8_t header[TSGI_FRAME_HEADER];
    struct iovec parts[2] = {{header, sizeof(header)}, {bytes, n}};

    tsgi_frame_encode(header, TSGI_T_SOCKET, 0, (uint32_t)n);
    *is_passed = 0;
    while (parts[0].iov_len > 0 || parts[1].iov_len > 0) {
        const long sent = *is_passed ? tsgi_connection_send(connection, parts, 2)
                                     : tsgi_connection_pass(connection, parts, 2, fd);
        if (sent >= 0) {
            *is_passed = 1;
            continue;
        }
        const int is_passing = sent == -EAGAIN || sent == -ETOOMANYREFS;
        if (!is_passing || tsgi_clock_now() >= deadline) {
            return (int)-sent;
        }
        (void)poll(NULL, 0, RETRY_AFTER);
    }
    return 0;
}

/* Puts a dead socket in the place of httpd's own copy: the recipe by which nothing of the
 * connection's end, lingering close included, reaches the client. */
static void let_go(tsgi_exchange_t *x, int dead)
{
    request_rec *r = x->r;
    conn_rec *c = r->connection;

    while (dup3(dead, x->client.fd, O_CLOEXEC) < 0 && errno == EINTR) {
    }
    x->client.fd = -1;
    c->keepalive = AP_CONN_CLOSE;
    r->input_filters = r->proto_input_filters = c->input_filters;
    r->output_filters = r->proto_output_filters = c->output_filters;
}

tsgi_step_t tsgi_upgrade_pass(tsgi_exchange_t *x)
{
    conn_rec *c = x->r->connection;
    apr_bucket_brigade *all = apr_brigade_create(x->r->pool, c->bucket_alloc);
    char *bytes = NULL;
    apr_size_t n = 0;
    int is_passed;

    if (c->data_in_output_filters) {
        return fail(x, 0, "output waits for the client");
    }
    const tsgi_step_t step = take_received(x, all);
    if (step != TSGI_STEP_MORE) {
        return step;
    }
    const apr_status_t rv = apr_brigade_pflatten(all, &bytes, &n, x->r->pool);
    apr_brigade_cleanup(all);
    if (rv != APR_SUCCESS) {
        return tsgi_pump_fail(x, TSGI_FAIL_MEMORY);
    }
    const int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (dead < 0) {
        return fail(x, errno, NULL);
    }
    const int error = send_socket(x, x->client.fd, bytes, n, &is_passed);
    if (is_passed) {
        let_go(x, dead);
        x->state = TSGI_STATE_PASSED;
    }
    close(dead);
    return error == 0 ? TSGI_STEP_MORE : fail(x, error, NULL);
}
