/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_exchange.h"
#include "tsgi_balance.h"
#include "tsgi_body.h"
#include "tsgi_client.h"
#include "tsgi_connection.h"
#include "tsgi_error.h"
#include "tsgi_generation.h"
#include "tsgi_request.h"
#include "tsgi_response.h"

#include "apr_strings.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

/* After the first worker, so many more may get the request. */
#define MAX_RESENDS 2
/* Connections found dead before a byte was written to them cost nothing but the look. */
#define MAX_STALE 64
#define MAX_INFORMS 1000
/* So many bytes of body are written before the worker's answers are looked at again. */
#define SEND_BUDGET (512 * 1024)
/* A request that no app may have seen is taken back from a silent worker if another one is idle. */
#define TAKE_BACK_AFTER apr_time_from_sec(1)

/* How far the worker has come with the request, as far as this side knows. */
typedef enum {
    STATE_SENDING, /* the head is not written whole: the app cannot have seen it */
    STATE_SENT,    /* the head is written whole; nothing has come back */
    STATE_BEGUN,   /* the app has it */
    STATE_HEAD,    /* the response head has come */
    STATE_DONE     /* the response is whole */
} state_t;

/* What a step of the pump came to. */
typedef enum {
    STEP_MORE,  /* go on */
    STEP_DONE,  /* the response is whole */
    STEP_AGAIN, /* the app has not seen the request: another worker */
    STEP_FAIL   /* x->error says why */
} step_t;

enum {
    PART_HEAD,
    PART_FRAME,
    PART_DATA,
    PART_END = PART_DATA + TSGI_PIECE_PARTS,
    PART_COUNT
};

typedef struct {
    request_rec *r;
    const tsgi_route_t *route;
    tsgi_slots_t *slots;
    tsgi_client_t client;
    tsgi_head_t head;
    tsgi_body_t body;
    tsgi_reply_t reply;
    tsgi_error_t error;
    apr_time_t deadline; /* of the wait for a worker: queue-timeout */
    int resends, stale;

    /* One attempt. */
    tsgi_lease_t lease;
    state_t state;
    struct iovec parts[PART_COUNT]; /* what is being written; empty ones are done */
    uint8_t frame[TSGI_FRAME_HEADER];
    apr_uint64_t written;
    int is_body_sent;  /* BODY_END, or a head without body, is written or in parts */
    int is_broken;     /* writing failed: only what is queued can still be read */
    int is_leaving;    /* GOAWAY: the connection is not used again */
    int wants_write, wants_client; /* what the next wait is for, besides the worker's bytes */
    int has_more;       /* push() stopped before anything stopped it */
    uint32_t data_left; /* of the DATA frame whose header was consumed */
    int is_last_data;   /* that frame has FIN */
    char *spare;        /* memory for the next piece of body, or NULL */
    int informs;
    apr_time_t idle_since; /* 0 = a byte has moved since anybody looked */
} exchange_t;

/* ---- failures ----------------------------------------------------------------------- */

static step_t fail(exchange_t *x, tsgi_failure_t kind)
{
    if (x->error.kind == TSGI_FAIL_NONE) {
        x->error.kind = kind;
    }
    return STEP_FAIL;
}

static step_t fail_protocol(exchange_t *x, const char *detail)
{
    x->error.detail = detail;
    return fail(x, TSGI_FAIL_PROTOCOL);
}

static const char *frame_name(uint8_t type)
{
    switch (type) {
    case TSGI_T_HELLO:
        return "HELLO";
    case TSGI_T_STARTED:
        return "STARTED";
    case TSGI_T_CONTINUE:
        return "CONTINUE";
    case TSGI_T_INFORM:
        return "INFORM";
    case TSGI_T_RESPONSE:
        return "RESPONSE";
    case TSGI_T_DATA:
        return "DATA";
    case TSGI_T_END:
        return "END";
    case TSGI_T_ABORT:
        return "ABORT";
    case TSGI_T_LOG:
        return "LOG";
    case TSGI_T_REFUSED:
        return "REFUSED";
    case TSGI_T_GOAWAY:
        return "GOAWAY";
    case TSGI_T_UNAVAILABLE:
        return "UNAVAILABLE";
    default:
        return "unknown frame";
    }
}

