/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_body.h"

#include "http_core.h"
#include "http_protocol.h"
#include "util_filter.h"

#include <string.h>

/* Most bytes of a piece that is not kept, which is what the input filters are asked for. */
#define READ_SIZE ((apr_size_t)128 * 1024)
/* A body of so many bytes is worth a pipe. */
#define SPLICE_FROM ((apr_off_t)128 * 1024)
/* Of such a one so much is kept, which is all that is copied. */
#define SPLICE_KEPT APR_BUCKET_BUFF_SIZE
/* Most bytes of a piece that goes by the pipe. */
#define SPLICE_SIZE TSGI_MAX_DATA

void tsgi_body_init(tsgi_body_t *body, request_rec *r, const tsgi_request_t *request)
{
    memset(body, 0, sizeof(*body));
    body->r = r;
    body->network = tsgi_network_of(r->connection);
    body->is_kept = 1;
    body->state = (request->flags & TSGI_R_BODY) == 0     ? TSGI_BODY_ENDED
                  : (request->flags & TSGI_R_EXPECT) != 0 ? TSGI_BODY_HELD
                                                          : TSGI_BODY_OPEN;
    body->left = request->content_length > 0 ? request->content_length : 0;
    if (request->content_length > 0 &&
        request->content_length < (apr_off_t)TSGI_REPLAY_SIZE) {
        body->expected = (apr_size_t)request->content_length;
    }
    body->is_spliced =
        request->content_length >= SPLICE_FROM && tsgi_splice_is_possible(r);
}

static tsgi_piece_t fail(tsgi_body_t *body, apr_status_t error)
{
    body->error = error == AP_FILTER_ERROR ? 0 : error;
    /* AP_FILTER_ERROR: the filter has answered the client itself. */
    body->status = ap_map_http_request_error(error, HTTP_BAD_REQUEST);
    return TSGI_PIECE_ERROR;
}

/* What more holds is no longer to come. */
static void count(tsgi_body_t *body)
{
    apr_off_t n = 0;
    if (body->left > 0) {
        (void)apr_brigade_length(body->more, 0, &n);
        body->left = n >= 0 && n < body->left ? body->left - n : 0;
    }
}

/* One call of the input filters. DATA: the brigade holds something more. */
static tsgi_piece_t read_brigade(tsgi_body_t *body, apr_size_t size)
{
    request_rec *r = body->r;
    if (body->bb == NULL) {
        body->bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
        body->more = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    }
    tsgi_network_read_at_once(body->network, size < READ_SIZE ? size : READ_SIZE);
    const apr_status_t rv =
        ap_get_brigade(r->input_filters, body->more, AP_MODE_READBYTES, APR_NONBLOCK_READ,
                       (apr_off_t)size);
    tsgi_network_read_at_once(body->network, 0);
    if (APR_STATUS_IS_EOF(rv) && body->is_tunnel) {
        body->state = TSGI_BODY_ENDED;
        return TSGI_PIECE_BLOCKED;
    }
    if (APR_STATUS_IS_EAGAIN(rv) ||
        (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(body->more))) {
        return TSGI_PIECE_BLOCKED;
    }
    count(body);
    APR_BRIGADE_CONCAT(body->bb, body->more);
    return rv == APR_SUCCESS ? TSGI_PIECE_DATA : fail(body, rv);
}

/*
 * Makes the brigade outlive the next call of the filters (mod_ssl lends its buffer), as long as it is
 * less than a piece. @return how much more may be read.
 */
static apr_size_t room_for_more(tsgi_body_t *body)
{
    apr_size_t length = 0;
    int parts = 0;
    for (apr_bucket *bucket = APR_BRIGADE_FIRST(body->bb);
         bucket != APR_BRIGADE_SENTINEL(body->bb); bucket = APR_BUCKET_NEXT(bucket)) {
        if (APR_BUCKET_IS_METADATA(bucket) || bucket->length == (apr_size_t)-1) {
            return 0;
        }
        length += bucket->length;
        if (length >= READ_SIZE || ++parts >= TSGI_PIECE_PARTS / 2 ||
            apr_bucket_setaside(bucket, body->r->pool) != APR_SUCCESS) {
            return 0;
        }
    }
    return READ_SIZE - length;
}

