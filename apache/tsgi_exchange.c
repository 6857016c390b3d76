/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_exchange.h"
#include "tsgi_inquest.h"
#include "tsgi_pump.h"
#include "tsgi_relay.h"
#include "tsgi_sendfile.h"
#include "tsgi_sticky.h"

#include "apr_strings.h"

/* After the first worker, so many more may get the request; one more if it was taken back
 * from a worker that gave no sign. */
#define MAX_RESENDS 2
/* Connections found dead before a byte was written to them, or on which a worker that goes takes
 * nothing new, cost nothing but the look. */
#define MAX_STALE 64

/* ---- attempts ----------------------------------------------------------------------- */

static tsgi_step_t begin_attempt(tsgi_exchange_t *x)
{
    tsgi_connection_t *connection = x->lease.connection;

    x->state = TSGI_STATE_SENDING;
    x->written = 0;
    x->is_broken = x->is_leaving = x->is_lost = 0;
    x->data_left = 0;
    x->log_prefix = NULL;
    x->idle_since = x->whole_since = 0;
    x->is_body_sent = (x->head.request.flags & TSGI_R_BODY) == 0;
    x->error.slot = x->lease.slot;
    x->error.pid = connection->pid;
    tsgi_body_rewind(&x->body);
    tsgi_upload_clear(x);

    const long n =
        tsgi_request_write(x->r, &x->head, connection, x->slots->generation->secret);
    if (n <= 0) {
        if (n == 0) {
            return tsgi_pump_fail(x, TSGI_FAIL_MEMORY);
        }
        x->error.detail = tsgi_wire_strerror((int)n);
        return tsgi_pump_fail(x, n == TSGI_E_SPACE || n == TSGI_E_VALUE
                                     ? TSGI_FAIL_HEAD_SIZE
                                     : TSGI_FAIL_HEAD);
    }
    x->parts[TSGI_PART_HEAD] = (struct iovec){connection->out, (size_t)n};
    return TSGI_STEP_MORE;
}

static tsgi_step_t attempt(tsgi_exchange_t *x)
{
    tsgi_step_t step = begin_attempt(x);
    if (step == TSGI_STEP_MORE) {
        step = tsgi_pump_run(x);
    }
    return step == TSGI_STEP_SWITCH ? tsgi_relay_run(x) : step;
}

/* The app has not seen the request. @return TSGI_STEP_AGAIN if another worker may get
 * it. */
static tsgi_step_t next_worker(tsgi_exchange_t *x, apr_time_t now)
{
    const int is_stale = x->written == 0 || x->is_leaving;

    if (x->is_leaving) {
        tsgi_lease_drop_leaving(&x->lease);
    }
    else {
        tsgi_lease_drop_penalised(&x->lease, now);
    }
    if (is_stale ? ++x->stale > MAX_STALE
                 : ++x->resends > MAX_RESENDS + x->is_taken_back) {
        return tsgi_pump_fail(x, TSGI_FAIL_UNSENT);
    }
    if (!is_stale) {
        x->lease.is_spent = 1;
        ap_log_rerror(
            APLOG_MARK, APLOG_INFO, 0, x->r,
            TSGI_LOGNO(0186) "group %s, worker %d, pid %u ended, refused or kept "
                             "silent before it began with the request %s; sent "
                             "again",
            x->route->group->name, x->error.slot, x->error.pid, tsgi_request_id(x->r));
    }
    return TSGI_STEP_AGAIN;
}

static tsgi_step_t try_workers(tsgi_exchange_t *x)
{
    apr_time_t now = tsgi_clock_now();
    tsgi_step_t step;

    do {
        x->error.slot = -1;
        x->error.pid = 0;
        if (!tsgi_balance_acquire(x->r, &x->client, x->slots, now, &x->deadline,
                                  &x->lease, &x->error)) {
            return TSGI_STEP_FAIL;
        }
        step = attempt(x);
        if (step == TSGI_STEP_AGAIN) {
            now = tsgi_clock_now();
            step = next_worker(x, now);
        }
    } while (step == TSGI_STEP_AGAIN);
    return step;
}

/* ---- the end ------------------------------------------------------------------------ */

/* The connection may carry the next request only if nothing of this one is left on it. */
static void give_back(tsgi_exchange_t *x)
{
    const int is_clean = x->is_body_sent && tsgi_upload_is_idle(x) && !x->is_broken &&
                         !x->is_leaving &&
                         tsgi_connection_buffered(x->lease.connection) == 0;
    tsgi_body_drop(&x->body);
    if (is_clean) {
        tsgi_lease_release(&x->lease, tsgi_clock_now());
    }
    else {
        tsgi_lease_drop(&x->lease);
    }
}

/* The client's connection is none of HTTP any more. */
static int is_upgraded(const tsgi_exchange_t *x)
{
    return x->state == TSGI_STATE_PASSED || x->state >= TSGI_STATE_TUNNEL;
}

