/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_request.h"
#include "tsgi_error.h"
#include "tsgi_record.h"
#include "tsgi_tls.h"
#include "tsgi_upgrade.h"

#include "apr_lib.h"
#include "apr_strings.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_ssl.h"
#include "util_script.h"

#include <string.h>

#define REQUEST_ID_VARIABLE "TSGI_REQUEST_ID"

static tsgi_str_t str(const char *s)
{
    tsgi_str_t out = {s != NULL ? s : "", 0};
    const size_t length = strlen(out.data);
    /* httpd's own limits keep strings far below; should one not be, the encoder
     * refuses the rest. */
    out.len = length < UINT32_MAX ? (uint32_t)length : UINT32_MAX;
    return out;
}

/* ---- request id --------------------------------------------------------------------- */

const char *tsgi_request_id(request_rec *r)
{
    const char *id = apr_table_get(r->notes, TSGI_NOTE_REQUEST_ID);
    if (id != NULL) {
        return id;
    }
    /* The request that the access log shows: a redirect or a sub-request is a part of
     * it. */
    request_rec *top = r;
    while (top->main != NULL || top->prev != NULL) {
        top = top->main != NULL ? top->main : top->prev;
    }
    if (top->log_id == NULL) {
        /* mod_unique_id answers this hook with its UNIQUE_ID. */
        ap_run_generate_log_id(top->connection, top, &top->log_id);
    }
    id = apr_table_get(top->subprocess_env, "UNIQUE_ID");
    if (id == NULL) {
        id = top->log_id != NULL ? top->log_id : "-";
    }
    r->log_id = id;
    apr_table_setn(r->notes, TSGI_NOTE_REQUEST_ID, id);
    apr_table_setn(r->subprocess_env, REQUEST_ID_VARIABLE, id);
    return id;
}

/* ---- headers ------------------------------------------------------------------------ */

static int name_is(const char *name, size_t length, const char *wanted,
                   size_t wanted_length)
{
    return length == wanted_length && ap_cstr_casecmpn(name, wanted, length) == 0;
}
#define NAME_IS(wanted) name_is(name, length, wanted, sizeof(wanted) - 1)

/* What decides about the headers of one request. */
typedef struct {
    request_rec *r;
    int has_body, has_length; /* a body; one whose length is known */
    int tells_chunked;        /* Transfer-Encoding has been passed on */
    int passes_authorization;
    int is_upgrade;
    const char *named; /* by Connection, beyond what is left out anyhow; NULL = nothing */
} filter_t;

/* Does `Connection:` name something that this module does not leave out in any case? */
static int names_more(const char *value)
{
    return ap_cstr_casecmp(value, "keep-alive") != 0 &&
           ap_cstr_casecmp(value, "close") != 0 &&
           ap_cstr_casecmp(value, "upgrade") != 0 &&
           ap_cstr_casecmp(value, "keep-alive, upgrade") != 0;
}

static void note_connection(filter_t *filter, const char *value)
{
    if (names_more(value)) {
        filter->named =
            filter->named == NULL
                ? value
                : apr_pstrcat(filter->r->pool, filter->named, ",", value, NULL);
    }
}

/*
 * Apps speak HTTP/1.1, where a request without Content-Length and Transfer-Encoding has no
 * body: parsers of bodies (body-parser, multer) ask for these headers before they read.
 */
static int passes_encoding(filter_t *filter)
{
    filter->tells_chunked = filter->has_body && !filter->has_length;
    return filter->tells_chunked;
}

/* @return 1 if the header goes to the worker. The switch by length spares most names
 * any comparison. */
