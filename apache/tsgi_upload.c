/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The request to the worker: its head, then the client's body as it comes. */
#include "tsgi_pump.h"

#include <errno.h>
#include <string.h>

/* So many bytes of body are written before the worker's answers are looked at again. */
#define SEND_BUDGET (512 * 1024)

/* ---- the client's body to the worker ------------------------------------------------ */

static int parts_empty(const tsgi_exchange_t *x, int first, int end)
{
    for (int i = first; i < end; i++) {
        if (x->parts[i].iov_len > 0) {
            return 0;
        }
    }
    return 1;
}

/* Whether all has left, from this part on. */
static int has_left(const tsgi_exchange_t *x, int first)
{
    return parts_empty(x, first, TSGI_PART_COUNT) && tsgi_body_piped(&x->body) == 0;
}

int tsgi_upload_is_idle(const tsgi_exchange_t *x)
{
    return has_left(x, TSGI_PART_HEAD);
}

/* @return 0 if the trailers cannot be sent; then the body ends without them. */
static int encode_trailers(tsgi_exchange_t *x)
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
            fields[n].name =
                (tsgi_str_t){entries[i].key, (uint32_t)strlen(entries[i].key)};
            fields[n].value =
                (tsgi_str_t){entries[i].val, (uint32_t)strlen(entries[i].val)};
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
    x->parts[TSGI_PART_END] = (struct iovec){out, (size_t)length};
    return 1;
}

static void queue_end(tsgi_exchange_t *x)
{
    static const uint8_t end[TSGI_FRAME_HEADER] = {0, 0, 0, 0, TSGI_T_BODY_END, 0, 0, 0};

    x->is_body_sent = 1;
    if (!encode_trailers(x)) {
        x->parts[TSGI_PART_END] = (struct iovec){(void *)(uintptr_t)end, sizeof(end)};
    }
}

/* Puts the next piece of the body into parts, if there is one now. */
static tsgi_step_t queue_body(tsgi_exchange_t *x)
{
    apr_size_t length;
    int nparts;

    x->wants_client = 0;
    if (x->is_body_sent || x->is_broken) {
        return TSGI_STEP_MORE;
    }
    switch (tsgi_body_next(&x->body, &x->parts[TSGI_PART_DATA], &nparts, &length)) {
    case TSGI_PIECE_DATA:
        if (length > TSGI_MAX_DATA) {
            return tsgi_pump_fail(x, TSGI_FAIL_MEMORY);
        }
        tsgi_frame_encode(x->frame, TSGI_T_BODY, 0, (uint32_t)length);
        x->parts[TSGI_PART_FRAME] = (struct iovec){x->frame, sizeof(x->frame)};
        x->idle_since = 0;
        x->client.silent_ticks = 0;
        if (tsgi_body_at_end(&x->body)) {
            queue_end(x);
        }
        return TSGI_STEP_MORE;
    case TSGI_PIECE_END:
        queue_end(x);
        return TSGI_STEP_MORE;
    case TSGI_PIECE_BLOCKED:
        x->wants_client = 1;
        return TSGI_STEP_MORE;
    case TSGI_PIECE_WAIT:
        return TSGI_STEP_MORE;
    case TSGI_PIECE_ERROR:
        break;
    }
    x->error.status = x->body.status;
    x->error.os_error = x->body.error;
    return tsgi_pump_fail(x, TSGI_FAIL_BODY);
}

void tsgi_upload_clear(tsgi_exchange_t *x)
{
    memset(x->parts, 0, sizeof(x->parts));
    tsgi_body_drop(&x->body);
}

/* What is in the pipe comes behind its frame's header and what is in memory, and before the end of the
 * body. */
static long send_piped(tsgi_exchange_t *x)
{
    tsgi_connection_t *connection = x->lease.connection;

    if (!parts_empty(x, TSGI_PART_HEAD, TSGI_PART_END)) {
        return tsgi_connection_send(connection, x->parts, TSGI_PART_END);
    }
    const long n = tsgi_connection_splice(connection, tsgi_splice_fd(x->body.splice),
                                          tsgi_body_piped(&x->body));
    if (n > 0) {
        tsgi_body_pipe_sent(&x->body, (apr_size_t)n);
    }
    return n;
}

/* @return as tsgi_connection_send(). */
static long send_some(tsgi_exchange_t *x)
{
    tsgi_connection_t *connection = x->lease.connection;

    if (tsgi_body_piped(&x->body) > 0) {
        const long n = send_piped(x);
        const int is_refused = n == -EINVAL || n == -EPERM || n == -ENOSYS;
        if (!is_refused) {
            return n;
        }
        if (!tsgi_body_unpipe(&x->body, &x->parts[TSGI_PART_DATA])) {
            return -ENOMEM;
        }
    }
    return tsgi_connection_send(connection, x->parts, TSGI_PART_COUNT);
}

/* Writes as much as the worker takes now; reads from the client what is there now. */
tsgi_step_t tsgi_upload_push(tsgi_exchange_t *x)
{
    tsgi_connection_t *connection = x->lease.connection;
    size_t budget = SEND_BUDGET;

    x->wants_write = x->has_more = 0;
    while (!x->is_broken) {
        if (has_left(x, TSGI_PART_FRAME)) {
            const tsgi_step_t step = queue_body(x);
            if (step != TSGI_STEP_MORE) {
                return step;
            }
        }
        if (has_left(x, TSGI_PART_HEAD)) {
            break;
        }
        const long n = send_some(x);
        if (n == -EAGAIN) {
            x->wants_write = 1;
            x->wants_client = 0;
            break;
        }
        if (n < 0) {
            if (x->written == 0) {
                return TSGI_STEP_AGAIN;
            }
            x->is_broken = 1;
            x->wants_client = 0;
            tsgi_upload_clear(x);
            break;
        }
        x->written += (apr_uint64_t)n;
        x->idle_since = 0;
        if (x->state == TSGI_STATE_SENDING && x->parts[TSGI_PART_HEAD].iov_len == 0) {
            x->state = TSGI_STATE_SENT;
            connection->is_authed = 1;
        }
        if ((size_t)n >= budget) {
            x->has_more = 1;
            break;
        }
        budget -= (size_t)n;
    }
    if (x->is_body_sent && tsgi_upload_is_idle(x)) {
        tsgi_body_drop(&x->body); /* a client may take long over the answer */
    }
    return TSGI_STEP_MORE;
}