static const char *state_name(state_t state)
{
    static const char *const names[] = {"while the request head was being sent",
                                        "before the app has begun", "before the response head",
                                        "after the response head", "after the response"};
    return names[state];
}

static step_t fail_frame(exchange_t *x, uint8_t type, const char *why)
{
    return fail_protocol(x, apr_psprintf(x->r->pool, "%s: %s", frame_name(type), why));
}

static step_t fail_order(exchange_t *x, uint8_t type)
{
    return fail_frame(x, type, apr_psprintf(x->r->pool, "not allowed %s", state_name(x->state)));
}

static step_t fail_output(exchange_t *x, apr_status_t rv)
{
    if (x->r->connection->aborted) {
        return fail(x, TSGI_FAIL_CLIENT);
    }
    x->error.os_error = rv == AP_FILTER_ERROR ? 0 : rv;
    x->error.status = rv == AP_FILTER_ERROR ? AP_FILTER_ERROR : OK;
    return fail(x, TSGI_FAIL_OUTPUT);
}

static step_t after_output(exchange_t *x, apr_status_t rv)
{
    return rv == APR_SUCCESS ? STEP_MORE : fail_output(x, rv);
}

static int needs_started(const exchange_t *x)
{
    return (x->head.request.flags & TSGI_R_STARTED) != 0;
}

/*
 * The connection has ended; error is 0 for an end of stream. The retry law: the kernel resets a
 * connection whose worker had not read all that was written to it, and ends it if it had.
 */
static step_t lost(exchange_t *x, int error)
{
    if (x->state == STATE_SENDING) {
        return STEP_AGAIN;
    }
    if (x->state == STATE_SENT && (needs_started(x) || error == ECONNRESET)) {
        return STEP_AGAIN;
    }
    x->error.os_error = error;
    return fail(x, TSGI_FAIL_BEGUN);
}

/* ---- frames of the worker ----------------------------------------------------------- */

static void set_begun(exchange_t *x)
{
    if (x->state < STATE_BEGUN) {
        x->state = STATE_BEGUN;
    }
    tsgi_body_begun(&x->body);
}

static step_t on_continue(exchange_t *x)
{
    if (x->body.state != TSGI_BODY_HELD) {
        return fail_frame(x, TSGI_T_CONTINUE, "nobody waits for it");
    }
    set_begun(x);
    tsgi_body_continue(&x->body);
    return STEP_MORE;
}

static step_t on_inform(exchange_t *x, const uint8_t *payload, size_t n)
{
    set_begun(x);
    if (++x->informs > MAX_INFORMS) {
        return fail_frame(x, TSGI_T_INFORM, "more than 1000 interim responses");
    }
    const char *why = tsgi_reply_inform(&x->reply, payload, n);
    return why == NULL ? STEP_MORE : fail_frame(x, TSGI_T_INFORM, why);
}

static step_t on_response(exchange_t *x, const tsgi_frame_t *frame, const uint8_t *payload)
{
    set_begun(x);
    const char *why = tsgi_reply_begin(&x->reply, payload, frame->length);
    if (why != NULL) {
        return fail_frame(x, TSGI_T_RESPONSE, why);
    }
    x->state = STATE_HEAD;
    return (frame->flags & TSGI_F_FIN) != 0 ? STEP_DONE : STEP_MORE;
}

static step_t on_end(exchange_t *x, const uint8_t *payload, size_t n)
{
    const char *why = tsgi_reply_trailers(&x->reply, payload, n);
    return why == NULL ? STEP_DONE : fail_frame(x, TSGI_T_END, why);
}

static step_t on_abort(exchange_t *x, const uint8_t *payload, size_t n)
{
    tsgi_text_t text;
    const int rc = tsgi_text_decode(TSGI_T_ABORT, payload, n, &text);
    if (rc != 0) {
        return fail_frame(x, TSGI_T_ABORT, tsgi_wire_strerror(rc));
    }
    x->error.code = text.code;
    x->error.text = apr_pstrmemdup(x->r->pool, text.text.data, text.text.len);
    x->error.length = text.text.len;
    return fail(x, TSGI_FAIL_ABORT);
}

