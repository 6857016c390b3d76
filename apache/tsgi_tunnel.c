/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/*
 * After 101 Switching Protocols: bytes both ways between the filters of the client's connection and
 * the frames of the worker, until both halves have ended. Nothing here waits for one side
 * alone, where the client is a socket: who does not read holds up only what is for him. Who waits
 * for both is a thread of its own (here), or a poller that has many of them (tsgi_relay.c).
 */
#include "tsgi_pump.h"

#include "apr_portable.h"
#include "apr_strings.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_ssl.h"
#include "mod_core.h"
#include "util_filter.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

/* A request of HTTP/2: how often c->aborted is looked at. */
#define ABORTED_TICK_MS 500
/* Pieces moved in one call, so that one busy tunnel does not hold up others of its poller. */
#define MOVES_PER_CALL 16

/* ---- the beginning ------------------------------------------------------------------ */

static int send_field(void *data, const char *name, const char *value)
{
    apr_bucket_brigade *bb = data;
    return apr_brigade_printf(bb, NULL, NULL, "%s: %s\r\n", name, value) == APR_SUCCESS;
}

/* 200 to a CONNECT: a head that nothing but the tunnel follows. On the wire it is a 101. */
static void send_connected(request_rec *r)
{
    conn_rec *c = r->connection;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, c->bucket_alloc);

    r->status = HTTP_OK;
    if (r->status_line != NULL) { /* "101 reason" */
        r->status_line = apr_pstrcat(r->pool, "200", r->status_line + 3, NULL);
    }
    apr_table_unset(r->headers_out, "Content-Length");
    apr_table_unset(r->headers_out, "Upgrade");
    ap_basic_http_header(r, bb);
    apr_table_do(send_field, bb, r->headers_out, NULL);
    (void)apr_brigade_puts(bb, NULL, NULL, CRLF);
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(c->bucket_alloc));
    (void)ap_pass_brigade(c->output_filters,
                          bb); /* who cannot be written to is aborted */
    apr_brigade_destroy(bb);
}

static void send_head(request_rec *r)
{
    apr_table_t *headers = r->headers_out;

    if (r->method_number == M_CONNECT) {
        send_connected(r);
        return;
    }

    apr_table_setn(headers, "Connection", "Upgrade");
    r->headers_out = apr_table_copy(r->pool, headers);
    ap_send_interim_response(r, 1);
    r->headers_out = headers; /* for the access log */
}

/* From here on the request's filters are the connection's: nothing is HTTP any more. */
static void leave_http(request_rec *r)
{
    conn_rec *c = r->connection;

    ap_remove_output_filter_byhandle(c->output_filters, "SSL/TLS Coalescing Filter");
    ap_remove_input_filter_byhandle(c->input_filters, "reqtimeout");
    r->input_filters = r->proto_input_filters = c->input_filters;
    r->output_filters = r->proto_output_filters = c->output_filters;
    c->keepalive = AP_CONN_CLOSE;
}

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 129)
static int stream_fd(conn_rec *c)
{
    apr_pollfd_t pollfd = {0};
    apr_os_file_t fd;
    if (ap_get_pollfd_from_conn(c, &pollfd, NULL) == APR_SUCCESS &&
        pollfd.desc_type == APR_POLL_FILE &&
        apr_os_file_get(&fd, pollfd.desc.f) == APR_SUCCESS) {
        return fd;
    }
    return -1;
}
#else
static int stream_fd(conn_rec *c)
{
    return -1; /* this httpd makes no upgrades of HTTP/2 requests either */
}
#endif

void tsgi_tunnel_begin(tsgi_tunnel_t *t, tsgi_exchange_t *x)
{
    conn_rec *c = x->r->connection;

    *t = (tsgi_tunnel_t){.x = x, .c = c, .fd = x->client.fd};
    t->kind = c->master != NULL       ? TSGI_TUNNEL_STREAM
              : ap_ssl_conn_is_ssl(c) ? TSGI_TUNNEL_TLS
                                      : TSGI_TUNNEL_SOCKET;
    if (t->kind == TSGI_TUNNEL_STREAM) {
        t->fd = stream_fd(c);
    }
    send_head(x->r);
    leave_http(x->r);
    tsgi_body_tunnel(&x->body);
    x->reply.length = -1;
    x->reply.is_bodiless = 0;
    x->is_body_sent = 0;
    x->is_leaving = 1; /* its connection is trimmed, and serves no other request */
}

/* ---- from the worker to the client -------------------------------------------------- */

apr_status_t tsgi_tunnel_push(conn_rec *c)
{
    ap_filter_t *core = c->output_filters;
    while (core->next != NULL) {
        core = core->next;
    }
    const apr_status_t rv = core->frec->filter_func.out_func(core, NULL);
    return rv == APR_SUCCESS && c->aborted ? APR_ECONNABORTED : rv;
}