/* One that was handed over is the worker's: httpd takes it for aborted, and touches nothing. */
static void leave_client(tsgi_exchange_t *x)
{
    if (x->reply.bb != NULL) {
        apr_brigade_cleanup(x->reply.bb);
    }
    if (x->state == TSGI_STATE_PASSED) {
        x->r->connection->aborted = 1;
    }
}

/* The app has named a file; Apache's own hands send it. */
static tsgi_step_t finish_with_file(tsgi_exchange_t *x, int is_body_left)
{
    apr_file_t *file = NULL;
    if (!tsgi_sendfile_open(x->r, x->route->group, x->reply.file, &file, &x->error)) {
        return TSGI_STEP_FAIL;
    }
    const apr_status_t rv = tsgi_reply_send_file(&x->reply, file, is_body_left);
    return rv == APR_SUCCESS ? TSGI_STEP_DONE : tsgi_pump_fail_output(x, rv);
}

static tsgi_step_t finish_done(tsgi_exchange_t *x)
{
    const int is_body_left = !x->is_body_sent;

    /* Before the response leaves: a slow client shall not hold the worker. */
    give_back(x);
    if (is_upgraded(x)) {
        leave_client(x);
        return TSGI_STEP_DONE;
    }
    if (x->reply.file != NULL) {
        return finish_with_file(x, is_body_left);
    }
    if (!tsgi_reply_is_complete(&x->reply)) {
        x->error.kind = TSGI_FAIL_LENGTH;
        x->error.detail = apr_psprintf(
            x->r->pool, "expected %" APR_OFF_T_FMT " bytes, came %" APR_OFF_T_FMT,
            x->reply.length, x->reply.received);
        return TSGI_STEP_FAIL;
    }
    const apr_status_t rv = tsgi_reply_end(&x->reply, is_body_left);
    return rv == APR_SUCCESS ? TSGI_STEP_DONE : tsgi_pump_fail_output(x, rv);
}

static int finish_failed(tsgi_exchange_t *x)
{
    const int is_passed = x->reply.is_passed || is_upgraded(x);

    if (x->error.kind == TSGI_FAIL_PROTOCOL || x->error.kind == TSGI_FAIL_OVERDUE) {
        tsgi_lease_drop_penalised(&x->lease, tsgi_clock_now());
    }
    tsgi_lease_drop(&x->lease);
    if (is_upgraded(x)) {
        leave_client(x);
        if (x->state == TSGI_STATE_PASSED) {
            x->r->status =
                HTTP_BAD_GATEWAY; /* for the access log: no answer was heard of */
        }
    }
    else if (x->error.kind == TSGI_FAIL_OUTPUT || x->error.kind == TSGI_FAIL_CLIENT) {
        if (x->reply.bb != NULL) {
            apr_brigade_cleanup(x->reply.bb);
        }
    }
    else if (is_passed) {
        tsgi_reply_truncate(&x->reply);
    }
    else {
        tsgi_reply_reset(&x->reply);
    }
    /* After the client has seen the cut: the answer may take a moment. Without a pid there is no worker
     * that this failure is about; and the end of an upgraded connection is no failure that needs a cause. */
    if (x->is_lost && x->error.pid != 0 && !is_upgraded(x)) {
        x->error.death =
            tsgi_inquest_hold(x->r->pool, x->slots, x->error.slot, x->error.pid);
    }
    return tsgi_error_report(x->r, x->route->group->name, &x->error, is_passed);
}

int tsgi_exchange_finish(tsgi_exchange_t *x, tsgi_step_t step)
{
    if (step == TSGI_STEP_DONE) {
        step = finish_done(x);
    }
    tsgi_pump_free_spare(x);
    tsgi_frames_log_dropped(x);
    return step == TSGI_STEP_DONE ? OK : finish_failed(x);
}

int tsgi_exchange_run(request_rec *r, const tsgi_route_t *route)
{
    tsgi_exchange_t *x = apr_pcalloc(r->pool, sizeof(*x));

    x->r = r;
    x->route = route;
    x->slots = route->app->slots;
    x->error.slot = -1;
    const int status = tsgi_request_build(r, route, &x->head);
    if (status != OK) {
        return status;
    }
    x->head.request.timeout_ms = (uint32_t)x->slots->generation->request_timeout;
    tsgi_client_init(&x->client, r);
    tsgi_body_init(&x->body, r, &x->head.request);
    tsgi_reply_init(&x->reply, r);
    x->is_sticky = x->slots->generation->sticky && x->slots->nslots > 1;
    x->lease.preferred = x->is_sticky ? tsgi_sticky_slot(r, x->slots) : -1;

    tsgi_step_t step = TSGI_STEP_FAIL;
    if (!tsgi_body_prefetch(&x->body)) {
        x->error.status = x->body.status;
        x->error.os_error = x->body.error;
        x->error.kind = TSGI_FAIL_BODY;
    }
    else {
        step = try_workers(x);
    }
    return step == TSGI_STEP_SUSPEND ? SUSPENDED : tsgi_exchange_finish(x, step);
}