static int header_passes(filter_t *filter, const char *name, size_t length,
                         const char *value)
{
    switch (length) {
    case 2:
        return !NAME_IS("TE") || ap_cstr_casecmp(value, "trailers") == 0;
    case 5:
        return !NAME_IS("Proxy"); /* httpoxy */
    case 6:
        return !NAME_IS("Expect") || filter->has_body;
    case 7:
        return !NAME_IS("Upgrade") || filter->is_upgrade;
    case 10:
        if (NAME_IS("Connection")) {
            note_connection(filter, value);
            return filter->is_upgrade;
        }
        return !NAME_IS("Keep-Alive");
    case 13:
        return !NAME_IS("Authorization") || filter->passes_authorization;
    case 14:
        return !NAME_IS("Content-Length") || filter->has_length ||
               (!filter->has_body && strcmp(value, "0") == 0);
    case 16:
        return !NAME_IS("Proxy-Connection");
    case 17:
        return !NAME_IS("Transfer-Encoding") || passes_encoding(filter);
    case 19:
        return !NAME_IS("Proxy-Authorization") || filter->r->ap_auth_type == NULL;
    default:
        return 1;
    }
}

/*
 * RFC 9110 section 7.6.1: what Connection names is for this hop only. But a client must
 * not be able to take away what others rely on, its address in X-Forwarded-For, say:
 * headers that are known to be end-to-end (those of the wire's table among them) stay.
 */
static int is_protected(const char *name, size_t length)
{
    char lower[64];
    if (length >= sizeof(lower)) {
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        lower[i] = (char)apr_tolower(name[i]);
    }
    lower[length] = '\0';
    return tsgi_token_find(lower, length) != 0 ||
           strncmp(lower, "x-forwarded-", 12) == 0 || strncmp(lower, "content-", 8) == 0;
}

static void remove_named(tsgi_head_t *head, request_rec *r, const char *named)
{
    size_t kept = 0;
    for (size_t i = 0; i < head->nheaders; i++) {
        const tsgi_str_t *name = &head->headers[i].name;
        if (is_protected(name->data, name->len) ||
            !ap_find_token(r->pool, named, name->data)) {
            head->headers[kept++] = head->headers[i];
        }
    }
    head->nheaders = kept;
}

static void build_headers(filter_t *filter, tsgi_head_t *head)
{
    const apr_array_header_t *array = apr_table_elts(tsgi_record_headers(filter->r));
    const apr_table_entry_t *entries = (const apr_table_entry_t *)array->elts;
    tsgi_field_t *field = apr_palloc(
        filter->r->pool, sizeof(*field) * ((size_t)array->nelts + 1)); /* one is added */

    head->headers = field;
    for (int i = 0; i < array->nelts; i++) {
        if (entries[i].key == NULL) {
            continue;
        }
        field->name = str(entries[i].key);
        /* Odd characters are the encoder's to find. */
        if (!header_passes(filter, field->name.data, field->name.len, entries[i].val)) {
            continue;
        }
        field->value = str(entries[i].val);
        field++;
    }
    /* HTTP/2 frames bodies by itself; a filter may have changed the length. */
    if (filter->has_body && !filter->has_length && !filter->tells_chunked) {
        field->name = str("Transfer-Encoding");
        field->value = str("chunked");
        field++;
    }
    head->nheaders = (size_t)(field - head->headers);
    if (filter->named != NULL) {
        remove_named(head, filter->r, filter->named);
    }
}

/* What is the module's own, or would pass for a fact. */
static int is_reserved(const char *name)
{
    return (name[0] == 'T' && strcmp(name, REQUEST_ID_VARIABLE) == 0) ||
           (name[0] == 't' &&
            strncmp(name, TSGI_FACT_PREFIX, sizeof(TSGI_FACT_PREFIX) - 1) == 0);
}