static step_t on_log(exchange_t *x, const uint8_t *payload, size_t n)
{
    tsgi_text_t text;
    const int rc = tsgi_text_decode(TSGI_T_LOG, payload, n, &text);
    if (rc != 0) {
        return fail_frame(x, TSGI_T_LOG, tsgi_wire_strerror(rc));
    }
    /* syslog's levels are httpd's; an app is no emergency of the server. */
    const int level = text.code < APLOG_CRIT ? APLOG_CRIT : text.code;
    tsgi_error_log_text(x->r, level,
                        apr_psprintf(x->r->pool, "[%s %u] ", x->route->group->name,
                                     x->lease.connection->pid),
                        text.text.data, text.text.len);
    return STEP_MORE;
}

/* Frames that are legal before the response head only; checked by on_frame(). */
static step_t on_early_frame(exchange_t *x, const tsgi_frame_t *frame, const uint8_t *payload)
{
    if (x->state == STATE_SENDING || x->state >= STATE_HEAD) {
        return fail_order(x, frame->type);
    }
    switch (frame->type) {
    case TSGI_T_STARTED:
        if (x->state != STATE_SENT) {
            return fail_frame(x, frame->type, "came after the app had begun");
        }
        set_begun(x);
        return STEP_MORE;
    case TSGI_T_CONTINUE:
        return on_continue(x);
    case TSGI_T_INFORM:
        return on_inform(x, payload, frame->length);
    default:
        return on_response(x, frame, payload);
    }
}

static step_t on_frame(exchange_t *x, const tsgi_frame_t *frame, const uint8_t *payload)
{
    switch (frame->type) {
    case TSGI_T_STARTED:
    case TSGI_T_CONTINUE:
    case TSGI_T_INFORM:
    case TSGI_T_RESPONSE:
        return on_early_frame(x, frame, payload);
    case TSGI_T_DATA:
        if (x->state != STATE_HEAD) {
            return fail_order(x, frame->type);
        }
        x->data_left = frame->length;
        x->is_last_data = (frame->flags & TSGI_F_FIN) != 0;
        return x->data_left == 0 && x->is_last_data ? STEP_DONE : STEP_MORE;
    case TSGI_T_END:
        return x->state == STATE_HEAD ? on_end(x, payload, frame->length)
                                      : fail_order(x, frame->type);
    case TSGI_T_ABORT:
        return x->state >= STATE_SENT ? on_abort(x, payload, frame->length)
                                      : fail_order(x, frame->type);
    case TSGI_T_LOG:
        return on_log(x, payload, frame->length);
    case TSGI_T_REFUSED:
        return x->state <= STATE_SENT ? STEP_AGAIN : fail_order(x, frame->type);
    case TSGI_T_GOAWAY:
        x->is_leaving = 1;
        return STEP_MORE;
    default:
        return fail_order(x, frame->type);
    }
}

/* Passes on what is buffered of the DATA frame in hand. */
static step_t take_data(exchange_t *x)
{
    tsgi_connection_t *connection = x->lease.connection;
    size_t n = tsgi_connection_buffered(connection);

    n = n < x->data_left ? n : x->data_left;
    if (n > 0) {
        const apr_status_t rv =
            tsgi_reply_copy(&x->reply, connection->in + connection->in_at, n);
        tsgi_connection_consume(connection, n);
        x->data_left -= (uint32_t)n;
        if (rv != APR_SUCCESS) {
            return fail_output(x, rv);
        }
    }
    return x->data_left == 0 && x->is_last_data ? STEP_DONE : STEP_MORE;
}

static step_t fail_header(exchange_t *x, int error)
{
    const tsgi_connection_t *connection = x->lease.connection;
    const uint8_t *p = connection->in + connection->in_at;
    const unsigned length =
        p[0] | (unsigned)p[1] << 8 | (unsigned)p[2] << 16 | (unsigned)p[3] << 24;
    return fail_protocol(x, apr_psprintf(x->r->pool,
                                         "frame of type 0x%02x, flags 0x%02x, length %u: %s",
                                         p[4], p[5], length, tsgi_wire_strerror(error)));
}

