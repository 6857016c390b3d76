/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/*
 * Payloads with strings and lists of fields: REQUEST, RESPONSE, INFORM, END, BODY_END.
 */
#include "tsgi_wire.h"

#include <limits.h>
#include <string.h>

#include "tsgi_bytes.h"

#define REQUEST_FIXED 32
#define RESPONSE_FIXED 4
#define TRAILERS_FIXED 2
#define REQUEST_FLAGS                                                                    \
    (TSGI_R_TLS | TSGI_R_BODY | TSGI_R_CHUNKED | TSGI_R_EXPECT | TSGI_R_STARTED |        \
     TSGI_R_UPGRADE | TSGI_R_PASS)

/* First byte of a length: below MARK16 the length itself, else what follows it. */
#define MARK16 254
#define MARK32 255

/* Variables are named by Apache's configuration; no headers, so without tokens. */
typedef enum { HEADERS, VARIABLES } kind_t;

/* ---- what may stand in a field ---------------------------------------------------- */

static int variable_name_valid(const char *name, size_t len)
{
    return len > 0 && len <= TSGI_MAX_TEXT && tsgi_value_valid(name, len) &&
           memchr(name, '=', len) == NULL;
}

static int name_valid(kind_t kind, const char *name, size_t len)
{
    return kind == HEADERS ? tsgi_name_valid(name, len) : variable_name_valid(name, len);
}

/* Variables may hold lines, as SSL_CLIENT_CERT does: nothing that they say becomes text of HTTP. */
static int value_valid(kind_t kind, const tsgi_str_t *value)
{
    return kind == HEADERS
               ? tsgi_value_valid(value->data, value->len)
               : value->len == 0 || memchr(value->data, 0, value->len) == NULL;
}

/* ---- sizes ------------------------------------------------------------------------ */

static uint64_t string_size(uint32_t len)
{
    const unsigned length_bytes = len < MARK16 ? 1 : len <= UINT16_MAX ? 3 : 5;
    return (uint64_t)length_bytes + len;
}

static uint64_t fields_size(kind_t kind, const tsgi_field_t *fields, size_t n)
{
    uint64_t size = 0;
    for (size_t i = 0; i < n; i++) {
        const tsgi_str_t *name = &fields[i].name;
        size += 1 + string_size(fields[i].value.len);
        if (kind == VARIABLES || tsgi_token_find(name->data, name->len) == 0) {
            size += string_size(name->len);
        }
    }
    return size;
}

static size_t frame_size(uint64_t payload, uint64_t max)
{
    return payload > max ? 0 : TSGI_FRAME_HEADER + (size_t)payload;
}

/* ---- writing ---------------------------------------------------------------------- */

/* After an error nothing more is written, and the first error stays. */
typedef struct {
    uint8_t *p, *end;
    int full;  /* what running into end means: TSGI_E_SPACE or TSGI_E_SIZE */
    int error; /* 0 or TSGI_E_* */
} writer_t;

static writer_t writer_open(uint8_t *out, size_t cap, size_t max)
{
    writer_t w = {.full = TSGI_E_SPACE};
    if (cap < TSGI_FRAME_HEADER) {
        w.error = TSGI_E_SPACE;
        return w;
    }
    if (cap > TSGI_FRAME_HEADER + max) {
        cap = TSGI_FRAME_HEADER + max;
        w.full = TSGI_E_SIZE;
    }
    /* The header is written last, when the length is known. */
    w.p = out + TSGI_FRAME_HEADER;
    w.end = out + cap;
    return w;
}

/* Room for n bytes, NULL if there is none. */
static uint8_t *writer_take(writer_t *w, size_t n)
{
    if (w->error != 0) {
        return NULL;
    }
    if ((size_t)(w->end - w->p) < n) {
        w->error = w->full;
        return NULL;
    }
    uint8_t *p = w->p;
    w->p += n;
    return p;
}

static void writer_fail(writer_t *w, int error)
{
    if (w->error == 0) {
        w->error = error;
    }
}

static long writer_close(writer_t *w, uint8_t *out, uint8_t type, uint8_t flags)
{
    if (w->error != 0) {
        return w->error;
    }
    const size_t total = (size_t)(w->p - out);
    tsgi_frame_encode(out, type, flags, (uint32_t)(total - TSGI_FRAME_HEADER));
    return (long)total;
}

