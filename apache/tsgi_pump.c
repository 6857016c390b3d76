/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_pump.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* A request that no app may have seen is taken back from a silent worker if another
 * one is idle. */
#define TAKE_BACK_AFTER apr_time_from_sec(1)
/* A GET in a worker's queue is looked at so often: has the worker taken it? */
#define LOOK_AT_QUEUE apr_time_from_sec(1)
/* How often a client that sends nothing is read from: filters such as mod_reqtimeout look at the
 * clock then, and only then. */
#define LOOK_AT_UPLOAD apr_time_from_sec(1)
/* How much later than the worker Apache itself ends a request whose request-timeout is over. */
#define OVERDUE_AFTER apr_time_from_sec(1)
/* A request that so many workers have got and that none of them survived is sent to no other. */
#define MAX_DEATHS 2
/* A worker that never stops talking is never waited for, so the client is looked at so often
 * by the clock, and the clock every so many rounds. */
#define LOOK_AT_CLIENT apr_time_from_msec(500)
#define ROUNDS_PER_LOOK 8
/* What a tunnel receives at once: with what is buffered it stays below the 64 KiB from which on
 * httpd's core filter would wait for the client. */
#define TUNNEL_PIECE (32 * 1024)

/* ---- failures ----------------------------------------------------------------------- */

tsgi_step_t tsgi_pump_fail(tsgi_exchange_t *x, tsgi_failure_t kind)
{
    if (x->error.kind == TSGI_FAIL_NONE) {
        x->error.kind = kind;
    }
    return TSGI_STEP_FAIL;
}

tsgi_step_t tsgi_pump_fail_output(tsgi_exchange_t *x, apr_status_t rv)
{
    if (x->r->connection->aborted) {
        return tsgi_pump_fail(x, TSGI_FAIL_CLIENT);
    }
    x->error.os_error = rv == AP_FILTER_ERROR ? 0 : rv;
    x->error.status = rv == AP_FILTER_ERROR ? AP_FILTER_ERROR : OK;
    return tsgi_pump_fail(x, TSGI_FAIL_OUTPUT);
}

static tsgi_step_t after_output(tsgi_exchange_t *x, apr_status_t rv)
{
    return rv == APR_SUCCESS ? TSGI_STEP_MORE : tsgi_pump_fail_output(x, rv);
}

int tsgi_pump_needs_started(const tsgi_exchange_t *x)
{
    return (x->head.request.flags & TSGI_R_STARTED) != 0;
}

/*
 * The worker has ended with the request before it began it. It is not to blame when it was
 * unread, which the kernel tells if there is no body; nor when the worker was leaving.
 */
static tsgi_step_t lost_unbegun(tsgi_exchange_t *x, int error)
{
    const int is_unread =
        error == ECONNRESET && (x->head.request.flags & TSGI_R_BODY) == 0;
    const unsigned pid = x->lease.connection->pid;

    if (is_unread || x->is_leaving || pid == x->dead_pid) {
        return TSGI_STEP_AGAIN;
    }
    x->dead_pid = pid;
    return ++x->deaths < MAX_DEATHS ? TSGI_STEP_AGAIN
                                    : tsgi_pump_fail(x, TSGI_FAIL_POISON);
}

/*
 * The connection has ended; error is 0 for an end of stream. The retry law: the kernel
 * resets a connection whose worker had not read all that was written to it, and ends it
 * if it had.
 */
static tsgi_step_t lost(tsgi_exchange_t *x, int error)
{
    x->is_lost = 1;
    if (x->state == TSGI_STATE_SENDING) {
        return TSGI_STEP_AGAIN;
    }
    if (x->state == TSGI_STATE_SENT &&
        (tsgi_pump_needs_started(x) || error == ECONNRESET)) {
        return lost_unbegun(x, error);
    }
    x->error.os_error = error;
    switch (x->state) {
    case TSGI_STATE_HALF:
        return TSGI_STEP_DONE; /* the app has closed its end */
    case TSGI_STATE_PASSED:
    case TSGI_STATE_TUNNEL:
        return tsgi_pump_fail(x, TSGI_FAIL_UPGRADE);
    default:
        return tsgi_pump_fail(x, TSGI_FAIL_BEGUN);
    }
}