/* Consumes everything that has been received. */
static step_t take_frames(exchange_t *x)
{
    tsgi_connection_t *connection = x->lease.connection;

    for (;;) {
        tsgi_frame_t frame;
        const uint8_t *payload;
        if (x->data_left > 0) {
            const step_t step = take_data(x);
            if (step != STEP_MORE || x->data_left > 0) {
                return step;
            }
        }
        const int rc = tsgi_connection_frame(connection, &frame, &payload);
        if (rc == 0) {
            return STEP_MORE;
        }
        if (rc == TSGI_E_SPACE) {
            return fail(x, TSGI_FAIL_MEMORY);
        }
        if (rc < 0) {
            return fail_header(x, rc);
        }
        const step_t step = on_frame(x, &frame, payload);
        tsgi_connection_consume(connection,
                                TSGI_FRAME_HEADER + (payload != NULL ? frame.length : 0));
        if (step != STEP_MORE) {
            return step;
        }
    }
}

/* ---- the client's body to the worker ------------------------------------------------ */

static int parts_empty(const exchange_t *x, int first)
{
    for (int i = first; i < PART_COUNT; i++) {
        if (x->parts[i].iov_len > 0) {
            return 0;
        }
    }
    return 1;
}

/* @return 0 if the trailers cannot be sent; then the body ends without them. */
static int encode_trailers(exchange_t *x)
{
    const apr_array_header_t *array = apr_table_elts(x->r->trailers_in);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)array->elts;
    tsgi_field_t *fields;
    size_t n = 0;

    if (array->nelts == 0) {
        return 0;
    }
    fields = apr_pcalloc(x->r->pool, sizeof(*fields) * (size_t)array->nelts);
    for (int i = 0; i < array->nelts; i++) {
        if (entries[i].key != NULL) {
            fields[n].name = (tsgi_str_t){entries[i].key, (uint32_t)strlen(entries[i].key)};
            fields[n].value = (tsgi_str_t){entries[i].val, (uint32_t)strlen(entries[i].val)};
            n++;
        }
    }
    const size_t size = tsgi_trailers_size(fields, n);
    uint8_t *out = size > 0 ? apr_palloc(x->r->pool, size) : NULL;
    const long length =
        out != NULL ? tsgi_trailers_encode(out, size, TSGI_T_BODY_END, fields, n) : 0;
    if (length <= 0) {
        return 0;
    }
    x->parts[PART_END] = (struct iovec){out, (size_t)length};
    return 1;
}

static void queue_end(exchange_t *x)
{
    static const uint8_t end[TSGI_FRAME_HEADER] = {0, 0, 0, 0, TSGI_T_BODY_END, 0, 0, 0};

    x->is_body_sent = 1;
    if (!encode_trailers(x)) {
        x->parts[PART_END] = (struct iovec){(void *)(uintptr_t)end, sizeof(end)};
    }
}

/* Puts the next piece of the body into parts, if there is one now. */
static step_t queue_body(exchange_t *x)
{
    apr_size_t length;
    int nparts;

    x->wants_client = 0;
    if (x->is_body_sent || x->is_broken) {
        return STEP_MORE;
    }
    switch (tsgi_body_next(&x->body, &x->parts[PART_DATA], &nparts, &length)) {
    case TSGI_PIECE_DATA:
        if (length > TSGI_MAX_DATA) {
            return fail(x, TSGI_FAIL_MEMORY);
        }
        tsgi_frame_encode(x->frame, TSGI_T_BODY, 0, (uint32_t)length);
        x->parts[PART_FRAME] = (struct iovec){x->frame, sizeof(x->frame)};
        x->idle_since = 0;
        x->client.silent_ticks = 0;
        if (tsgi_body_at_end(&x->body)) {
            queue_end(x);
        }
        return STEP_MORE;
    case TSGI_PIECE_END:
        queue_end(x);
        return STEP_MORE;
    case TSGI_PIECE_BLOCKED:
        x->wants_client = 1;
        return STEP_MORE;
    case TSGI_PIECE_WAIT:
        return STEP_MORE;
    case TSGI_PIECE_ERROR:
        break;
    }
    x->error.status = x->body.status;
    x->error.os_error = x->body.error;
    return fail(x, TSGI_FAIL_BODY);
}

