/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/*
 * What the worker says. Every byte of it is hostile: a frame that is malformed, or not
 * allowed in the state of the exchange, ends the exchange and the connection.
 */
#include "tsgi_pump.h"
#include "tsgi_sticky.h"

#include "apr_strings.h"

#include <string.h>

/* Interim responses of one request: each costs memory until the request ends. */
#define MAX_INFORMS 1000
#define MAX_INFORM_BYTES TSGI_MAX_RESPONSE
/* LOG frames of one request in one second; what is over that is counted. */
#define MAX_LOGS_PER_SECOND 100

/* ---- violations --------------------------------------------------------------------- */

static tsgi_step_t fail_protocol(tsgi_exchange_t *x, const char *detail)
{
    x->error.detail = detail;
    return tsgi_pump_fail(x, TSGI_FAIL_PROTOCOL);
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
    case TSGI_T_UPGRADE:
        return "UPGRADE";
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

static const char *state_name(tsgi_state_t state)
{
    static const char *const names[] = {"while the request head was being sent",
                                        "before the app has begun",
                                        "before the response head",
                                        "after the client was handed over",
                                        "after the response head",
                                        "in a tunnel",
                                        "after the end of a tunnel's half"};
    return names[state];
}

static tsgi_step_t fail_frame(tsgi_exchange_t *x, uint8_t type, const char *why)
{
    return fail_protocol(x, apr_psprintf(x->r->pool, "%s: %s", frame_name(type), why));
}

static tsgi_step_t fail_order(tsgi_exchange_t *x, uint8_t type)
{
    return fail_frame(x, type,
                      apr_psprintf(x->r->pool, "not allowed %s", state_name(x->state)));
}

/* ---- frames of the worker ----------------------------------------------------------- */

static void set_begun(tsgi_exchange_t *x)
{
    if (x->state < TSGI_STATE_BEGUN) {
        x->state = TSGI_STATE_BEGUN;
    }
    tsgi_body_begun(&x->body);
}

static tsgi_step_t on_continue(tsgi_exchange_t *x)
{
    if (x->body.state != TSGI_BODY_HELD) {
        return fail_frame(x, TSGI_T_CONTINUE, "nobody waits for it");
    }
    set_begun(x);
    tsgi_body_continue(&x->body);
    return TSGI_STEP_MORE;
}

static tsgi_step_t on_inform(tsgi_exchange_t *x, const uint8_t *payload, size_t n)
{
    set_begun(x);
    if (++x->informs > MAX_INFORMS) {
        return fail_frame(x, TSGI_T_INFORM, "more than 1000 interim responses");
    }
    x->inform_bytes += n;
    if (x->inform_bytes > MAX_INFORM_BYTES) {
        return fail_frame(x, TSGI_T_INFORM, "interim responses of more than 256 KiB");
    }
    const char *why = tsgi_reply_inform(&x->reply, payload, n);
    return why == NULL ? TSGI_STEP_MORE : fail_frame(x, TSGI_T_INFORM, why);
}

static tsgi_step_t on_response(tsgi_exchange_t *x, const tsgi_frame_t *frame,
                               const uint8_t *payload)
{
    set_begun(x);
    const char *why = tsgi_reply_begin(&x->reply, payload, frame->length);
    if (why != NULL) {
        return fail_frame(x, TSGI_T_RESPONSE, why);
    }
    const int is_whole = (frame->flags & TSGI_F_FIN) != 0;
    if (x->state == TSGI_STATE_PASSED) {
        return is_whole ? TSGI_STEP_DONE : fail_order(x, frame->type);
    }
    if (x->is_sticky) {
        tsgi_sticky_answer(x->r, x->route, x->slots, x->lease.slot, x->lease.preferred);
    }
    if (x->r->status == HTTP_SWITCHING_PROTOCOLS) {
        if (is_whole || (x->head.request.flags & TSGI_R_UPGRADE) == 0) {
            return fail_frame(x, TSGI_T_RESPONSE, "status 101: no upgrade was asked for");
        }
        x->state = TSGI_STATE_TUNNEL;
        return TSGI_STEP_SWITCH;
    }
    x->state = TSGI_STATE_HEAD;
    return is_whole ? TSGI_STEP_DONE : TSGI_STEP_MORE;
}

static tsgi_step_t on_upgrade(tsgi_exchange_t *x)
{
    if ((x->head.request.flags & TSGI_R_PASS) == 0) {
        return fail_frame(x, TSGI_T_UPGRADE, "the client was not offered");
    }
    set_begun(x);
    return tsgi_upgrade_pass(x);
}

static tsgi_step_t on_end(tsgi_exchange_t *x, const uint8_t *payload, size_t n)
{
    const char *why = tsgi_reply_trailers(&x->reply, payload, n);
    return why == NULL ? TSGI_STEP_DONE : fail_frame(x, TSGI_T_END, why);
}

static tsgi_step_t on_abort(tsgi_exchange_t *x, const uint8_t *payload, size_t n)
{
    tsgi_text_t text;
    const int rc = tsgi_text_decode(TSGI_T_ABORT, payload, n, &text);
    if (rc != 0) {
        return fail_frame(x, TSGI_T_ABORT, tsgi_wire_strerror(rc));
    }
    x->error.code = text.code;
    x->error.text = apr_pstrmemdup(x->r->pool, text.text.data, text.text.len);
    x->error.length = text.text.len;
    return tsgi_pump_fail(x, TSGI_FAIL_ABORT);
}

/* @return 0 if the request has filled enough of the log in this second. */
static int may_log(tsgi_exchange_t *x)
{
    const apr_time_t second = apr_time_sec(tsgi_clock_now());
    if (second != x->log_second) {
        x->log_second = second;
        x->log_lines = 0;
    }
    if (x->log_lines >= MAX_LOGS_PER_SECOND) {
        x->log_dropped++;
        return 0;
    }
    x->log_lines++;
    if (x->log_prefix == NULL) {
        x->log_prefix = apr_psprintf(x->r->pool, "[%s %u] ", x->route->group->name,
                                     x->lease.connection->pid);
    }
    return 1;
}

void tsgi_frames_log_dropped(tsgi_exchange_t *x)
{
    if (x->log_dropped > 0) {
        ap_log_rerror(
            APLOG_MARK, APLOG_WARNING, 0, x->r,
            TSGI_LOGNO(0192) "group %s: %u messages of the app for this log were "
                             "dropped: one request may write %d a second",
            x->route->group->name, x->log_dropped, MAX_LOGS_PER_SECOND);
        x->log_dropped = 0;
    }
}

static tsgi_step_t on_log(tsgi_exchange_t *x, const uint8_t *payload, size_t n)
{
    tsgi_text_t text;
    const int rc = tsgi_text_decode(TSGI_T_LOG, payload, n, &text);
    if (rc != 0) {
        return fail_frame(x, TSGI_T_LOG, tsgi_wire_strerror(rc));
    }
    if (!may_log(x)) {
        return TSGI_STEP_MORE;
    }
    tsgi_frames_log_dropped(x);
    /* syslog's levels are httpd's; an app is no emergency of the server. */
    const int level = text.code < APLOG_CRIT ? APLOG_CRIT : text.code;
    tsgi_error_log_text(x->r, level, x->log_prefix, text.text.data, text.text.len);
    return TSGI_STEP_MORE;
}

/* Frames that are legal before the response head only; checked by on_frame(). */
static tsgi_step_t on_early_frame(tsgi_exchange_t *x, const tsgi_frame_t *frame,
                                  const uint8_t *payload)
{
    const int is_handed_over = x->state == TSGI_STATE_PASSED;
    if (x->state == TSGI_STATE_SENDING || x->state >= TSGI_STATE_HEAD ||
        (is_handed_over && frame->type != TSGI_T_RESPONSE)) {
        return fail_order(x, frame->type);
    }
    switch (frame->type) {
    case TSGI_T_STARTED:
        if (x->state != TSGI_STATE_SENT) {
            return fail_frame(x, frame->type, "came after the app had begun");
        }
        set_begun(x);
        return TSGI_STEP_MORE;
    case TSGI_T_CONTINUE:
        return on_continue(x);
    case TSGI_T_INFORM:
        return on_inform(x, payload, frame->length);
    case TSGI_T_UPGRADE:
        return on_upgrade(x);
    default:
        return on_response(x, frame, payload);
    }
}

static int takes_data(const tsgi_exchange_t *x)
{
    return x->state == TSGI_STATE_HEAD || x->state == TSGI_STATE_TUNNEL;
}

static tsgi_step_t on_frame(tsgi_exchange_t *x, const tsgi_frame_t *frame,
                            const uint8_t *payload)
{
    switch (frame->type) {
    case TSGI_T_STARTED:
    case TSGI_T_CONTINUE:
    case TSGI_T_INFORM:
    case TSGI_T_RESPONSE:
    case TSGI_T_UPGRADE:
        return on_early_frame(x, frame, payload);
    case TSGI_T_DATA:
        if (!takes_data(x)) {
            return fail_order(x, frame->type);
        }
        x->data_left = frame->length;
        x->is_last_data = (frame->flags & TSGI_F_FIN) != 0;
        return x->data_left == 0 && x->is_last_data ? TSGI_STEP_DONE : TSGI_STEP_MORE;
    case TSGI_T_END:
        return takes_data(x) ? on_end(x, payload, frame->length)
                             : fail_order(x, frame->type);
    case TSGI_T_ABORT:
        return x->state >= TSGI_STATE_SENT ? on_abort(x, payload, frame->length)
                                           : fail_order(x, frame->type);
    case TSGI_T_LOG:
        return on_log(x, payload, frame->length);
    case TSGI_T_REFUSED:
        return x->state <= TSGI_STATE_SENT ? TSGI_STEP_AGAIN : fail_order(x, frame->type);
    case TSGI_T_GOAWAY:
        x->is_leaving = 1;
        return TSGI_STEP_MORE;
    default:
        return fail_order(x, frame->type);
    }
}

/* Passes on what is buffered of the DATA frame in hand. */
static tsgi_step_t take_data(tsgi_exchange_t *x)
{
    tsgi_connection_t *connection = x->lease.connection;
    size_t n = tsgi_connection_buffered(connection);

    n = n < x->data_left ? n : x->data_left;
    if (n > 0) {
        const apr_status_t rv =
            tsgi_reply_copy(&x->reply, connection->in + connection->in_at, n);
        tsgi_connection_consume(connection, n);
        x->data_left -= (uint32_t)n;
        x->idle_since = 0;
        if (rv != APR_SUCCESS) {
            return tsgi_pump_fail_output(x, rv);
        }
    }
    return tsgi_frames_after_data(x);
}

tsgi_step_t tsgi_frames_after_data(tsgi_exchange_t *x)
{
    if (x->data_left == 0 && x->is_last_data) {
        return TSGI_STEP_DONE;
    }
    if (tsgi_reply_is_overfull(&x->reply)) {
        /* The client has all that it may get; the rest could go on for ever. */
        x->is_leaving = 1;
        return TSGI_STEP_DONE;
    }
    return TSGI_STEP_MORE;
}

static tsgi_step_t fail_header(tsgi_exchange_t *x, int error)
{
    const tsgi_connection_t *connection = x->lease.connection;
    const uint8_t *p = connection->in + connection->in_at;
    const unsigned length =
        p[0] | (unsigned)p[1] << 8 | (unsigned)p[2] << 16 | (unsigned)p[3] << 24;
    return fail_protocol(
        x, apr_psprintf(x->r->pool, "frame of type 0x%02x, flags 0x%02x, length %u: %s",
                        p[4], p[5], length, tsgi_wire_strerror(error)));
}

/* Consumes everything that has been received. */
tsgi_step_t tsgi_frames_take(tsgi_exchange_t *x)
{
    tsgi_connection_t *connection = x->lease.connection;

    for (;;) {
        tsgi_frame_t frame;
        const uint8_t *payload;
        if (x->data_left > 0) {
            const tsgi_step_t step = take_data(x);
            if (step != TSGI_STEP_MORE || x->data_left > 0) {
                return step;
            }
        }
        const int rc = tsgi_connection_frame(connection, &frame, &payload);
        if (rc == 0) {
            return TSGI_STEP_MORE;
        }
        if (rc == TSGI_E_SPACE) {
            return tsgi_pump_fail(x, TSGI_FAIL_MEMORY);
        }
        if (rc < 0) {
            return fail_header(x, rc);
        }
        const tsgi_step_t step = on_frame(x, &frame, payload);
        tsgi_connection_consume(connection,
                                TSGI_FRAME_HEADER + (payload != NULL ? frame.length : 0));
        x->idle_since = 0;
        if (step != TSGI_STEP_MORE) {
            return step;
        }
    }
}