/* ---- waiting ------------------------------------------------------------------------ */

static int is_work_pending(const tsgi_exchange_t *x)
{
    return x->wants_write || x->wants_client || x->reply.is_dirty || x->data_left > 0 ||
           x->has_more;
}

/* Receives without waiting. @return as tsgi_connection_fill(). */
static long receive_now(tsgi_exchange_t *x, tsgi_step_t *step)
{
    tsgi_connection_t *connection = x->lease.connection;

    *step = TSGI_STEP_MORE;
    if (x->data_left == 0 || tsgi_connection_buffered(connection) > 0) {
        return tsgi_connection_fill(connection, 0);
    }
    if (x->spare == NULL) {
        x->spare = tsgi_reply_alloc(&x->reply);
    }
    const size_t most = x->state >= TSGI_STATE_TUNNEL ? TUNNEL_PIECE : TSGI_HELD_MAX;
    const size_t size = x->data_left < most ? x->data_left : most;
    const long n = tsgi_connection_read(connection, x->spare, size);
    if (n > 0) {
        x->idle_since = 0;
        char *data = x->spare;
        x->spare = NULL;
        x->data_left -= (uint32_t)n;
        *step = after_output(x, tsgi_reply_adopt(&x->reply, data, (apr_size_t)n));
        if (*step == TSGI_STEP_MORE) {
            *step = tsgi_frames_after_data(x);
        }
    }
    return n;
}

static tsgi_step_t received(tsgi_exchange_t *x, long n)
{
    if (n > 0) {
        /* The first bytes of a frame; the rest of it counts when it has come whole. */
        if (tsgi_connection_buffered(x->lease.connection) == (size_t)n) {
            x->idle_since = 0;
        }
        return TSGI_STEP_MORE;
    }
    return n == -ENOMEM ? tsgi_pump_fail(x, TSGI_FAIL_MEMORY) : lost(x, (int)-n);
}

tsgi_step_t tsgi_pump_receive(tsgi_exchange_t *x, int *is_quiet)
{
    tsgi_step_t step;
    const long n = receive_now(x, &step);
    *is_quiet = n == -EAGAIN;
    return step != TSGI_STEP_MORE || *is_quiet ? step : received(x, n);
}

void tsgi_pump_free_spare(tsgi_exchange_t *x)
{
    if (x->spare != NULL) {
        apr_bucket_free(x->spare);
        x->spare = NULL;
    }
}

/*
 * Takes the request back from a worker that lives but says nothing. With the connection
 * shut down its STARTED can no longer be sent, and without that it does not call the app.
 */
static tsgi_step_t take_back(tsgi_exchange_t *x)
{
    (void)shutdown(x->lease.connection->fd, SHUT_RDWR);
    x->is_broken = 1;
    tsgi_upload_clear(x);
    for (;;) {
        tsgi_step_t step;
        const long n = receive_now(x, &step);
        if (step != TSGI_STEP_MORE) {
            return step;
        }
        if (n <= 0) {
            return x->state == TSGI_STATE_SENT ? TSGI_STEP_AGAIN : lost(x, (int)-n);
        }
        step = tsgi_frames_take(x);
        if (step != TSGI_STEP_MORE) {
            return step;
        }
    }
}

static int may_take_back(const tsgi_exchange_t *x)
{
    return x->state == TSGI_STATE_SENDING ||
           (x->state == TSGI_STATE_SENT && tsgi_pump_needs_started(x));
}

/* Whether the worker has read all that was written; the kernel counts what it has not. */
static int is_all_read(const tsgi_exchange_t *x)
{
    int unread = 0;
    return ioctl(x->lease.connection->fd, SIOCOUTQ, &unread) != 0 || unread == 0;
}