static void clear_parts(exchange_t *x)
{
    memset(x->parts, 0, sizeof(x->parts));
}

/* Writes as much as the worker takes now; reads from the client what is there now. */
static step_t push(exchange_t *x)
{
    tsgi_connection_t *connection = x->lease.connection;
    size_t budget = SEND_BUDGET;

    x->wants_write = x->has_more = 0;
    while (!x->is_broken) {
        if (parts_empty(x, PART_FRAME)) {
            const step_t step = queue_body(x);
            if (step != STEP_MORE) {
                return step;
            }
        }
        if (parts_empty(x, PART_HEAD)) {
            break;
        }
        const long n = tsgi_connection_send(connection, x->parts, PART_COUNT);
        if (n == -EAGAIN) {
            x->wants_write = 1;
            x->wants_client = 0;
            break;
        }
        if (n < 0) {
            if (x->written == 0) {
                return STEP_AGAIN;
            }
            x->is_broken = 1;
            x->wants_client = 0;
            clear_parts(x);
            break;
        }
        x->written += (apr_uint64_t)n;
        x->idle_since = 0;
        if (x->state == STATE_SENDING && x->parts[PART_HEAD].iov_len == 0) {
            x->state = STATE_SENT;
            connection->is_authed = 1;
        }
        if ((size_t)n >= budget) {
            x->has_more = 1;
            break;
        }
        budget -= (size_t)n;
    }
    return STEP_MORE;
}

/* ---- waiting ------------------------------------------------------------------------ */

static int is_work_pending(const exchange_t *x)
{
    return x->wants_write || x->wants_client || x->reply.is_dirty || x->data_left > 0 ||
           x->has_more;
}

/* Receives without waiting. @return as tsgi_connection_fill(). */
static long receive_now(exchange_t *x, step_t *step)
{
    tsgi_connection_t *connection = x->lease.connection;

    *step = STEP_MORE;
    if (x->data_left == 0 || tsgi_connection_buffered(connection) > 0) {
        return tsgi_connection_fill(connection, 0);
    }
    if (x->spare == NULL) {
        x->spare = tsgi_reply_alloc(&x->reply);
    }
    const size_t size = x->data_left < TSGI_HELD_MAX ? x->data_left : TSGI_HELD_MAX;
    const long n = tsgi_connection_read(connection, x->spare, size);
    if (n > 0) {
        char *data = x->spare;
        x->spare = NULL;
        x->data_left -= (uint32_t)n;
        *step = after_output(x, tsgi_reply_adopt(&x->reply, data, (apr_size_t)n));
        if (*step == STEP_MORE && x->data_left == 0 && x->is_last_data) {
            *step = STEP_DONE;
        }
    }
    return n;
}

static step_t received(exchange_t *x, long n)
{
    if (n > 0) {
        x->idle_since = 0;
        return STEP_MORE;
    }
    return n == -ENOMEM ? fail(x, TSGI_FAIL_MEMORY) : lost(x, (int)-n);
}

/*
 * Takes the request back from a worker that lives but says nothing. With the connection shut down its
 * STARTED can no longer be sent, and without that it does not call the app.
 */
static step_t take_back(exchange_t *x)
{
    (void)shutdown(x->lease.connection->fd, SHUT_RDWR);
    x->is_broken = 1;
    clear_parts(x);
    for (;;) {
        step_t step;
        const long n = receive_now(x, &step);
        if (step != STEP_MORE) {
            return step;
        }
        if (n <= 0) {
            return x->state == STATE_SENT ? STEP_AGAIN : lost(x, (int)-n);
        }
        step = take_frames(x);
        if (step != STEP_MORE) {
            return step;
        }
    }
}

static int may_take_back(const exchange_t *x)
{
    return x->state == STATE_SENT && needs_started(x);
}

