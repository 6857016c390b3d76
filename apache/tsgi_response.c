/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_response.h"
#include "tsgi_trailers.h"

#include "apr_date.h"
#include "apr_strings.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mod_core.h"
#include "util_filter.h"

#include <string.h>

#define MAX_HEADERS 1000
/* Pieces below this are copied: a whole buffer per piece would cost a slow client's
 * request memory. */
#define COPY_MAX 2048

void tsgi_reply_init(tsgi_reply_t *reply, request_rec *r)
{
    memset(reply, 0, sizeof(*reply));
    reply->r = r;
    reply->original_status = r->status;
    reply->length = -1;
}

/* ---- head --------------------------------------------------------------------------- */

static int name_is(const tsgi_str_t *name, const char *wanted, size_t length)
{
    return name->len == length && ap_cstr_casecmpn(name->data, wanted, length) == 0;
}
#define NAME_IS(wanted) name_is(name, wanted, sizeof(wanted) - 1)

/* The wire keeps out CR, LF and NUL; httpd checks header fields for other control characters,
 * but not everything that it writes. */
static int is_clean(const char *text)
{
    return *ap_scan_http_field_content(text) == '\0';
}

/* What becomes of a header of the app. */
typedef enum {
    HEADER_PASS,
    HEADER_SET,  /* at most one */
    HEADER_DROP, /* hop-by-hop, or httpd's own */
    HEADER_TYPE,
    HEADER_LENGTH,
    HEADER_FILE,   /* for this server, not for the client */
    HEADER_TRAILER /* announces trailers: in a final head only */
} treatment_t;

/* The switch by length spares most names any comparison. */
static treatment_t treatment_of(const tsgi_str_t *name)
{
    switch (name->len) {
    case 2:
        return NAME_IS("TE") ? HEADER_DROP : HEADER_PASS;
    case 4:
        return NAME_IS("Date") ? HEADER_DROP : HEADER_PASS;
    case 6:
        return NAME_IS("Server") ? HEADER_DROP : HEADER_PASS;
    case 7:
        return NAME_IS("Trailer")   ? HEADER_TRAILER
               : NAME_IS("Upgrade") ? HEADER_DROP
                                    : HEADER_PASS;
    case 8:
        return NAME_IS("Location") ? HEADER_SET : HEADER_PASS;
    case 10:
        if (NAME_IS("X-Sendfile")) {
            return HEADER_FILE;
        }
        return NAME_IS("Connection") || NAME_IS("Keep-Alive") ? HEADER_DROP : HEADER_PASS;
    case 12:
        return NAME_IS("Content-Type") ? HEADER_TYPE : HEADER_PASS;
    case 14:
        return NAME_IS("Content-Length") ? HEADER_LENGTH : HEADER_PASS;
    case 16:
        return NAME_IS("Proxy-Connection") ? HEADER_DROP : HEADER_PASS;
    case 17:
        return NAME_IS("Transfer-Encoding") ? HEADER_DROP : HEADER_PASS;
    default:
        return HEADER_PASS;
    }
}

static const char *field_name(apr_pool_t *p, const tsgi_field_t *field)
{
    /* Names of tokens are static and end with NUL. */
    return field->token != 0 ? field->name.data
                             : apr_pstrmemdup(p, field->name.data, field->name.len);
}

static const char *set_length(tsgi_reply_t *reply, const tsgi_field_t *field)
{
    apr_off_t length;
    const char *text =
        apr_pstrmemdup(reply->r->pool, field->value.data, field->value.len);
    if (!ap_parse_strict_length(&length, text)) {
        return apr_psprintf(reply->r->pool,
                            "Content-Length: expected a number of bytes, came \"%.64s\"",
                            text);
    }
    if (reply->length >= 0 && reply->length != length) {
        return "two values of Content-Length that differ";
    }
    reply->length = length;
    /* For its place and the case of its name; httpd writes the value anew. */
    apr_table_setn(reply->r->headers_out, field_name(reply->r->pool, field), text);
    return NULL;
}

/* Upgrade is httpd's own, but in a response 101. */
static int is_switch(const request_rec *r, const tsgi_str_t *name)
{
    return r->status == HTTP_SWITCHING_PROTOCOLS && NAME_IS("Upgrade");
}