/* Writes what the core filter holds, as far as the client takes it now. */
static tsgi_step_t push_output(tsgi_tunnel_t *t)
{
    if (tsgi_tunnel_push(t->c) != APR_SUCCESS) {
        return tsgi_pump_fail(t->x, TSGI_FAIL_CLIENT);
    }
    if (!t->c->data_in_output_filters) {
        t->stalled_since = 0;
    }
    else if (t->stalled_since == 0) {
        t->stalled_since = tsgi_clock_now();
    }
    return TSGI_STEP_MORE;
}

static tsgi_step_t pass_held(tsgi_tunnel_t *t)
{
    if (t->x->reply.is_dirty) {
        const apr_status_t rv = tsgi_reply_pass(&t->x->reply);
        if (rv != APR_SUCCESS) {
            return tsgi_pump_fail(t->x, TSGI_FAIL_CLIENT);
        }
    }
    return push_output(t);
}

/* The app has ended its half, and all of it has left. */
static tsgi_step_t tell_half(tsgi_tunnel_t *t)
{
    t->is_half_told = 1;
    switch (t->kind) {
    case TSGI_TUNNEL_SOCKET:
        (void)shutdown(t->fd, SHUT_WR);
        return TSGI_STEP_MORE;
    case TSGI_TUNNEL_STREAM:
        return tsgi_reply_end(&t->x->reply, 1) == APR_SUCCESS
                   ? TSGI_STEP_MORE
                   : tsgi_pump_fail(t->x, TSGI_FAIL_CLIENT);
    case TSGI_TUNNEL_TLS:
        break;
    }
    return TSGI_STEP_DONE;
}

/*
 * Receives once and passes it on. *is_quiet: there was nothing. What is passed on at once stays below what
 * httpd's core filter would wait for: what was buffered, or what one call receives, whose buffer may have
 * grown by a large head before.
 */
static tsgi_step_t pull(tsgi_tunnel_t *t, int *is_quiet)
{
    tsgi_exchange_t *x = t->x;
    tsgi_step_t step = tsgi_frames_take(x);

    if (tsgi_connection_buffered(x->lease.connection) == 0) {
        tsgi_connection_trim(x->lease.connection);
    }
    if (x->reply.is_dirty) {
        *is_quiet = 0;
    }
    else if (step == TSGI_STEP_MORE) {
        step = tsgi_pump_receive(x, is_quiet);
        if (step == TSGI_STEP_MORE && !*is_quiet) {
            step = tsgi_frames_take(x);
        }
    }
    if (step == TSGI_STEP_DONE && x->state == TSGI_STATE_TUNNEL) {
        x->state = TSGI_STATE_HALF;
        step = TSGI_STEP_MORE;
    }
    /* What came before an end is the client's all the same. */
    const tsgi_step_t passed = pass_held(t);
    return step == TSGI_STEP_MORE ? passed : step;
}

static tsgi_step_t serve_client(tsgi_tunnel_t *t, int *is_quiet)
{
    *is_quiet = 1;
    if (t->c->data_in_output_filters) {
        const tsgi_step_t step = push_output(t);
        if (step != TSGI_STEP_MORE || t->c->data_in_output_filters) {
            return step;
        }
    }
    const tsgi_step_t step = pull(t, is_quiet);
    if (step == TSGI_STEP_MORE && t->x->state == TSGI_STATE_HALF && !t->is_half_told &&
        !t->c->data_in_output_filters) {
        return tell_half(t);
    }
    return step;
}

/* ---- moving ------------------------------------------------------------------------- */

static int is_over(const tsgi_tunnel_t *t)
{
    return t->is_half_told && t->x->is_body_sent && tsgi_upload_is_idle(t->x);
}

static tsgi_step_t move_once(tsgi_tunnel_t *t)
{
    tsgi_exchange_t *x = t->x;
    int is_quiet;
    tsgi_step_t step = serve_client(t, &is_quiet);

    if (step == TSGI_STEP_MORE) {
        step = tsgi_upload_push(x);
    }
    if (step == TSGI_STEP_MORE && is_over(t)) {
        return TSGI_STEP_DONE;
    }
    return step == TSGI_STEP_MORE && is_quiet && !x->has_more ? TSGI_STEP_WAIT : step;
}