/* How long the present silence may go on from now, in ms; 0: it has lasted long enough. */
static int time_left(const exchange_t *x, apr_time_t now)
{
    const apr_interval_time_t limit =
        x->wants_client ? x->r->server->timeout
                        : apr_time_from_msec(x->slots->generation->socket_timeout);
    apr_time_t end = x->idle_since + limit;
    if (may_take_back(x)) {
        /* It waits in the worker's queue: that time is the queue's. */
        end = x->wants_client && end < x->deadline ? end : x->deadline;
        if (x->slots->nslots > 1 && now + TAKE_BACK_AFTER < end) {
            end = now + TAKE_BACK_AFTER; /* time to look whether another worker is idle */
        }
    }
    if (end <= now) {
        return 0;
    }
    const apr_time_t ms = (end - now + 999) / 1000;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

static step_t timed_out(exchange_t *x)
{
    if (may_take_back(x) && (!x->wants_client || apr_time_now() >= x->deadline)) {
        const step_t step = take_back(x);
        return step == STEP_AGAIN ? fail(x, TSGI_FAIL_QUEUE) : step;
    }
    if (x->wants_client) {
        x->error.status = HTTP_REQUEST_TIME_OUT;
        x->error.os_error = APR_TIMEUP;
        return fail(x, TSGI_FAIL_BODY);
    }
    return fail(x, TSGI_FAIL_TIMEOUT);
}

/* Waits for the worker and the client together, after the first wait for the worker alone. */
static step_t wait_for_events(exchange_t *x)
{
    struct pollfd fds[2];
    const short events = (short)(POLLIN | (x->wants_write ? POLLOUT : 0));

    for (;;) {
        const apr_time_t now = apr_time_now();
        if (x->idle_since == 0) {
            x->idle_since = now;
        }
        const int left = time_left(x, now);
        if (left == 0) {
            return timed_out(x);
        }
        fds[0] = (struct pollfd){.fd = x->lease.connection->fd, .events = events};
        switch (tsgi_client_wait(&x->client, fds, 1, left, x->wants_client)) {
        case TSGI_WAIT_READY:
            return STEP_MORE;
        case TSGI_WAIT_GONE:
            return fail(x, TSGI_FAIL_CLIENT);
        case TSGI_WAIT_TIMEOUT:
            break;
        }
        if (may_take_back(x) && x->resends < MAX_RESENDS &&
            now - x->idle_since >= TAKE_BACK_AFTER &&
            tsgi_balance_has_idle_other(x->slots, x->lease.slot, now)) {
            return take_back(x);
        }
    }
}

/* Receives; what has not been flushed is, as soon as the worker has nothing more to say. */
static step_t receive(exchange_t *x)
{
    step_t step;
    long n;

    if (!is_work_pending(x)) {
        n = tsgi_connection_fill(x->lease.connection, 1);
        return n == -EAGAIN ? wait_for_events(x) : received(x, n);
    }
    n = receive_now(x, &step);
    if (n != -EAGAIN) {
        return step == STEP_MORE ? received(x, n) : step;
    }
    if (x->reply.is_dirty) {
        /* Then again from the top: the blocking read is the cheaper wait. */
        return after_output(x, tsgi_reply_flush(&x->reply));
    }
    return x->has_more ? STEP_MORE : wait_for_events(x);
}

/* ---- attempts ----------------------------------------------------------------------- */

static step_t begin_attempt(exchange_t *x)
{
    tsgi_connection_t *connection = x->lease.connection;

    x->state = STATE_SENDING;
    x->written = 0;
    x->is_broken = x->is_leaving = 0;
    x->data_left = 0;
    x->idle_since = 0;
    x->is_body_sent = (x->head.request.flags & TSGI_R_BODY) == 0;
    x->error.slot = x->lease.slot;
    x->error.pid = connection->pid;
    tsgi_body_rewind(&x->body);
    clear_parts(x);

    const long n = tsgi_request_write(x->r, &x->head, connection, x->slots->generation->secret);
    if (n <= 0) {
        if (n == 0) {
            return fail(x, TSGI_FAIL_MEMORY);
        }
        x->error.detail = tsgi_wire_strerror((int)n);
        return fail(x, n == TSGI_E_SPACE || n == TSGI_E_VALUE ? TSGI_FAIL_HEAD_SIZE
                                                              : TSGI_FAIL_HEAD);
    }
    x->parts[PART_HEAD] = (struct iovec){connection->out, (size_t)n};
    return STEP_MORE;
}

static step_t attempt(exchange_t *x)
{
    step_t step = begin_attempt(x);
    while (step == STEP_MORE) {
        step = take_frames(x);
        if (step == STEP_MORE) {
            step = push(x);
        }
        if (step == STEP_MORE) {
            step = receive(x);
        }
    }
    return step;
}

/* The app has not seen the request. @return STEP_AGAIN if another worker may get it. */
static step_t next_worker(exchange_t *x)
{
    const int is_stale = x->written == 0;

    tsgi_lease_drop_penalised(&x->lease, apr_time_now());
    if (is_stale ? ++x->stale > MAX_STALE : ++x->resends > MAX_RESENDS) {
        return fail(x, TSGI_FAIL_UNSENT);
    }
    if (!is_stale) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, x->r,
                      TSGI_LOGNO(0186) "group %s, worker %d, pid %u ended or refused before it "
                                       "began with the request %s; sent again",
                      x->route->group->name, x->error.slot, x->error.pid,
                      tsgi_request_id(x->r));
    }
    return STEP_AGAIN;
}