static const char *set_header(tsgi_reply_t *reply, const tsgi_field_t *field)
{
    request_rec *r = reply->r;
    const treatment_t treatment = treatment_of(&field->name);

    if (treatment == HEADER_DROP && !is_switch(r, &field->name)) {
        return NULL;
    }
    if (treatment == HEADER_LENGTH) {
        return set_length(reply, field);
    }
    const char *value = apr_pstrmemdup(r->pool, field->value.data, field->value.len);
    switch (treatment) {
    case HEADER_FILE:
        if (reply->file != NULL) {
            return "two X-Sendfile headers";
        }
        reply->file = value;
        break;
    case HEADER_TYPE:
        /* As a header field it keeps its place, and what it must not hold is found by httpd
         * like in every other one: a 500. Filters know it as content_type. */
        apr_table_setn(r->headers_out, field_name(r->pool, field), value);
        if (is_clean(value)) {
            ap_set_content_type(r, value);
        }
        break;
    case HEADER_SET:
        apr_table_setn(r->headers_out, field_name(r->pool, field), value);
        break;
    default:
        /* Repeated headers stay apart and in their order: Set-Cookie cannot be joined. */
        apr_table_addn(r->headers_out, field_name(r->pool, field), value);
    }
    return NULL;
}

/* A status line of our own only where httpd's would say something else. */
static void set_status(tsgi_reply_t *reply, const tsgi_response_t *response)
{
    request_rec *r = reply->r;
    const char *line;
    char number[4];

    if (response->status == HTTP_OK && ap_is_HTTP_ERROR(reply->original_status)) {
        /* An error document that does not say otherwise: the error is still the error. */
        r->status_line = NULL;
        return;
    }
    r->status = response->status;
    r->status_line = NULL;
    line = ap_get_status_line(r->status);
    apr_snprintf(number, sizeof(number), "%03d", r->status);
    const char *reason =
        apr_pstrmemdup(r->pool, response->reason.data, response->reason.len);
    const apr_size_t length = is_clean(reason) ? response->reason.len : 0;
    const int is_known = strncmp(line, number, 3) == 0;
    if (is_known && (length == 0 || (strlen(line + 4) == length &&
                                     memcmp(line + 4, reason, length) == 0))) {
        return;
    }
    r->status_line =
        apr_pstrcat(r->pool, number, " ", length > 0 ? reason : "Unknown", NULL);
}

/* The app has seen Range and has decided: a 200 must not become a 206 behind its back. */
static void keep_ranges(request_rec *r)
{
    if (apr_table_get(r->headers_in, "Range") == NULL) {
        return;
    }
    for (ap_filter_t *f = r->output_filters; f != NULL; f = f->next) {
        if (f->frec == ap_byterange_filter_handle) {
            ap_remove_output_filter(f);
            return;
        }
    }
}

/*
 * Compressors would hold events back, or send each as a block of its own. mod_deflate and mod_brotli
 * look at these when they see the response; so they do when mod_filter calls them.
 */
static void spare_events(request_rec *r)
{
    static const char events[] = "text/event-stream";
    const size_t n = sizeof(events) - 1;
    if (r->content_type != NULL && ap_cstr_casecmpn(r->content_type, events, n) == 0 &&
        strchr("; \t", r->content_type[n]) != NULL) {
        apr_table_setn(r->subprocess_env, "no-gzip", "1");
        apr_table_setn(r->subprocess_env, "no-brotli", "1");
    }
}

/* What httpd thought of the script's file says nothing about the response. */
static void forget_file(request_rec *r)
{
    ap_set_content_type(r, NULL);
    r->content_encoding = NULL;
    r->content_languages = NULL;
}