tsgi_step_t tsgi_tunnel_move(tsgi_tunnel_t *t)
{
    tsgi_step_t step = TSGI_STEP_MORE;

    for (int i = 0; i < MOVES_PER_CALL && step == TSGI_STEP_MORE; i++) {
        step = move_once(t);
    }
    if (step == TSGI_STEP_WAIT) {
        tsgi_pump_free_spare(t->x); /* it may be a long time */
    }
    if (step == TSGI_STEP_FAIL && t->x->error.kind == TSGI_FAIL_BODY) {
        t->x->error.kind = TSGI_FAIL_CLIENT; /* its bytes are no body any more */
    }
    return step;
}

/* ---- waiting ------------------------------------------------------------------------ */

static short client_events(const tsgi_tunnel_t *t)
{
    const int wants_output =
        t->kind != TSGI_TUNNEL_STREAM && t->c->data_in_output_filters;
    return (short)((t->x->wants_client ? POLLIN : 0) | (wants_output ? POLLOUT : 0));
}

void tsgi_tunnel_wants(const tsgi_tunnel_t *t, struct pollfd fds[2])
{
    const tsgi_exchange_t *x = t->x;
    const int is_stalled = t->c->data_in_output_filters;

    fds[0] = (struct pollfd){
        .fd = t->is_worker_silent && is_stalled ? -1 : x->lease.connection->fd,
        .events = (short)((is_stalled ? 0 : POLLIN) | (x->wants_write ? POLLOUT : 0))};
    fds[1] = (struct pollfd){.fd = t->fd, .events = client_events(t)};
}

apr_time_t tsgi_tunnel_deadline(const tsgi_tunnel_t *t)
{
    return t->stalled_since == 0 ? 0 : t->stalled_since + t->x->r->server->timeout;
}

/* @return 1 if the client has gone, which nobody would find out who does not read from it. */
static int note_client(tsgi_tunnel_t *t, const struct pollfd *client)
{
    char wakeups[64];

    if ((client->revents & POLLOUT) != 0) {
        t->stalled_since = tsgi_clock_now(); /* it takes something */
    }
    if (t->kind != TSGI_TUNNEL_STREAM) {
        const short ended = POLLERR | POLLHUP | POLLNVAL;
        return !t->x->wants_client && (client->revents & ended) != 0;
    }
    if ((client->revents & POLLIN) != 0) {
        (void)!read(client->fd, wakeups, sizeof(wakeups));
    }
    else if (client->revents != 0) {
        t->fd = -1;
    }
    return 0;
}

tsgi_step_t tsgi_tunnel_note(tsgi_tunnel_t *t, const struct pollfd fds[2])
{
    const apr_time_t deadline = tsgi_tunnel_deadline(t);

    t->is_worker_silent =
        t->c->data_in_output_filters && (fds[0].revents & (POLLHUP | POLLERR)) != 0;
    if (note_client(t, &fds[1]) || t->c->aborted) {
        return tsgi_pump_fail(t->x, TSGI_FAIL_CLIENT);
    }
    return deadline != 0 && fds[1].revents == 0 && tsgi_clock_now() >= deadline
               ? tsgi_pump_fail(t->x, TSGI_FAIL_CLIENT)
               : TSGI_STEP_MORE;
}

/* ---- a thread of its own ------------------------------------------------------------ */

/* How long to wait, in ms; -1 = until something happens. */
static int time_left(const tsgi_tunnel_t *t)
{
    const apr_time_t deadline = tsgi_tunnel_deadline(t);
    int longest = t->kind == TSGI_TUNNEL_STREAM ? ABORTED_TICK_MS : INT_MAX;

    if (deadline != 0) {
        const apr_time_t now = tsgi_clock_now();
        const apr_time_t ms = deadline > now ? (deadline - now + 999) / 1000 : 0;
        return ms < longest ? (int)ms : longest;
    }
    return longest == INT_MAX ? -1 : longest;
}

static tsgi_step_t wait_for_events(tsgi_tunnel_t *t)
{
    struct pollfd fds[2];

    tsgi_tunnel_wants(t, fds);
    if (poll(fds, 2, time_left(t)) < 0) {
        if (errno != EINTR) {
            t->x->error.os_error = errno;
            return tsgi_pump_fail(t->x, TSGI_FAIL_UPGRADE);
        }
        fds[0].revents = fds[1].revents = 0;
    }
    return tsgi_tunnel_note(t, fds);
}

tsgi_step_t tsgi_tunnel_run(tsgi_exchange_t *x)
{
    tsgi_tunnel_t tunnel;
    tsgi_step_t step = TSGI_STEP_MORE;

    tsgi_tunnel_begin(&tunnel, x);
    while (step == TSGI_STEP_MORE) {
        step = tsgi_tunnel_move(&tunnel);
        if (step == TSGI_STEP_WAIT) {
            step = wait_for_events(&tunnel);
        }
    }
    return step;
}