static void write_string(writer_t *w, const tsgi_str_t *s)
{
    uint8_t *p = writer_take(w, (size_t)(string_size(s->len) - s->len));
    if (p == NULL) {
        return;
    }
    if (s->len < MARK16) {
        p[0] = (uint8_t)s->len;
    }
    else if (s->len <= UINT16_MAX) {
        p[0] = MARK16;
        put16(p + 1, (uint16_t)s->len);
    }
    else {
        p[0] = MARK32;
        put32(p + 1, s->len);
    }
    p = writer_take(w, s->len);
    if (p != NULL && s->len > 0) {
        memcpy(p, s->data, s->len);
    }
}

static void write_field(writer_t *w, kind_t kind, const tsgi_field_t *field)
{
    const tsgi_str_t *name = &field->name;
    const uint8_t token = kind == HEADERS ? tsgi_token_find(name->data, name->len) : 0;
    if (token == 0 && !name_valid(kind, name->data, name->len)) {
        writer_fail(w, TSGI_E_NAME);
        return;
    }
    if (!value_valid(kind, &field->value)) {
        writer_fail(w, TSGI_E_TEXT);
        return;
    }
    uint8_t *p = writer_take(w, 1);
    if (p != NULL) {
        *p = token;
    }
    if (token == 0) {
        write_string(w, name);
    }
    write_string(w, &field->value);
}

static void write_fields(writer_t *w, kind_t kind, const tsgi_field_t *fields, size_t n)
{
    for (size_t i = 0; i < n && w->error == 0; i++) {
        write_field(w, kind, &fields[i]);
    }
}

/* ---- reading ---------------------------------------------------------------------- */

typedef struct {
    const uint8_t *p, *end;
} reader_t;