/*
 * Reads a piece, or what the client has sent of one. A frame, and a wake-up of the worker, for each of
 * the reads would cost more than what sending them together does (npm run bench -- upload). A tunnel
 * waits for nothing.
 */
static tsgi_piece_t read_piece(tsgi_body_t *body)
{
    apr_size_t room = READ_SIZE;
    tsgi_piece_t piece = TSGI_PIECE_DATA;
    while (piece == TSGI_PIECE_DATA && room > 0) {
        piece = read_brigade(body, room);
        room = body->is_tunnel || piece != TSGI_PIECE_DATA ? 0 : room_for_more(body);
    }
    const int is_any = body->bb != NULL && !APR_BRIGADE_EMPTY(body->bb);
    return piece == TSGI_PIECE_BLOCKED && is_any ? TSGI_PIECE_DATA : piece;
}

/* Whether what comes next may go by the pipe, which is opened for the first piece. */
static int may_splice(tsgi_body_t *body)
{
    if (body->is_spliced && body->splice == NULL) {
        body->splice = tsgi_splice_open(body->r);
        body->is_spliced = body->splice != NULL;
    }
    return body->is_spliced && body->left > 0 && tsgi_splice_is_open(body->splice);
}

/* One call of the input filters, for at most this much in the pipe; what was read before comes in memory,
 * alone, and so does all where the pipe takes nothing. */
static tsgi_piece_t read_spliced(tsgi_body_t *body, apr_size_t room)
{
    const apr_size_t most = body->left < (apr_off_t)room ? (apr_size_t)body->left : room;
    tsgi_network_splice(body->network, body->splice, most);
    const tsgi_piece_t piece = read_brigade(body, most);
    tsgi_network_splice(body->network, NULL, 0);
    return piece;
}

/* A piece in the pipe, with what was read before in front of it. */
static tsgi_piece_t read_piece_spliced(tsgi_body_t *body)
{
    const apr_off_t left = body->left;
    tsgi_piece_t piece = read_spliced(body, SPLICE_SIZE);
    const apr_off_t read = left - body->left;
    if (piece == TSGI_PIECE_DATA && tsgi_splice_held(body->splice) == 0 &&
        body->left > 0 && read < SPLICE_SIZE) {
        piece = read_spliced(body, SPLICE_SIZE - (apr_size_t)read);
    }
    return piece == TSGI_PIECE_BLOCKED && !APR_BRIGADE_EMPTY(body->bb) ? TSGI_PIECE_DATA
                                                                       : piece;
}

/* Drops what the last piece was made of, and an EOS behind it. */
static void give_back(tsgi_body_t *body)
{
    body->is_piped = 0;
    for (; body->lent > 0; body->lent--) {
        apr_bucket_delete(APR_BRIGADE_FIRST(body->bb));
    }
    if (body->bb != NULL && !APR_BRIGADE_EMPTY(body->bb) &&
        APR_BUCKET_IS_EOS(APR_BRIGADE_FIRST(body->bb))) {
        if (body->skips_eos) {
            body->skips_eos = 0;
            apr_bucket_delete(APR_BRIGADE_FIRST(body->bb));
            return;
        }
        body->state = TSGI_BODY_ENDED;
        apr_brigade_cleanup(body->bb);
    }
}

/* Gathers buckets from the front of the brigade. BLOCKED: there was none with data. */
static tsgi_piece_t gather(tsgi_body_t *body, struct iovec *parts, int *nparts,
                           apr_size_t *length)
{
    *nparts = 0;
    *length = 0;
    if (body->bb == NULL) {
        return TSGI_PIECE_BLOCKED;
    }
    apr_bucket *bucket = APR_BRIGADE_FIRST(body->bb);
    while (bucket != APR_BRIGADE_SENTINEL(body->bb) && *nparts < TSGI_PIECE_PARTS) {
        const char *data;
        apr_size_t n = 0;
        if (APR_BUCKET_IS_EOS(bucket)) {
            break;
        }
        if (tsgi_splice_is_bucket(bucket)) {
            *length += bucket->length;
            body->lent++;
            body->is_piped = 1;
            break;
        }
        if (AP_BUCKET_IS_ERROR(bucket)) {
            body->status = ((ap_bucket_error *)bucket->data)->status;
            return TSGI_PIECE_ERROR;
        }
        if (!APR_BUCKET_IS_METADATA(bucket)) {
            const apr_status_t rv = apr_bucket_read(bucket, &data, &n, APR_BLOCK_READ);
            if (rv != APR_SUCCESS) {
                return fail(body, rv);
            }
        }
        if (*length > 0 && *length + n > READ_SIZE) {
            break;
        }
        apr_bucket *next = APR_BUCKET_NEXT(bucket);
        if (n > 0) {
            parts[(*nparts)++] = (struct iovec){(void *)(uintptr_t)data, n};
            *length += n;
            body->lent++;
        }
        else {
            apr_bucket_delete(bucket);
        }
        bucket = next;
    }
    return *length > 0 ? TSGI_PIECE_DATA : TSGI_PIECE_BLOCKED;
}