static step_t try_workers(exchange_t *x)
{
    step_t step;
    do {
        x->error.slot = -1;
        x->error.pid = 0;
        if (!tsgi_balance_acquire(x->r, &x->client, x->slots, x->deadline, &x->lease,
                                  &x->error)) {
            return STEP_FAIL;
        }
        step = attempt(x);
        if (step == STEP_AGAIN) {
            step = next_worker(x);
        }
    } while (step == STEP_AGAIN);
    return step;
}

/* ---- the end ------------------------------------------------------------------------ */

/* The connection may carry the next request only if nothing of this one is left on it. */
static void give_back(exchange_t *x)
{
    const int is_clean = x->is_body_sent && parts_empty(x, PART_HEAD) && !x->is_broken &&
                         !x->is_leaving &&
                         tsgi_connection_buffered(x->lease.connection) == 0;
    if (is_clean) {
        tsgi_lease_release(&x->lease, apr_time_now());
    }
    else {
        tsgi_lease_drop(&x->lease);
    }
}

static step_t finish_done(exchange_t *x)
{
    const int is_body_left = !x->is_body_sent;

    /* Before the response leaves: a slow client shall not hold the worker. */
    give_back(x);
    if (!tsgi_reply_is_complete(&x->reply)) {
        x->error.kind = TSGI_FAIL_LENGTH;
        x->error.detail = apr_psprintf(
            x->r->pool, "expected %" APR_OFF_T_FMT " bytes, came %" APR_OFF_T_FMT,
            x->reply.length, x->reply.received);
        return STEP_FAIL;
    }
    const apr_status_t rv = tsgi_reply_end(&x->reply, is_body_left);
    return rv == APR_SUCCESS ? STEP_DONE : fail_output(x, rv);
}

static int finish_failed(exchange_t *x)
{
    const int is_passed = x->reply.is_passed;

    tsgi_lease_drop(&x->lease);
    if (x->error.kind == TSGI_FAIL_OUTPUT || x->error.kind == TSGI_FAIL_CLIENT) {
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
    return tsgi_error_report(x->r, x->route->group->name, &x->error, is_passed);
}

int tsgi_exchange_run(request_rec *r, const tsgi_route_t *route)
{
    exchange_t *x = apr_pcalloc(r->pool, sizeof(*x));

    x->r = r;
    x->route = route;
    x->slots = route->app->slots;
    x->error.slot = -1;
    const int status = tsgi_request_build(r, route, &x->head);
    if (status != OK) {
        return status;
    }
    tsgi_client_init(&x->client, r);
    tsgi_body_init(&x->body, r, &x->head.request);
    tsgi_reply_init(&x->reply, r);
    x->deadline = apr_time_now() + apr_time_from_msec(x->slots->generation->queue_timeout);

    step_t step = STEP_FAIL;
    if (!tsgi_body_prefetch(&x->body)) {
        x->error.status = x->body.status;
        x->error.os_error = x->body.error;
        x->error.kind = TSGI_FAIL_BODY;
    }
    else {
        step = try_workers(x);
    }
    if (step == STEP_DONE) {
        step = finish_done(x);
    }
    if (x->spare != NULL) {
        apr_bucket_free(x->spare);
        x->spare = NULL;
    }
    return step == STEP_DONE ? OK : finish_failed(x);
}