static void build_vars(request_rec *r, tsgi_head_t *head)
{
    /* An ErrorDocument or another internal redirect: where it came from, as
     * ap_add_common_vars() names it. The other REDIRECT_ variables httpd has put there
     * itself. */
    if (r->prev != NULL) {
        apr_table_setn(r->subprocess_env, "REDIRECT_URL", r->prev->uri);
        if (r->prev->args != NULL) {
            apr_table_setn(r->subprocess_env, "REDIRECT_QUERY_STRING", r->prev->args);
        }
    }

    const apr_array_header_t *array = apr_table_elts(r->subprocess_env);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)array->elts;
    tsgi_field_t *field =
        apr_palloc(r->pool, sizeof(*field) * ((size_t)array->nelts + TSGI_TLS_FACTS));

    head->vars = field;
    field +=
        tsgi_tls_facts(r, field); /* before the others, where the worker looks for them */
    for (int i = 0; i < array->nelts; i++) {
        const char *name = entries[i].key;
        if (name == NULL || name[0] == '\0' || is_reserved(name)) {
            continue;
        }
        field->name = str(name);
        field->value = str(entries[i].val);
        field++;
    }
    head->nvars = (size_t)(field - head->vars);
}

/* ---- body --------------------------------------------------------------------------- */

/* The client's body is for the main request; an error document's GET has none. */
static int has_body(request_rec *r)
{
    if (r->main != NULL || (r->prev != NULL && ap_is_HTTP_ERROR(r->status))) {
        return 0;
    }
    return ap_request_has_body(r);
}

static int is_safe_without_started(request_rec *r)
{
    return r->method_number == M_GET || r->method_number == M_OPTIONS;
}

/* Sets flags and content_length. @return OK or HTTP_BAD_REQUEST. */
static int build_body(filter_t *filter, tsgi_request_t *out)
{
    request_rec *r = filter->r;
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t value = -1;

    out->content_length = -1;
    filter->has_body = !filter->is_upgrade && has_body(r);
    if (!filter->has_body) {
        out->content_length = length != NULL && strcmp(length, "0") == 0 ? 0 : -1;
        out->flags |= is_safe_without_started(r) ? 0 : TSGI_R_STARTED;
        return OK;
    }
    out->flags |= TSGI_R_BODY | TSGI_R_STARTED;
    if (r->expecting_100) {
        out->flags |= TSGI_R_EXPECT;
    }
    /* Filters of the resource, mod_deflate's say, may change the length; then it is
     * not known. */
    if (length != NULL && apr_table_get(r->headers_in, "Transfer-Encoding") == NULL) {
        if (!ap_parse_strict_length(&value, length)) {
            return HTTP_BAD_REQUEST;
        }
        if (r->input_filters == r->proto_input_filters) {
            out->content_length = value;
            filter->has_length = 1;
            return OK;
        }
    }
    out->flags |= TSGI_R_CHUNKED;
    return OK;
}

/* ---- the rest ----------------------------------------------------------------------- */

static void build_strings(request_rec *r, const tsgi_route_t *route, tsgi_str_t *s)
{
    s[TSGI_S_METHOD] = str(r->method);
    s[TSGI_S_URI] = str(route->target);
    s[TSGI_S_PROTOCOL] = str(r->protocol);
    s[TSGI_S_SCHEME] = str(ap_http_scheme(r));
    s[TSGI_S_SCRIPT] = str(route->script);
    s[TSGI_S_SCRIPT_NAME] = str(route->mount);
    s[TSGI_S_PATH_INFO] = str(route->path_info);
    s[TSGI_S_QUERY] = str(r->args);
    s[TSGI_S_SERVER_NAME] = str(ap_get_server_name(r));
    s[TSGI_S_SERVER_SOFTWARE] = str(ap_get_server_banner());
    s[TSGI_S_DOCUMENT_ROOT] = str(ap_document_root(r));
    s[TSGI_S_REMOTE_ADDR] = str(r->useragent_ip);
    s[TSGI_S_LOCAL_ADDR] = str(r->connection->local_ip);
    s[TSGI_S_REMOTE_USER] = str(r->user);
    s[TSGI_S_AUTH_TYPE] = str(r->ap_auth_type);
    s[TSGI_S_REQUEST_ID] = str(tsgi_request_id(r));
}

static int passes_authorization(request_rec *r, tsgi_pass_t rule)
{
    return rule == TSGI_PASS_ON || (rule == TSGI_PASS_AUTO && r->ap_auth_type == NULL);
}