static void replay_reserve(tsgi_body_t *body)
{
    if (body->replay == NULL) {
        body->replay_size = body->expected > 0 ? body->expected
                            : body->is_spliced ? SPLICE_KEPT
                                               : TSGI_REPLAY_SIZE;
        body->replay = apr_palloc(body->r->pool, body->replay_size);
    }
}

/* Moves what the brigade holds into the replay buffer. @return as gather(). */
static tsgi_piece_t keep(tsgi_body_t *body)
{
    struct iovec parts[TSGI_PIECE_PARTS];
    int nparts;
    apr_size_t length;

    give_back(body);
    const tsgi_piece_t piece = gather(body, parts, &nparts, &length);
    if (piece != TSGI_PIECE_DATA) {
        give_back(body);
        return piece;
    }
    if (length > body->replay_size - body->replay_end) {
        return fail(body, APR_EGENERAL); /* a filter gave more than it was asked for */
    }
    for (int i = 0; i < nparts; i++) {
        memcpy(body->replay + body->replay_end, parts[i].iov_base, parts[i].iov_len);
        body->replay_end += parts[i].iov_len;
    }
    give_back(body);
    return piece;
}

/* One call of the input filters, into the replay buffer. @return as read_brigade(). */
static tsgi_piece_t keep_more(tsgi_body_t *body, apr_size_t room)
{
    /* With the length known and reached, one more byte is asked for: what comes is the
     * EOS. */
    const tsgi_piece_t first = read_brigade(body, room > 0 ? room : 1);
    tsgi_piece_t piece = first;
    while (piece == TSGI_PIECE_DATA) {
        piece = keep(body);
    }
    return piece == TSGI_PIECE_ERROR ? piece : first;
}

/* Reads into the replay buffer what the client has sent. DATA: something was added. */
static tsgi_piece_t read_kept(tsgi_body_t *body)
{
    const apr_size_t before = body->replay_end;
    tsgi_piece_t piece = TSGI_PIECE_DATA;

    replay_reserve(body);
    while (piece == TSGI_PIECE_DATA && body->state == TSGI_BODY_OPEN) {
        const apr_size_t room = body->replay_size - body->replay_end;
        piece = room > 0 || body->expected > 0 ? keep_more(body, room) : TSGI_PIECE_WAIT;
    }
    if (piece == TSGI_PIECE_ERROR) {
        return piece;
    }
    if (body->replay_end > before) {
        return TSGI_PIECE_DATA;
    }
    return body->state == TSGI_BODY_ENDED ? TSGI_PIECE_END : piece;
}

int tsgi_body_at_end(const tsgi_body_t *body)
{
    if (body->replay_at < body->replay_end) {
        return 0;
    }
    if (body->state == TSGI_BODY_ENDED) {
        return 1;
    }
    if (body->lent == 0) {
        return 0;
    }
    const apr_bucket *bucket = APR_BRIGADE_FIRST(body->bb);
    for (int i = 0; i < body->lent; i++) {
        bucket = APR_BUCKET_NEXT(bucket);
    }
    return bucket != APR_BRIGADE_SENTINEL(body->bb) && APR_BUCKET_IS_EOS(bucket);
}