const char *tsgi_reply_begin(tsgi_reply_t *reply, const uint8_t *payload, size_t n)
{
    request_rec *r = reply->r;
    tsgi_response_t response;
    tsgi_fields_t fields;
    tsgi_field_t field;
    const int rc = tsgi_response_decode(TSGI_T_RESPONSE, payload, n, &response, &fields);

    if (rc != 0) {
        return tsgi_wire_strerror(rc);
    }
    if (fields.left > MAX_HEADERS) {
        return "more than 1000 headers";
    }
    reply->is_head_set = 1;
    forget_file(r);
    set_status(reply, &response);
    while (tsgi_fields_next(&fields, &field)) {
        const char *why = set_header(reply, &field);
        if (why != NULL) {
            return why;
        }
    }
    if (AP_STATUS_IS_HEADER_ONLY(r->status) || r->status == HTTP_SWITCHING_PROTOCOLS) {
        reply->file = NULL; /* there is no body whose place it could take */
    }
    reply->is_bodiless = r->header_only || AP_STATUS_IS_HEADER_ONLY(r->status);
    reply->bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    spare_events(r);
    if (reply->file != NULL) {
        /* Length and ranges are the file's; nothing leaves before it is known to be there. */
        reply->is_bodiless = 1;
        reply->length = -1;
        return NULL;
    }
    if (reply->length >= 0) {
        ap_set_content_length(r, reply->length);
    }
    keep_ranges(r);
    reply->is_dirty = 1;
    return NULL;
}

void tsgi_reply_reset(tsgi_reply_t *reply)
{
    request_rec *r = reply->r;
    if (!reply->is_head_set) {
        return;
    }
    if (reply->bb != NULL) {
        apr_brigade_cleanup(reply->bb);
    }
    apr_table_clear(r->headers_out);
    forget_file(r);
    r->clength = 0;
    r->status = reply->original_status;
    r->status_line = NULL;
    reply->file = NULL;
    reply->is_head_set = 0;
}

/* ---- interim responses -------------------------------------------------------------- */

const char *tsgi_reply_inform(tsgi_reply_t *reply, const uint8_t *payload, size_t n)
{
    request_rec *r = reply->r;
    tsgi_response_t response;
    tsgi_fields_t fields;
    tsgi_field_t field;
    const int rc = tsgi_response_decode(TSGI_T_INFORM, payload, n, &response, &fields);

    if (rc != 0) {
        return tsgi_wire_strerror(rc);
    }
    if (fields.left > MAX_HEADERS) {
        return "more than 1000 headers";
    }
    if (r->main != NULL || r->proto_num < HTTP_VERSION(1, 1)) {
        return NULL; /* nobody who could take it */
    }
    apr_table_t *headers_out = r->headers_out;
    const int status = r->status;
    const char *status_line = r->status_line;
    r->headers_out = apr_table_make(r->pool, (int)fields.left + 1);
    while (tsgi_fields_next(&fields, &field)) {
        const char *value = apr_pstrmemdup(r->pool, field.value.data, field.value.len);
        if (treatment_of(&field.name) == HEADER_PASS && is_clean(value)) {
            apr_table_addn(r->headers_out, field_name(r->pool, &field), value);
        }
    }
    r->status = response.status;
    /* httpd 2.4.68 has no name for 103 and would say "103 Status 103". */
    r->status_line = response.status == 103 ? "103 Early Hints" : NULL;
    ap_send_interim_response(r, 1);
    r->headers_out = headers_out;
    r->status = status;
    r->status_line = status_line;
    return NULL;
}

/* ---- body --------------------------------------------------------------------------- */

static apr_status_t pass(tsgi_reply_t *reply)
{
    const apr_status_t rv = ap_pass_brigade(reply->r->output_filters, reply->bb);
    apr_brigade_cleanup(reply->bb);
    reply->is_passed = 1;
    reply->passes++;
    reply->held = 0;
    if (rv == APR_SUCCESS && reply->r->connection->aborted) {
        return APR_ECONNABORTED;
    }
    return rv;
}

/* @return how many of n bytes belong to the response. */
static apr_size_t accept_bytes(tsgi_reply_t *reply, apr_size_t n)
{
    const apr_off_t before = reply->received;
    reply->received += (apr_off_t)n;
    if (reply->is_bodiless) {
        return 0;
    }
    if (reply->length < 0 || reply->received <= reply->length) {
        return n;
    }
    if (!reply->is_overrun) {
        reply->is_overrun = 1;
        ap_log_rerror(
            APLOG_MARK, APLOG_WARNING, 0, reply->r,
            TSGI_LOGNO(0187) "the response body is longer than its Content-Length "
                             "of %" APR_OFF_T_FMT "; the rest is dropped",
            reply->length);
    }
    return before < reply->length ? (apr_size_t)(reply->length - before) : 0;
}

