/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_trailers.h"

#include "apr_strings.h"
#include "http_protocol.h"
#include "util_filter.h"

#include <string.h>

#define FILTER_NAME "TSGI_TRAILERS"

/* How the chunk filter ends a body. */
static const char last_chunk[] = "0\r\n\r\n";
#define LAST_CHUNK_LENGTH (sizeof(last_chunk) - 1)
/* Of it, what stands behind the trailers. */
#define END_LENGTH 2

static apr_bucket *find_eos(apr_bucket_brigade *bb)
{
    for (apr_bucket *b = APR_BRIGADE_LAST(bb); b != APR_BRIGADE_SENTINEL(bb);
         b = APR_BUCKET_PREV(b)) {
        if (APR_BUCKET_IS_EOS(b)) {
            return b;
        }
    }
    return NULL;
}

/* @return the chunk filter's own bucket that ends the body, or NULL: it has written none. What a
 * worker sends is never in memory of that kind, and the chunk filter puts CRLF behind it. */
static apr_bucket *find_last_chunk(apr_bucket_brigade *bb, apr_bucket *eos)
{
    const char *data;
    apr_size_t n;
    apr_bucket *b = APR_BUCKET_PREV(eos);

    while (b != APR_BRIGADE_SENTINEL(bb) && APR_BUCKET_IS_METADATA(b)) {
        if (AP_BUCKET_IS_ERROR(b)) {
            return NULL;
        }
        b = APR_BUCKET_PREV(b);
    }
    if (b == APR_BRIGADE_SENTINEL(bb) || !APR_BUCKET_IS_IMMORTAL(b) ||
        apr_bucket_read(b, &data, &n, APR_NONBLOCK_READ) != APR_SUCCESS) {
        return NULL;
    }
    return n == LAST_CHUNK_LENGTH && memcmp(data, last_chunk, n) == 0 ? b : NULL;
}

/* Every field as "Name: value CRLF". */
static void insert_fields(request_rec *r, apr_bucket *before)
{
    const apr_array_header_t *array = apr_table_elts(r->trailers_out);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)array->elts;

    for (int i = 0; i < array->nelts; i++) {
        const char *line =
            apr_pstrcat(r->pool, entries[i].key, ": ", entries[i].val, "\r\n", NULL);
        APR_BUCKET_INSERT_BEFORE(before,
                                 apr_bucket_heap_create(line, strlen(line), NULL,
                                                        r->connection->bucket_alloc));
    }
}

static apr_status_t filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    apr_bucket *eos = find_eos(bb);

    if (eos != NULL) {
        apr_bucket *end = f->r->chunked ? find_last_chunk(bb, eos) : NULL;
        ap_remove_output_filter(f);
        if (end != NULL &&
            apr_bucket_split(end, LAST_CHUNK_LENGTH - END_LENGTH) == APR_SUCCESS) {
            insert_fields(f->r, APR_BUCKET_NEXT(end));
        }
    }
    return ap_pass_brigade(f->next, bb);
}

void tsgi_trailers_register(void)
{
    /* Below the chunk filter, which httpd adds when it has sent the head. */
    (void)ap_register_output_filter(FILTER_NAME, filter, NULL, AP_FTYPE_TRANSCODE + 1);
}

int tsgi_trailers_add(request_rec *r)
{
    if (r->main != NULL || r->connection->master != NULL ||
        r->proto_num < HTTP_VERSION(1, 1)) {
        return 0;
    }
    (void)ap_add_output_filter(FILTER_NAME, NULL, r, r->connection);
    return 1;
}