/* The next n bytes, NULL if there are fewer. */
static const uint8_t *reader_take(reader_t *r, size_t n)
{
    if ((size_t)(r->end - r->p) < n) {
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    return p;
}

/* A length has one form, the shortest: what was decoded encodes to the same bytes. */
static int read_length(reader_t *r, uint32_t *out)
{
    const uint8_t *p = reader_take(r, 1);
    if (p == NULL) {
        return TSGI_E_TRUNCATED;
    }
    if (*p < MARK16) {
        *out = *p;
        return 0;
    }
    const int wide = *p == MARK32;
    p = reader_take(r, wide ? 4 : 2);
    if (p == NULL) {
        return TSGI_E_TRUNCATED;
    }
    *out = wide ? get32(p) : get16(p);
    return *out < (wide ? UINT16_MAX + 1u : MARK16) ? TSGI_E_VALUE : 0;
}

static int read_string(reader_t *r, tsgi_str_t *out)
{
    uint32_t len;
    const int error = read_length(r, &len);
    if (error != 0) {
        return error;
    }
    const uint8_t *p = reader_take(r, len);
    if (p == NULL) {
        return TSGI_E_TRUNCATED;
    }
    out->data = (const char *)p;
    out->len = len;
    return 0;
}

static int read_name(reader_t *r, kind_t kind, tsgi_field_t *out)
{
    const uint8_t *token = reader_take(r, 1);
    if (token == NULL) {
        return TSGI_E_TRUNCATED;
    }
    out->token = *token;
    if (*token == 0) {
        const int error = read_string(r, &out->name);
        if (error != 0) {
            return error;
        }
        return name_valid(kind, out->name.data, out->name.len) ? 0 : TSGI_E_NAME;
    }
    size_t len;
    const char *name = kind == HEADERS ? tsgi_token_name(*token, &len) : NULL;
    if (name == NULL) {
        return TSGI_E_VALUE;
    }
    out->name.data = name;
    out->name.len = (uint32_t)len;
    return 0;
}

static int read_field(reader_t *r, kind_t kind, tsgi_field_t *out)
{
    int error = read_name(r, kind, out);
    if (error == 0) {
        error = read_string(r, &out->value);
    }
    if (error == 0 && !value_valid(kind, &out->value)) {
        error = TSGI_E_TEXT;
    }
    return error;
}

/* Walks over a list, checks it, and leaves it in *out for tsgi_fields_next(). */
static int read_fields(reader_t *r, kind_t kind, uint32_t count, tsgi_fields_t *out)
{
    out->p = r->p;
    out->left = count;
    for (uint32_t i = 0; i < count; i++) {
        tsgi_field_t field;
        const int error = read_field(r, kind, &field);
        if (error != 0) {
            return error;
        }
    }
    out->end = r->p;
    return 0;
}

int tsgi_fields_next(tsgi_fields_t *list, tsgi_field_t *out)
{
    if (list->left == 0) {
        return 0;
    }
    /* Checked before; lengths are checked again, so that a list that did not come from a
     * decoder cannot lead outside of its bounds. */
    reader_t r = {list->p, list->end};
    const uint8_t *token = reader_take(&r, 1);
    if (token == NULL) {
        return 0;
    }
    out->token = *token;
    size_t len = 0;
    out->name.data = tsgi_token_name(*token, &len);
    out->name.len = (uint32_t)len;
    if ((*token == 0 ? read_string(&r, &out->name) != 0 : out->name.data == NULL) ||
        read_string(&r, &out->value) != 0) {
        return 0;
    }
    list->p = r.p;
    list->left--;
    return 1;
}

/* ---- REQUEST ---------------------------------------------------------------------- */

/* Strings that Apache has decoded or read from a file system may hold CR and LF. */
static int string_may_hold_lines(unsigned index)
{
    switch (index) {
    case TSGI_S_SCRIPT:
    case TSGI_S_SCRIPT_NAME:
    case TSGI_S_PATH_INFO:
    case TSGI_S_QUERY:
    case TSGI_S_DOCUMENT_ROOT:
    case TSGI_S_REMOTE_USER:
        return 1;
    default:
        return 0;
    }
}

static int check_string(unsigned index, const tsgi_str_t *s)
{
    if (s->len == 0) {
        return 0;
    }
    if (!string_may_hold_lines(index)) {
        return tsgi_value_valid(s->data, s->len) ? 0 : TSGI_E_TEXT;
    }
    return memchr(s->data, 0, s->len) == NULL ? 0 : TSGI_E_TEXT;
}

static int str_is(const tsgi_str_t *s, const char *text)
{
    const size_t len = strlen(text);
    return s->len == len && memcmp(s->data, text, len) == 0;
}

/* What holds for the values of every request head, at both ends. */
static int check_request(const tsgi_request_t *request)
{
    const tsgi_str_t *s = request->s;
    for (unsigned i = 0; i < TSGI_S_COUNT; i++) {
        const int error = check_string(i, &s[i]);
        if (error != 0) {
            return error;
        }
    }
    if (!tsgi_name_valid(s[TSGI_S_METHOD].data, s[TSGI_S_METHOD].len)) {
        return TSGI_E_NAME;
    }
    const int has_body = (request->flags & TSGI_R_BODY) != 0;
    const int is_chunked = (request->flags & TSGI_R_CHUNKED) != 0;
    const int is_upgrade = (request->flags & TSGI_R_UPGRADE) != 0;
    const int is_passable = (request->flags & TSGI_R_PASS) != 0;
    const int is_good =
        (request->flags & ~(uint32_t)REQUEST_FLAGS) == 0 && s[TSGI_S_URI].len > 0 &&
        request->mount_length <= s[TSGI_S_URI].len && s[TSGI_S_SCRIPT].len > 0 &&
        s[TSGI_S_SCRIPT].data[0] == '/' &&
        (str_is(&s[TSGI_S_SCHEME], "http") || str_is(&s[TSGI_S_SCHEME], "https")) &&
        request->content_length >= -1 && (has_body || request->content_length <= 0) &&
        (!is_chunked || (has_body && request->content_length == -1)) &&
        (!is_upgrade || !has_body) && (!is_passable || is_upgrade) &&
        request->http_major <= 9 && request->http_minor <= 9;
    return is_good ? 0 : TSGI_E_VALUE;
}

size_t tsgi_request_size(const tsgi_request_t *request, const tsgi_field_t *headers,
                         size_t nheaders, const tsgi_field_t *vars, size_t nvars)
{
    if (nheaders > TSGI_MAX_FIELDS || nvars > TSGI_MAX_FIELDS) {
        return 0;
    }
    uint64_t size = REQUEST_FIXED;
    for (unsigned i = 0; i < TSGI_S_COUNT; i++) {
        size += string_size(request->s[i].len);
    }
    size += fields_size(HEADERS, headers, nheaders);
    size += fields_size(VARIABLES, vars, nvars);
    return frame_size(size, TSGI_MAX_REQUEST);
}

static void write_request_fixed(uint8_t *p, const tsgi_request_t *request,
                                size_t nheaders, size_t nvars)
{
    p[0] = request->http_major;
    p[1] = request->http_minor;
    put16(p + 2, request->server_port);
    put16(p + 4, request->remote_port);
    put16(p + 6, request->local_port);
    put32(p + 8, request->flags);
    put32(p + 12, request->mount_length);
    put32(p + 16, request->timeout_ms);
    put64(p + 20, (uint64_t)request->content_length);
    put16(p + 28, (uint16_t)nheaders);
    put16(p + 30, (uint16_t)nvars);
}

long tsgi_request_encode(uint8_t *out, size_t cap, const tsgi_request_t *request,
                         const tsgi_field_t *headers, size_t nheaders,
                         const tsgi_field_t *vars, size_t nvars)
{
    if (nheaders > TSGI_MAX_FIELDS || nvars > TSGI_MAX_FIELDS) {
        return TSGI_E_VALUE;
    }
    writer_t w = writer_open(out, cap, TSGI_MAX_REQUEST);
    const int error = check_request(request);
    if (error != 0) {
        return error;
    }
    uint8_t *fixed = writer_take(&w, REQUEST_FIXED);
    if (fixed != NULL) {
        write_request_fixed(fixed, request, nheaders, nvars);
    }
    for (unsigned i = 0; i < TSGI_S_COUNT; i++) {
        write_string(&w, &request->s[i]);
    }
    write_fields(&w, HEADERS, headers, nheaders);
    write_fields(&w, VARIABLES, vars, nvars);
    return writer_close(&w, out, TSGI_T_REQUEST,
                        request->flags & TSGI_R_BODY ? 0 : TSGI_F_FIN);
}

static void read_request_fixed(const uint8_t *p, tsgi_request_t *out)
{
    const uint64_t content_length = get64(p + 20);
    out->http_major = p[0];
    out->http_minor = p[1];
    out->server_port = get16(p + 2);
    out->remote_port = get16(p + 4);
    out->local_port = get16(p + 6);
    out->flags = get32(p + 8);
    out->mount_length = get32(p + 12);
    out->timeout_ms = get32(p + 16);
    if (content_length <= INT64_MAX) {
        out->content_length = (int64_t)content_length;
    }
    else { /* -2 stands for all that is out of range; check_request() refuses it */
        out->content_length = content_length == UINT64_MAX ? -1 : -2;
    }
}

int tsgi_request_decode(const uint8_t *payload, size_t n, tsgi_request_t *out,
                        tsgi_fields_t *headers, tsgi_fields_t *vars)
{
    if (n < REQUEST_FIXED + TSGI_S_COUNT || n > TSGI_MAX_REQUEST) {
        return TSGI_E_SIZE;
    }
    reader_t r = {payload + REQUEST_FIXED, payload + n};
    const uint16_t nheaders = get16(payload + 28);
    const uint16_t nvars = get16(payload + 30);
    if (nheaders > TSGI_MAX_FIELDS || nvars > TSGI_MAX_FIELDS) {
        return TSGI_E_VALUE;
    }
    read_request_fixed(payload, out);
    int error = 0;
    for (unsigned i = 0; i < TSGI_S_COUNT && error == 0; i++) {
        error = read_string(&r, &out->s[i]);
    }
    if (error == 0) {
        error = check_request(out);
    }
    if (error == 0) {
        error = read_fields(&r, HEADERS, nheaders, headers);
    }
    if (error == 0) {
        error = read_fields(&r, VARIABLES, nvars, vars);
    }
    return error != 0 ? error : r.p != r.end ? TSGI_E_TRAILING : 0;
}

/* ---- RESPONSE, INFORM ------------------------------------------------------------- */

static int check_response(uint8_t type, const tsgi_response_t *response)
{
    const unsigned low = type == TSGI_T_INFORM ? 102 : 200;
    const unsigned high = type == TSGI_T_INFORM ? 199 : 999;
    const int is_switch = type == TSGI_T_RESPONSE && response->status == 101;
    if (!is_switch && (response->status < low || response->status > high)) {
        return TSGI_E_VALUE;
    }
    const tsgi_str_t *reason = &response->reason;
    return tsgi_value_valid(reason->data, reason->len) ? 0 : TSGI_E_TEXT;
}

size_t tsgi_response_size(const tsgi_response_t *response, const tsgi_field_t *headers,
                          size_t nheaders)
{
    if (nheaders > TSGI_MAX_FIELDS) {
        return 0;
    }
    return frame_size(RESPONSE_FIXED + string_size(response->reason.len) +
                          fields_size(HEADERS, headers, nheaders),
                      TSGI_MAX_RESPONSE);
}

long tsgi_response_encode(uint8_t *out, size_t cap, uint8_t type, uint8_t flags,
                          const tsgi_response_t *response, const tsgi_field_t *headers,
                          size_t nheaders)
{
    if (type != TSGI_T_RESPONSE && type != TSGI_T_INFORM) {
        return TSGI_E_TYPE;
    }
    if (flags != 0 && (type != TSGI_T_RESPONSE || flags != TSGI_F_FIN)) {
        return TSGI_E_FLAGS;
    }
    if (nheaders > TSGI_MAX_FIELDS) {
        return TSGI_E_VALUE;
    }
    const int error = check_response(type, response);
    if (error != 0) {
        return error;
    }
    writer_t w = writer_open(out, cap, TSGI_MAX_RESPONSE);
    uint8_t *fixed = writer_take(&w, RESPONSE_FIXED);
    if (fixed != NULL) {
        put16(fixed, response->status);
        put16(fixed + 2, (uint16_t)nheaders);
    }
    write_string(&w, &response->reason);
    write_fields(&w, HEADERS, headers, nheaders);
    return writer_close(&w, out, type, flags);
}

int tsgi_response_decode(uint8_t type, const uint8_t *payload, size_t n,
                         tsgi_response_t *out, tsgi_fields_t *headers)
{
    if (type != TSGI_T_RESPONSE && type != TSGI_T_INFORM) {
        return TSGI_E_TYPE;
    }
    if (n < RESPONSE_FIXED + 1 || n > TSGI_MAX_RESPONSE) {
        return TSGI_E_SIZE;
    }
    reader_t r = {payload + RESPONSE_FIXED, payload + n};
    const uint16_t nheaders = get16(payload + 2);
    if (nheaders > TSGI_MAX_FIELDS) {
        return TSGI_E_VALUE;
    }
    out->status = get16(payload);
    int error = read_string(&r, &out->reason);
    if (error == 0) {
        error = check_response(type, out);
    }
    if (error == 0) {
        error = read_fields(&r, HEADERS, nheaders, headers);
    }
    return error != 0 ? error : r.p != r.end ? TSGI_E_TRAILING : 0;
}

/* ---- END, BODY_END ---------------------------------------------------------------- */

size_t tsgi_trailers_size(const tsgi_field_t *fields, size_t n)
{
    if (n > TSGI_MAX_FIELDS) {
        return 0;
    }
    if (n == 0) {
        return TSGI_FRAME_HEADER;
    }
    return frame_size(TRAILERS_FIXED + fields_size(HEADERS, fields, n),
                      TSGI_MAX_TRAILERS);
}

long tsgi_trailers_encode(uint8_t *out, size_t cap, uint8_t type,
                          const tsgi_field_t *fields, size_t n)
{
    if (type != TSGI_T_END && type != TSGI_T_BODY_END) {
        return TSGI_E_TYPE;
    }
    if (n > TSGI_MAX_FIELDS) {
        return TSGI_E_VALUE;
    }
    writer_t w = writer_open(out, cap, TSGI_MAX_TRAILERS);
    if (n > 0) {
        uint8_t *fixed = writer_take(&w, TRAILERS_FIXED);
        if (fixed != NULL) {
            put16(fixed, (uint16_t)n);
        }
        write_fields(&w, HEADERS, fields, n);
    }
    return writer_close(&w, out, type, 0);
}

int tsgi_trailers_decode(const uint8_t *payload, size_t n, tsgi_fields_t *fields)
{
    if (n == 0) {
        fields->p = fields->end = payload;
        fields->left = 0;
        return 0;
    }
    if (n < TRAILERS_FIXED || n > TSGI_MAX_TRAILERS) {
        return TSGI_E_SIZE;
    }
    const uint16_t count = get16(payload);
    if (count == 0 || count > TSGI_MAX_FIELDS) {
        return TSGI_E_VALUE;
    }
    reader_t r = {payload + TRAILERS_FIXED, payload + n};
    const int error = read_fields(&r, HEADERS, count, fields);
    return error != 0 ? error : r.p != r.end ? TSGI_E_TRAILING : 0;
}