/* From when the worker has the whole request, the app's time runs. */
static void note_whole(tsgi_exchange_t *x, apr_time_t now)
{
    const int may_be = x->state == TSGI_STATE_BEGUN ||
                       (x->state == TSGI_STATE_SENT && !tsgi_pump_needs_started(x));
    if (may_be && x->whole_since == 0 && x->is_body_sent && tsgi_upload_is_idle(x) &&
        is_all_read(x)) {
        x->whole_since = x->idle_since = now;
    }
}

/* It waits in the worker's queue: that time is the queue's. */
static int is_queued(const tsgi_exchange_t *x)
{
    return may_take_back(x) || (x->state == TSGI_STATE_SENT && x->whole_since == 0);
}

/* When Apache itself ends the request because of request-timeout; 0 = not at all. */
static apr_time_t overdue_at(const tsgi_exchange_t *x)
{
    const apr_int64_t limit = x->slots->generation->request_timeout;
    return limit > 0 && x->whole_since != 0 && x->state < TSGI_STATE_HEAD
               ? x->whole_since + apr_time_from_msec(limit) + OVERDUE_AFTER
               : 0;
}

static int is_overdue(const tsgi_exchange_t *x, apr_time_t now)
{
    const apr_time_t at = overdue_at(x);
    return at != 0 && now >= at;
}

/* Until when the present silence may go on. */
static apr_time_t silence_end(const tsgi_exchange_t *x)
{
    const apr_interval_time_t limit =
        x->wants_client ? x->r->server->timeout
                        : apr_time_from_msec(x->slots->generation->socket_timeout);
    const apr_time_t end = x->idle_since + limit;
    if (is_queued(x)) {
        return x->wants_client && end < x->deadline ? end : x->deadline;
    }
    /* Of two limits that are over together, the worker's own word says more. */
    const apr_time_t overdue = overdue_at(x);
    return overdue != 0 && overdue - OVERDUE_AFTER <= end ? overdue : end;
}

/* The same in ms from now, shorter if there is something to look at meanwhile; 0: it has
 * lasted long enough. */