int tsgi_request_build(request_rec *r, const tsgi_route_t *route, tsgi_head_t *head)
{
    tsgi_request_t *out = &head->request;
    filter_t filter = {.r = r};

    memset(head, 0, sizeof(*head));
    filter.passes_authorization = passes_authorization(r, route->pass_authorization);
    build_strings(r, route, out->s);
    out->mount_length = route->mount_length;
    out->flags = ap_ssl_conn_is_ssl(r->connection) ? TSGI_R_TLS : 0;
    out->http_major = (uint8_t)HTTP_VERSION_MAJOR(r->proto_num);
    out->http_minor = (uint8_t)HTTP_VERSION_MINOR(r->proto_num);
    out->server_port = (uint16_t)ap_get_server_port(r);
    out->remote_port = r->useragent_addr != NULL ? r->useragent_addr->port : 0;
    out->local_port =
        r->connection->local_addr != NULL ? r->connection->local_addr->port : 0;
    out->flags |= tsgi_upgrade_flags(r);
    filter.is_upgrade = (out->flags & TSGI_R_UPGRADE) != 0;
    const int status = build_body(&filter, out);
    if (status != OK) {
        return status;
    }
    build_headers(&filter, head);
    build_vars(r, head);
    return OK;
}

/* ---- writing ------------------------------------------------------------------------ */

/* Takes out what the encoder refuses. Rare, hence not done before it has refused
 * something. */
static void make_sane(tsgi_head_t *head)
{
    size_t kept = 0;
    for (size_t i = 0; i < head->nheaders; i++) {
        if (tsgi_name_valid(head->headers[i].name.data, head->headers[i].name.len)) {
            head->headers[kept++] = head->headers[i];
        }
    }
    head->nheaders = kept;
    kept = 0;
    for (size_t i = 0; i < head->nvars; i++) {
        tsgi_field_t *var = &head->vars[i];
        if (var->name.len <= TSGI_MAX_TEXT && strpbrk(var->name.data, "=\r\n") == NULL) {
            head->vars[kept++] = *var;
        }
    }
    head->nvars = kept;
    head->is_sane = 1;
}

static long encode(const tsgi_head_t *head, uint8_t *out, size_t size)
{
    return tsgi_request_encode(out, size, &head->request, head->headers, head->nheaders,
                               head->vars, head->nvars);
}

/* Encodes behind the first `at` bytes of connection->out; a size is computed only if
 * it is needed. */
static long encode_growing(const tsgi_head_t *head, tsgi_connection_t *connection,
                           size_t at)
{
    long n = encode(head, connection->out + at, connection->out_size - at);
    if (n != TSGI_E_SPACE) {
        return n;
    }
    const size_t size = tsgi_request_size(&head->request, head->headers, head->nheaders,
                                          head->vars, head->nvars);
    if (size == 0) {
        return TSGI_E_SPACE;
    }
    if (!tsgi_connection_reserve(connection, at + size)) {
        return 0;
    }
    return encode(head, connection->out + at, connection->out_size - at);
}

long tsgi_request_write(request_rec *r, tsgi_head_t *head, tsgi_connection_t *connection,
                        const unsigned char *secret)
{
    size_t at = 0;
    if (!connection->is_authed) {
        tsgi_auth_t auth = {.major = TSGI_WIRE_MAJOR, .minor = TSGI_WIRE_MINOR};
        memcpy(auth.secret, secret, sizeof(auth.secret));
        tsgi_auth_encode(connection->out, &auth);
        at = TSGI_FRAME_HEADER + TSGI_AUTH_SIZE;
    }
    if (connection->minor == 0) {
        head->request.flags &= ~(uint32_t)(TSGI_R_UPGRADE | TSGI_R_PASS); /* of 1.1 */
    }
    long n = encode_growing(head, connection, at);
    if ((n == TSGI_E_NAME || n == TSGI_E_TEXT) && !head->is_sane) {
        make_sane(head);
        n = encode_growing(head, connection, at);
    }
    return n > 0 ? (long)at + n : n;
}