static apr_status_t added(tsgi_reply_t *reply, apr_size_t n)
{
    reply->held += n;
    reply->is_dirty = 1;
    return reply->held >= TSGI_HELD_MAX ? pass(reply) : APR_SUCCESS;
}

/* Puts a copy behind what the last bucket holds. @return 0 if that has no room of its own. */
static int append_to_last(tsgi_reply_t *reply, const void *data, apr_size_t n)
{
    apr_bucket *last = APR_BRIGADE_LAST(reply->bb);
    if (last == APR_BRIGADE_SENTINEL(reply->bb) || !APR_BUCKET_IS_HEAP(last)) {
        return 0;
    }
    apr_bucket_heap *heap = last->data;
    const apr_size_t used = (apr_size_t)last->start + last->length;
    if (heap->refcount.refcount != 1 || heap->alloc_len - used < n) {
        return 0;
    }
    memcpy(heap->base + used, data, n);
    last->length += n;
    return 1;
}

/*
 * A copy of some bytes. The first piece gets a bucket of its size; small ones behind it share
 * larger ones: TSGI_HELD_MAX frames of one byte would else take hundreds of times their size.
 */
static void append_copy(tsgi_reply_t *reply, const void *data, apr_size_t n)
{
    apr_bucket_alloc_t *alloc = reply->r->connection->bucket_alloc;

    if (APR_BRIGADE_EMPTY(reply->bb) || n > COPY_MAX) {
        APR_BRIGADE_INSERT_TAIL(reply->bb, apr_bucket_heap_create(data, n, NULL, alloc));
        return;
    }
    if (!append_to_last(reply, data, n)) {
        char *base = apr_bucket_alloc(APR_BUCKET_BUFF_SIZE, alloc);
        apr_bucket *bucket =
            apr_bucket_heap_create(base, APR_BUCKET_BUFF_SIZE, apr_bucket_free, alloc);
        memcpy(base, data, n);
        bucket->length = n;
        APR_BRIGADE_INSERT_TAIL(reply->bb, bucket);
    }
}

apr_status_t tsgi_reply_copy(tsgi_reply_t *reply, const void *data, apr_size_t n)
{
    n = accept_bytes(reply, n);
    if (n == 0) {
        return APR_SUCCESS;
    }
    append_copy(reply, data, n);
    return added(reply, n);
}

char *tsgi_reply_alloc(tsgi_reply_t *reply)
{
    return apr_bucket_alloc(TSGI_HELD_MAX, reply->r->connection->bucket_alloc);
}

apr_status_t tsgi_reply_adopt(tsgi_reply_t *reply, char *data, apr_size_t n)
{
    const apr_size_t wanted = accept_bytes(reply, n);
    if (wanted <= COPY_MAX) {
        if (wanted > 0) {
            append_copy(reply, data, wanted);
        }
        apr_bucket_free(data);
        return wanted > 0 ? added(reply, wanted) : APR_SUCCESS;
    }
    /* alloc_len is what there is, not what is allocated: nothing is appended to it. */
    APR_BRIGADE_INSERT_TAIL(reply->bb,
                            apr_bucket_heap_create(data, wanted, apr_bucket_free,
                                                   reply->r->connection->bucket_alloc));
    return added(reply, wanted);
}

/* Names that a trailer must not have: they would change what the message is (RFC 9110
 * 6.5.1). */
static int is_forbidden_trailer(const tsgi_str_t *name)
{
    return treatment_of(name) != HEADER_PASS || NAME_IS("Host") ||
           NAME_IS("Set-Cookie") || NAME_IS("Content-Encoding") ||
           NAME_IS("Content-Range") || NAME_IS("Authorization") ||
           NAME_IS("Cache-Control");
}

const char *tsgi_reply_trailers(tsgi_reply_t *reply, const uint8_t *payload, size_t n)
{
    request_rec *r = reply->r;
    tsgi_fields_t fields;
    tsgi_field_t field;
    const int rc = tsgi_trailers_decode(payload, n, &fields);

    if (rc != 0) {
        return tsgi_wire_strerror(rc);
    }
    if (fields.left > MAX_HEADERS) {
        return "more than 1000 trailers";
    }
    while (tsgi_fields_next(&fields, &field)) {
        const char *value = apr_pstrmemdup(r->pool, field.value.data, field.value.len);
        if (!is_forbidden_trailer(&field.name) && is_clean(value)) {
            apr_table_addn(r->trailers_out, field_name(r->pool, &field), value);
        }
    }
    if (!apr_is_empty_table(r->trailers_out)) {
        reply->has_trailers = tsgi_trailers_add(r);
    }
    return NULL;
}

