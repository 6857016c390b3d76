/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_record.h"
#include "tsgi_client_conn.h"
#include "tsgi_config.h"

#include "apr_strings.h"
#include "http_connection.h"
#include "http_protocol.h"
#include "http_request.h"
#include "util_filter.h"

#include <string.h>

#define FILTER_NAME "TSGI_RECORD"
#define FIRST_SIZE 2048
/* Heads beyond this are passed on with their repeats joined. */
#define MAX_SIZE (1024 * 1024)
#define MAX_FIELDS 256

/** What the lines that come next belong to. */
typedef enum {
    PART_NONE,    /* to no head: a body, or another protocol */
    PART_REQUEST, /* the request line, or empty lines before it */
    PART_HEADERS,
    PART_UNKNOWN /* a head that cannot be kept */
} part_t;

typedef struct tsgi_record {
    part_t part;
    char *lines; /* the header lines so far, each with its line end */
    apr_size_t length, size;
    apr_size_t line;         /* where the line that has not ended begins */
    apr_size_t request_line; /* bytes of the request line so far */
    int nlines;
    /* field_t of the request that is served now, in the order in which they came; NULL: no
     * name came twice */
    const apr_array_header_t *repeats;
} record_t;

static record_t *record_of(const conn_rec *c)
{
    const tsgi_client_conn_t *conn = tsgi_client_conn_of(c);
    return conn != NULL ? conn->record : NULL;
}

/* A header as it came. */
typedef struct {
    const char *name, *value;
    int is_repeated; /* not the first of its name */
} field_t;

/* ---- keeping lines ------------------------------------------------------------------ */

static int make_room(record_t *record, apr_pool_t *pool, apr_size_t n)
{
    apr_size_t size = record->size != 0 ? record->size : FIRST_SIZE;
    if (n > MAX_SIZE - record->length) {
        return 0;
    }
    while (size < record->length + n) {
        size *= 2;
    }
    if (size != record->size) {
        char *larger = apr_palloc(pool, size);
        if (record->length > 0) {
            memcpy(larger, record->lines, record->length);
        }
        record->lines = larger;
        record->size = size;
    }
    return 1;
}

/* A header line is whole. An empty one ends the head; one that goes on from the line before
 * (RFC 9112 section 5.2) is left to the core. */
static void end_line(record_t *record)
{
    const char *line = record->lines + record->line;
    const apr_size_t n = record->length - record->line;

    if (line[0] == '\n' || (n == 2 && line[0] == '\r')) {
        record->length = record->line;
        record->part = PART_NONE;
        return;
    }
    if (line[0] == ' ' || line[0] == '\t') {
        record->part = PART_UNKNOWN;
        return;
    }
    record->nlines++;
    record->line = record->length;
}

/* data ends with a line end, or the line goes on with the next call. */
static void keep(record_t *record, apr_pool_t *pool, const char *data, apr_size_t n)
{
    const int is_end = data[n - 1] == '\n';

    if (record->part == PART_REQUEST) {
        record->request_line += n;
        if (is_end && record->request_line > 2) {
            record->part = PART_HEADERS;
        }
        else if (is_end) {
            record->request_line = 0; /* an empty line before it: RFC 9112 section 2.2 */
        }
        return;
    }
    if (!make_room(record, pool, n)) {
        record->part = PART_UNKNOWN;
        return;
    }
    memcpy(record->lines + record->length, data, n);
    record->length += n;
    if (is_end) {
        end_line(record);
    }
}

static apr_status_t filter(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode,
                           apr_read_type_e block, apr_off_t readbytes)
{
    record_t *record = f->ctx;
    const apr_status_t rv = ap_get_brigade(f->next, bb, mode, block, readbytes);

    if (mode != AP_MODE_GETLINE || rv != APR_SUCCESS) {
        return rv;
    }
    for (apr_bucket *e = APR_BRIGADE_FIRST(bb); e != APR_BRIGADE_SENTINEL(bb);
         e = APR_BUCKET_NEXT(e)) {
        const char *data;
        apr_size_t n;
        if (record->part != PART_REQUEST && record->part != PART_HEADERS) {
            break;
        }
        if (APR_BUCKET_IS_METADATA(e)) {
            continue;
        }
        if (apr_bucket_read(e, &data, &n, APR_NONBLOCK_READ) != APR_SUCCESS) {
            record->part = PART_UNKNOWN;
        }
        else if (n > 0) {
            keep(record, f->c->pool, data, n);
        }
    }
    return rv;
}

/* ---- hooks -------------------------------------------------------------------------- */

void tsgi_record_register(void)
{
    /* Nearer to the request than TLS. */
    (void)ap_register_input_filter(FILTER_NAME, filter, NULL, AP_FTYPE_CONNECTION);
}