static int time_left(const tsgi_exchange_t *x, apr_time_t now)
{
    apr_time_t end = silence_end(x);
    if (x->wants_client && now + LOOK_AT_UPLOAD < end) {
        end = now + LOOK_AT_UPLOAD;
    }
    if (is_queued(x)) {
        if (!may_take_back(x) && now + LOOK_AT_QUEUE < end) {
            end = now + LOOK_AT_QUEUE;
        }
        else if (x->slots->nslots > 1 && now + TAKE_BACK_AFTER < end) {
            end = now + TAKE_BACK_AFTER; /* time to look whether another worker is idle */
        }
    }
    if (end <= now) {
        return 0;
    }
    const apr_time_t ms = (end - now + 999) / 1000;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

static tsgi_step_t timed_out(tsgi_exchange_t *x, apr_time_t now)
{
    if (is_queued(x) && (!x->wants_client || now >= x->deadline)) {
        const tsgi_step_t step = may_take_back(x) ? take_back(x) : TSGI_STEP_AGAIN;
        return step == TSGI_STEP_AGAIN ? tsgi_pump_fail(x, TSGI_FAIL_QUEUE) : step;
    }
    if (x->wants_client) {
        x->error.status = HTTP_REQUEST_TIME_OUT;
        x->error.os_error = APR_TIMEUP;
        return tsgi_pump_fail(x, TSGI_FAIL_BODY);
    }
    return tsgi_pump_fail(x, is_overdue(x, now) ? TSGI_FAIL_OVERDUE : TSGI_FAIL_TIMEOUT);
}

/* What a wait that begins or goes on counts from. */
static void note_waiting(tsgi_exchange_t *x, apr_time_t now)
{
    if (x->idle_since == 0) {
        x->idle_since = now;
    }
    note_whole(x, now);
    if (x->deadline == 0 && is_queued(x)) {
        x->deadline = now + apr_time_from_msec(x->slots->generation->queue_timeout);
    }
}

/* The app takes what is left of the body, while the client has all of the answer, as far as its
 * length tells: what it sent before it left still counts. */
static void note_answered(tsgi_exchange_t *x)
{
    const tsgi_reply_t *reply = &x->reply;
    const int has_length = reply->length >= 0 || reply->is_bodiless;

    x->client.may_leave = x->state == TSGI_STATE_HEAD && reply->is_passed && has_length &&
                          tsgi_reply_is_complete(reply);
}

/* Waits for the worker and the client together, after the first wait for the worker
 * alone. */
static tsgi_step_t wait_for_events(tsgi_exchange_t *x)
{
    struct pollfd fds[2];
    const short events = (short)(POLLIN | (x->wants_write ? POLLOUT : 0));

    for (;;) {
        const apr_time_t now = tsgi_clock_now();
        note_waiting(x, now);
        note_answered(x);
        const int left = time_left(x, now);
        if (left == 0) {
            return timed_out(x, now);
        }
        if (may_take_back(x) && !x->is_taken_back &&
            now - x->idle_since >= TAKE_BACK_AFTER &&
            tsgi_balance_has_better(x->slots, x->lease.slot, x->idle_since)) {
            x->is_taken_back = 1;
            return take_back(x);
        }
        fds[0] = (struct pollfd){.fd = x->lease.connection->fd, .events = events};
        switch (tsgi_client_wait(&x->client, fds, 1, left, x->wants_client)) {
        case TSGI_WAIT_READY:
            return TSGI_STEP_MORE;
        case TSGI_WAIT_GONE:
            return tsgi_pump_fail(x, TSGI_FAIL_CLIENT);
        case TSGI_WAIT_TIMEOUT:
            if (x->wants_client) {
                return TSGI_STEP_MORE;
            }
            break;
        }
    }
}

/* Receives; what has not been flushed is, as soon as the worker has nothing more to
 * say. */
static tsgi_step_t receive(tsgi_exchange_t *x)
{
    tsgi_step_t step;
    long n;

    if (!is_work_pending(x)) {
        n = tsgi_connection_fill(x->lease.connection, 1);
        return n == -EAGAIN ? wait_for_events(x) : received(x, n);
    }
    n = receive_now(x, &step);
    if (n != -EAGAIN) {
        return step == TSGI_STEP_MORE ? received(x, n) : step;
    }
    if (x->reply.is_dirty) {
        /* Then again from the top: waiting for the worker alone is cheaper. */
        return after_output(x, tsgi_reply_flush(&x->reply));
    }
    return x->has_more ? TSGI_STEP_MORE : wait_for_events(x);
}

/* Frames that bring the client nothing (LOG, dropped bytes) would otherwise hold this thread
 * for a client that has long gone, or for longer than request-timeout. */
static tsgi_step_t look_around(tsgi_exchange_t *x)
{
    struct pollfd own[1];

    if (++x->rounds < ROUNDS_PER_LOOK) {
        return TSGI_STEP_MORE;
    }
    x->rounds = 0;
    const apr_time_t now = tsgi_clock_now();
    if (now < x->client_due) {
        return TSGI_STEP_MORE;
    }
    note_whole(x, now);
    if (is_overdue(x, now)) {
        return tsgi_pump_fail(x, TSGI_FAIL_OVERDUE);
    }
    const int is_served = x->client_due == 0 || x->reply.passes != x->seen_passes;
    x->client_due = now + LOOK_AT_CLIENT;
    x->seen_passes = x->reply.passes;
    note_answered(x);
    if (is_served) {
        return TSGI_STEP_MORE; /* whoever writes to it would have found out */
    }
    return tsgi_client_wait(&x->client, own, 0, 0, x->wants_client) == TSGI_WAIT_GONE
               ? tsgi_pump_fail(x, TSGI_FAIL_CLIENT)
               : TSGI_STEP_MORE;
}

tsgi_step_t tsgi_pump_run(tsgi_exchange_t *x)
{
    tsgi_step_t step = TSGI_STEP_MORE;
    while (step == TSGI_STEP_MORE) {
        step = look_around(x);
        if (step != TSGI_STEP_MORE) {
            break;
        }
        step = tsgi_frames_take(x);
        if (step == TSGI_STEP_MORE) {
            step = tsgi_upload_push(x);
        }
        if (step == TSGI_STEP_MORE) {
            step = receive(x);
        }
    }
    return step;
}