/* ---- end ---------------------------------------------------------------------------- */

static void insert(tsgi_reply_t *reply, apr_bucket *bucket)
{
    APR_BRIGADE_INSERT_TAIL(reply->bb, bucket);
}

apr_status_t tsgi_reply_pass(tsgi_reply_t *reply)
{
    reply->is_dirty = 0;
    return pass(reply);
}

apr_status_t tsgi_reply_flush(tsgi_reply_t *reply)
{
    insert(reply, apr_bucket_flush_create(reply->r->connection->bucket_alloc));
    reply->is_dirty = 0;
    return pass(reply);
}

int tsgi_reply_is_overfull(const tsgi_reply_t *reply)
{
    /* What an app writes too much by mistake is dropped without a fuss. */
    const apr_off_t wanted = reply->is_bodiless ? 0 : reply->length;
    return wanted >= 0 && reply->received - wanted > TSGI_HELD_MAX;
}

int tsgi_reply_is_complete(const tsgi_reply_t *reply)
{
    return reply->is_bodiless || reply->length < 0 || reply->received >= reply->length;
}

apr_status_t tsgi_reply_end(tsgi_reply_t *reply, int with_flush)
{
    apr_bucket_alloc_t *alloc = reply->r->connection->bucket_alloc;
    if (reply->has_trailers && !reply->is_passed) {
        /* httpd would find the length of a body that comes with its end. */
        const apr_status_t rv = tsgi_reply_flush(reply);
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    if (with_flush) {
        insert(reply, apr_bucket_flush_create(alloc));
    }
    insert(reply, apr_bucket_eos_create(alloc));
    return pass(reply);
}

/* What the app has said about the file holds; else httpd says it. */
static void set_validators(request_rec *r, apr_file_t *file)
{
    const char *modified = apr_table_get(r->headers_out, "Last-Modified");
    if (modified != NULL) {
        r->mtime = apr_date_parse_http(modified); /* what conditions are compared with */
    }
    else {
        ap_update_mtime(r, r->finfo.mtime);
        ap_set_last_modified(r);
    }
    if (apr_table_get(r->headers_out, "ETag") == NULL) {
        ap_set_etag_fd(r, file);
    }
}

apr_status_t tsgi_reply_send_file(tsgi_reply_t *reply, apr_file_t *file, int with_flush)
{
    request_rec *r = reply->r;
    int status = OK;

    set_validators(r, file);
    ap_set_accept_ranges(r);
    ap_set_content_length(r, r->finfo.size);
    if (r->status == HTTP_OK && r->method_number == M_GET) {
        status = ap_meets_conditions(r);
    }
    if (status != OK) {
        r->status = status;
        r->status_line = NULL;
    }
    else {
        apr_bucket *bucket =
            apr_brigade_insert_file(reply->bb, file, 0, r->finfo.size, r->pool);
        /* The app may shorten the file: a mapping would then be the death of this child. */
        (void)apr_bucket_file_enable_mmap(bucket, 0);
    }
    return tsgi_reply_end(reply, with_flush);
}

void tsgi_reply_truncate(tsgi_reply_t *reply)
{
    request_rec *r = reply->r;
    conn_rec *c = r->connection;

    /* As mod_proxy does: the error bucket keeps the chunk filter from sending the last
     * chunk and makes mod_http2 reset the stream; a body of known length stays short
     * and its connection ends. */
    r->no_cache = 1;
    if (r->main != NULL) {
        r->main->no_cache = 1;
    }
    c->keepalive = AP_CONN_CLOSE;
    insert(reply,
           ap_bucket_error_create(HTTP_BAD_GATEWAY, NULL, r->pool, c->bucket_alloc));
    insert(reply, apr_bucket_eos_create(c->bucket_alloc));
    (void)pass(reply);
}