int tsgi_record_connection(conn_rec *c, void *csd)
{
    const tsgi_global_conf_t *global = tsgi_config_global(c->base_server->process->pconf);
    if (c->master == NULL && global->groups->nelts > 0) {
        tsgi_client_conn_t *conn = apr_pcalloc(c->pool, sizeof(*conn));
        conn->record = apr_pcalloc(c->pool, sizeof(*conn->record));
        ap_set_module_config(c->conn_config, &tsgi_module, conn);
        (void)ap_add_input_filter(FILTER_NAME, conn->record, NULL, c);
    }
    return OK;
}

void tsgi_record_begin(request_rec *r, conn_rec *c)
{
    record_t *record = record_of(c);
    if (record != NULL) {
        record->part = PART_REQUEST;
        record->length = record->line = record->request_line = 0;
        record->nlines = 0;
        record->repeats = NULL;
    }
}

/* Splits a line in place. @return 0 if it is none that the core would take. */
static int split_line(char *line, apr_size_t n, field_t *field)
{
    char *end = line + n - 1; /* at its \n */
    char *colon = memchr(line, ':', n);
    if (colon == NULL) {
        return 0;
    }
    while (end > colon + 1 && (end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    *end = *colon = '\0';
    field->name = line;
    field->value = colon + 1;
    while (*field->value == ' ' || *field->value == '\t') {
        field->value++;
    }
    return 1;
}

static int is_named_before(const apr_array_header_t *fields, const char *name)
{
    for (int i = 0; i < fields->nelts; i++) {
        if (ap_cstr_casecmp(APR_ARRAY_IDX(fields, i, field_t).name, name) == 0) {
            return 1;
        }
    }
    return 0;
}

/* @return the fields if a name stands there twice, else NULL. */
static const apr_array_header_t *find_repeats(const record_t *record, apr_pool_t *pool)
{
    apr_array_header_t *fields = apr_array_make(pool, record->nlines, sizeof(field_t));
    char *line = apr_pstrmemdup(pool, record->lines, record->length);
    char *const end = line + record->length;
    int repeats = 0;

    while (line < end) {
        char *eol = memchr(line, '\n', (apr_size_t)(end - line));
        field_t field = {0};
        if (eol == NULL || !split_line(line, (apr_size_t)(eol - line) + 1, &field)) {
            return NULL;
        }
        field.is_repeated = is_named_before(fields, field.name);
        repeats += field.is_repeated;
        APR_ARRAY_PUSH(fields, field_t) = field;
        line = eol + 1;
    }
    return repeats > 0 ? fields : NULL;
}

int tsgi_record_compare(request_rec *r)
{
    record_t *record = record_of(r->connection);
    if (record == NULL) {
        return DECLINED;
    }
    const int is_whole = record->part == PART_NONE;
    record->part = PART_NONE; /* lines that come now belong to a body */
    /* Joined headers are fewer than the lines; so they are where the core has taken one
     * away, which costs a look for nothing. */
    if (is_whole && record->nlines != apr_table_elts(r->headers_in)->nelts &&
        record->nlines <= MAX_FIELDS) {
        record->repeats = find_repeats(record, r->pool);
    }
    return DECLINED;
}

/* ---- the list ----------------------------------------------------------------------- */

/* Is `now` what the core has made of all values of this name, joined by ", "? */
static int is_as_joined(const apr_array_header_t *fields, const char *name,
                        const char *now)
{
    const char *separator = "";
    for (int i = 0; i < fields->nelts; i++) {
        const field_t *field = &APR_ARRAY_IDX(fields, i, field_t);
        if (ap_cstr_casecmp(field->name, name) != 0) {
            continue;
        }
        const size_t gap = strlen(separator), n = strlen(field->value);
        if (strncmp(now, separator, gap) != 0 ||
            strncmp(now + gap, field->value, n) != 0) {
            return 0;
        }
        now += gap + n;
        separator = ", ";
    }
    return *now == '\0';
}

/* What modules have set that the client did not send. */
static void add_others(apr_table_t *list, const apr_array_header_t *fields,
                       const apr_table_t *headers)
{
    const apr_array_header_t *array = apr_table_elts(headers);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)array->elts;
    for (int i = 0; i < array->nelts; i++) {
        if (entries[i].key != NULL && !is_named_before(fields, entries[i].key)) {
            apr_table_addn(list, entries[i].key, entries[i].val);
        }
    }
}

const apr_table_t *tsgi_record_headers(request_rec *r)
{
    const record_t *record = record_of(r->connection);
    if (record == NULL || record->repeats == NULL) {
        return r->headers_in;
    }
    const apr_array_header_t *fields = record->repeats;
    apr_table_t *list = apr_table_make(r->pool, fields->nelts + 8);
    for (int i = 0; i < fields->nelts; i++) {
        const field_t *field = &APR_ARRAY_IDX(fields, i, field_t);
        const char *now = apr_table_get(r->headers_in, field->name);
        if (now == NULL) {
            continue; /* a module has taken it away */
        }
        if (is_as_joined(fields, field->name, now)) {
            apr_table_addn(list, field->name, field->value);
        }
        else if (!field->is_repeated) {
            apr_table_addn(list, field->name, now);
        }
    }
    add_others(list, fields, r->headers_in);
    return list;
}