/* What was read and kept, but not handed out to this worker. */
static tsgi_piece_t replay(tsgi_body_t *body, struct iovec *parts, int *nparts,
                           apr_size_t *length)
{
    *length = body->replay_end - body->replay_at;
    *nparts = 1;
    parts[0] = (struct iovec){body->replay + body->replay_at, *length};
    body->replay_at = body->replay_end;
    return TSGI_PIECE_DATA;
}

tsgi_piece_t tsgi_body_next(tsgi_body_t *body, struct iovec *parts, int *nparts,
                            apr_size_t *length)
{
    if (body->replay_at < body->replay_end) {
        return replay(body, parts, nparts, length);
    }
    give_back(body);
    if (body->state == TSGI_BODY_ENDED) {
        return TSGI_PIECE_END;
    }
    if (body->state == TSGI_BODY_HELD) {
        return TSGI_PIECE_WAIT;
    }
    if (body->is_kept) {
        const tsgi_piece_t piece = read_kept(body);
        return piece == TSGI_PIECE_DATA ? replay(body, parts, nparts, length) : piece;
    }
    tsgi_piece_t piece = gather(body, parts, nparts, length);
    if (piece == TSGI_PIECE_BLOCKED) {
        piece = may_splice(body) ? read_piece_spliced(body) : read_piece(body);
        if (piece == TSGI_PIECE_DATA) {
            piece = gather(body, parts, nparts, length);
        }
    }
    if (piece == TSGI_PIECE_BLOCKED) {
        give_back(body); /* an EOS alone */
        return body->state == TSGI_BODY_ENDED ? TSGI_PIECE_END : TSGI_PIECE_BLOCKED;
    }
    return piece;
}

apr_size_t tsgi_body_piped(const tsgi_body_t *body)
{
    return body->is_piped ? tsgi_splice_held(body->splice) : 0;
}

void tsgi_body_pipe_sent(tsgi_body_t *body, apr_size_t n)
{
    tsgi_splice_sent(body->splice, n);
}

int tsgi_body_unpipe(tsgi_body_t *body, struct iovec *part)
{
    apr_bucket *bucket = APR_BRIGADE_FIRST(body->bb);
    const char *data;
    apr_size_t n;
    for (int i = 1; i < body->lent; i++) {
        bucket = APR_BUCKET_NEXT(bucket); /* what it was read with, in memory */
    }
    if (apr_bucket_read(bucket, &data, &n, APR_BLOCK_READ) != APR_SUCCESS) {
        return 0;
    }
    *part = (struct iovec){(void *)(uintptr_t)data, n};
    tsgi_splice_close(body->splice);
    return 1;
}

void tsgi_body_drop(tsgi_body_t *body)
{
    if (body->splice != NULL) {
        tsgi_splice_close(body->splice);
    }
}

int tsgi_body_prefetch(tsgi_body_t *body)
{
    request_rec *r = body->r;
    if (body->state == TSGI_BODY_HELD) {
        /* Nothing may be read, but a length over the limit need not wait for the first
         * byte. */
        const apr_off_t limit = ap_get_limit_req_body(r);
        const char *length = apr_table_get(r->headers_in, "Content-Length");
        apr_off_t value;
        if (limit > 0 && length != NULL && ap_parse_strict_length(&value, length) &&
            value > limit) {
            fail(body, APR_ENOSPC);
            return 0;
        }
        return 1;
    }
    return body->state != TSGI_BODY_OPEN || read_kept(body) != TSGI_PIECE_ERROR;
}

void tsgi_body_rewind(tsgi_body_t *body)
{
    body->replay_at = 0;
}

void tsgi_body_begun(tsgi_body_t *body)
{
    body->is_kept = 0;
}

void tsgi_body_tunnel(tsgi_body_t *body)
{
    body->state = TSGI_BODY_OPEN;
    body->is_kept = 0;
    body->is_tunnel = 1;
    body->skips_eos = body->r->connection->master != NULL;
}

void tsgi_body_continue(tsgi_body_t *body)
{
    request_rec *r = body->r;
    const int status = r->status;
    const char *status_line = r->status_line;

    /* httpd would send it by itself, but only when somebody reads and waits. */
    r->status = HTTP_CONTINUE;
    r->status_line = NULL;
    ap_send_interim_response(r, 0);
    r->status = status;
    r->status_line = status_line;
    body->state = TSGI_BODY_OPEN;
}
