/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/*
 * The wire codec: heads and trailers: what they mean, their limits, what the encoders
 * refuse, and a round trip of random ones.
 */
#include <stdlib.h>

#include "tap.h"
#include "wire_any.h"
#include "wire_golden.h"

#define STR(text)                                                                        \
    {                                                                                    \
        text, sizeof(text) - 1                                                           \
    }

static any_t first, second; /* too large for a stack */
static uint8_t out[TSGI_FRAME_HEADER + TSGI_MAX_REQUEST];
static char filler[2 * TSGI_MAX_REQUEST]; /* of 'v' */

static const tsgi_request_t post = {
    .s =
        {
            [TSGI_S_METHOD] = STR("POST"),
            [TSGI_S_URI] = STR("/app/a%2Fb?x=1"),
            [TSGI_S_PROTOCOL] = STR("HTTP/1.1"),
            [TSGI_S_SCHEME] = STR("https"),
            [TSGI_S_SCRIPT] = STR("/srv/app/index.js"),
            [TSGI_S_SCRIPT_NAME] = STR("/app"),
            [TSGI_S_PATH_INFO] = STR("/a/b"),
            [TSGI_S_QUERY] = STR("x=1"),
            [TSGI_S_SERVER_NAME] = STR("example.org"),
            [TSGI_S_SERVER_SOFTWARE] = STR("Apache"),
            [TSGI_S_DOCUMENT_ROOT] = STR("/srv"),
            [TSGI_S_REMOTE_ADDR] = STR("192.0.2.7"),
            [TSGI_S_LOCAL_ADDR] = STR("192.0.2.1"),
            [TSGI_S_REMOTE_USER] = STR("bob"),
            [TSGI_S_AUTH_TYPE] = STR("Basic"),
            [TSGI_S_REQUEST_ID] = STR("id-1"),
        },
    .flags = TSGI_R_TLS | TSGI_R_BODY | TSGI_R_STARTED,
    .content_length = 5,
    .mount_length = 4,
    .timeout_ms = 60000,
    .remote_port = 54320,
    .local_port = 8443,
    .server_port = 443,
    .http_major = 1,
    .http_minor = 1,
};

static const tsgi_field_t post_headers[] = {
    {STR("Host"), STR("example.org"), 0},
    {STR("content-type"), STR("text/plain"), 0},
    {STR("X-Odd"), STR(""), 0},
};
static const tsgi_field_t post_vars[] = {{STR("SSL_CIPHER"), STR("none"), 0}};

static const golden_t *golden(const char *name)
{
    for (size_t i = 0; i < GOLDENS; i++) {
        if (strcmp(goldens[i].name, name) == 0) {
            return &goldens[i];
        }
    }
    printf("# no golden frame \"%s\"\n", name);
    abort();
}

/* The payload's decoder, on a copy of exactly its size that lives until the next call. */
static int decode(const uint8_t *frame, size_t n, any_t *any)
{
    static uint8_t *copy;
    tsgi_frame_t header;
    const tsgi_sender_t sender = frame[4] & 0x40 ? TSGI_FROM_WORKER : TSGI_FROM_APACHE;
    const int got = tsgi_frame_decode(frame, n, sender, &header);
    if (got != 1 || header.length != n - TSGI_FRAME_HEADER) {
        return got < 0 ? got : TSGI_E_TRUNCATED;
    }
    if (copy != NULL) {
        any_free(copy);
    }
    copy = any_copy(frame + TSGI_FRAME_HEADER, n - TSGI_FRAME_HEADER);
    any->flags = header.flags;
    return any_decode(header.type, copy, n - TSGI_FRAME_HEADER, any);
}

static tsgi_str_t filled(uint32_t len)
{
    const tsgi_str_t s = {filler, len};
    return s;
}

static int is_golden(const char *name, long size)
{
    const golden_t *g = golden(name);
    return size == (long)g->len && memcmp(out, g->bytes, g->len) == 0;
}

/* ---- what heads mean -------------------------------------------------------------- */

static void test_request_encodes(void)
{
    CHECK(tsgi_request_size(&post, post_headers, 3, post_vars, 1) == 216);
    CHECK(is_golden("request-post", tsgi_request_encode(out, sizeof(out), &post,
                                                        post_headers, 3, post_vars, 1)));
}

static void test_request_decodes(void)
{
    const golden_t *g = golden("request-post");
    CHECK(decode(g->bytes, g->len, &first) == 0);
    CHECK(first.flags == 0);
    CHECK(any_request_equal(&first.request, &post));
    CHECK(first.nheaders == 3 && any_fields_equal(first.headers, post_headers, 3));
    CHECK(first.nvars == 1 && any_fields_equal(first.vars, post_vars, 1));
    CHECK(first.headers[0].token == 1 && first.headers[2].token == 0);
    CHECK(first.headers[1].token == (11 | TSGI_TOKEN_LOWER));
}

static void test_request_without_body(void)
{
    const golden_t *g = golden("request-get");
    CHECK(decode(g->bytes, g->len, &first) == 0);
    CHECK(first.flags == TSGI_F_FIN);
    CHECK(first.request.content_length == -1 && first.request.timeout_ms == 0);
    CHECK(first.request.http_major == 2 && first.request.http_minor == 0);
    CHECK(first.nheaders == 0 && first.nvars == 0);
}

static void test_response_encodes(void)
{
    const tsgi_response_t response = {.status = 200, .reason = STR("OK")};
    const tsgi_field_t headers[] = {
        {STR("Content-Type"), STR("text/plain"), 0},
        {STR("set-cookie"), STR("a=1"), 0},
        {STR("x-OWN"), STR("v\xE9"), 0},
    };
    CHECK(tsgi_response_size(&response, headers, 3) == 42);
    CHECK(is_golden("response", tsgi_response_encode(out, sizeof(out), TSGI_T_RESPONSE, 0,
                                                     &response, headers, 3)));
    CHECK(decode(out, 42, &first) == 0);
    CHECK(first.response.status == 200 && first.nheaders == 3);
    CHECK(any_fields_equal(first.headers, headers, 3));
}

static void test_inform_encodes(void)
{
    const tsgi_response_t response = {.status = 103, .reason = STR("Early Hints")};
    const tsgi_field_t link = {STR("Link"), STR("</a.css>; rel=preload"), 0};
    CHECK(is_golden("inform", tsgi_response_encode(out, sizeof(out), TSGI_T_INFORM, 0,
                                                   &response, &link, 1)));
}

static void test_trailers_encode(void)
{
    const tsgi_field_t timing = {STR("Server-Timing"), STR("db;dur=2"), 0};
    const tsgi_field_t sum = {STR("Checksum"), STR("1f"), 0};
    CHECK(tsgi_trailers_size(&timing, 1) == 20);
    CHECK(is_golden("end-trailers",
                    tsgi_trailers_encode(out, sizeof(out), TSGI_T_END, &timing, 1)));
    CHECK(is_golden("body-end-trailers",
                    tsgi_trailers_encode(out, sizeof(out), TSGI_T_BODY_END, &sum, 1)));
    CHECK(tsgi_trailers_size(NULL, 0) == 8);
    CHECK(is_golden("end", tsgi_trailers_encode(out, sizeof(out), TSGI_T_END, NULL, 0)));
    CHECK(decode(out, 8, &first) == 0 && first.nheaders == 0);
}

/* A peer of an older version spells out what has become a token since. */
static void test_known_name_spelled_out(void)
{
    static const uint8_t frame[] = "\x0A\x00\x00\x00\x47\x00\x00\x00"
                                   "\x01\x00"
                                   "\x00\x04"
                                   "ETag\x01"
                                   "1";
    const tsgi_field_t etag = {STR("ETag"), STR("1"), 0};
    CHECK(decode(frame, sizeof(frame) - 1, &first) == 0);
    CHECK(first.nheaders == 1 && any_fields_equal(first.headers, &etag, 1));
}

/* ---- lengths ---------------------------------------------------------------------- */

static void test_length_forms(void)
{
    static const uint32_t lengths[] = {0, 1, 253, 254, 255, 256, 65535, 65536, 65537};
    const uint8_t *form = out + TSGI_FRAME_HEADER + 4;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        const uint32_t len = lengths[i];
        const unsigned extra = len < 254 ? 0 : len < 65536 ? 2 : 4;
        const tsgi_response_t response = {.status = 200, .reason = filled(len)};
        const long size = tsgi_response_encode(out, sizeof(out), TSGI_T_RESPONSE, 0,
                                               &response, NULL, 0);
        CHECK(size == (long)(TSGI_FRAME_HEADER + 5 + extra + len));
        CHECK(tsgi_response_size(&response, NULL, 0) == (size_t)size);
        CHECK(form[0] == (extra == 0 ? len : extra == 2 ? 254u : 255u));
        CHECK(extra == 0 || (form[1] == (len & 0xFF) && form[2] == (len >> 8 & 0xFF)));
        CHECK(decode(out, (size_t)size, &first) == 0);
        CHECK(any_str_equal(&first.response.reason, &response.reason));
    }
}

/* Every length that has a shorter form is refused, so one head has one encoding. */
static void test_length_shortest(void)
{
    static const uint32_t wide16[] = {0, 1, 253}, wide32[] = {0, 253, 254, 65535};
    uint8_t *payload = out + TSGI_FRAME_HEADER;
    memset(out, 'v', sizeof(out));
    memcpy(payload, "\xC8\x00\x00\x00\xFE", 5);
    for (size_t i = 0; i < 3; i++) {
        payload[5] = (uint8_t)wide16[i];
        payload[6] = 0;
        tsgi_frame_encode(out, TSGI_T_RESPONSE, 0, 7 + wide16[i]);
        CHECK(decode(out, TSGI_FRAME_HEADER + 7 + wide16[i], &first) == TSGI_E_VALUE);
    }
    memcpy(payload, "\xC8\x00\x00\x00\xFF", 5);
    for (size_t i = 0; i < 4; i++) {
        payload[5] = (uint8_t)(wide32[i] & 0xFF);
        payload[6] = (uint8_t)(wide32[i] >> 8);
        payload[7] = payload[8] = 0;
        tsgi_frame_encode(out, TSGI_T_RESPONSE, 0, 9 + wide32[i]);
        CHECK(decode(out, TSGI_FRAME_HEADER + 9 + wide32[i], &first) == TSGI_E_VALUE);
    }
}

static void test_large_header(void)
{
    const tsgi_field_t header = {STR("Cookie"), {filler, 65536}, 0};
    const long size = tsgi_request_encode(out, sizeof(out), &post, &header, 1, NULL, 0);
    CHECK(size > 65536 && decode(out, (size_t)size, &first) == 0);
    CHECK(first.nheaders == 1 && first.headers[0].value.len == 65536);
}

/* ---- limits ----------------------------------------------------------------------- */

/* One header whose value makes the frame end exactly at its limit, and one more. */
static void test_request_limit(void)
{
    tsgi_field_t header = {STR("Cookie"), filled(1000 * 1000), 0};
    const size_t size = tsgi_request_size(&post, &header, 1, NULL, 0);
    header.value.len += (uint32_t)(TSGI_FRAME_HEADER + TSGI_MAX_REQUEST - size);
    CHECK(tsgi_request_size(&post, &header, 1, NULL, 0) == sizeof(out));
    CHECK(tsgi_request_encode(out, sizeof(out), &post, &header, 1, NULL, 0) ==
          (long)sizeof(out));
    CHECK(decode(out, sizeof(out), &first) == 0);
    header.value.len++;
    CHECK(tsgi_request_size(&post, &header, 1, NULL, 0) == 0);
    CHECK(tsgi_request_encode(out, sizeof(out), &post, &header, 1, NULL, 0) ==
          TSGI_E_SPACE);
    static uint8_t larger[sizeof(out) + 1];
    CHECK(tsgi_request_encode(larger, sizeof(larger), &post, &header, 1, NULL, 0) ==
          TSGI_E_SIZE);
    tsgi_fields_t headers, vars;
    CHECK(tsgi_request_decode(larger, TSGI_MAX_REQUEST + 1, &first.request, &headers,
                              &vars) == TSGI_E_SIZE);
}

static void test_response_limit(void)
{
    tsgi_response_t response = {.status = 200, .reason = filled(TSGI_MAX_RESPONSE - 9)};
    const size_t most = TSGI_FRAME_HEADER + TSGI_MAX_RESPONSE;
    CHECK(tsgi_response_size(&response, NULL, 0) == most);
    CHECK(tsgi_response_encode(out, sizeof(out), TSGI_T_RESPONSE, 0, &response, NULL,
                               0) == (long)most);
    CHECK(decode(out, most, &first) == 0);
    response.reason.len++;
    CHECK(tsgi_response_size(&response, NULL, 0) == 0);
    CHECK(tsgi_response_encode(out, sizeof(out), TSGI_T_RESPONSE, 0, &response, NULL,
                               0) == TSGI_E_SIZE);
    tsgi_fields_t headers;
    CHECK(tsgi_response_decode(TSGI_T_RESPONSE, out, TSGI_MAX_RESPONSE + 1,
                               &first.response, &headers) == TSGI_E_SIZE);
}

static void test_trailers_limit(void)
{
    /* count, token, length in three bytes: 6 bytes besides the value */
    tsgi_field_t field = {STR("Server-Timing"), filled(TSGI_MAX_TRAILERS - 6), 0};
    const size_t most = TSGI_FRAME_HEADER + TSGI_MAX_TRAILERS;
    CHECK(tsgi_trailers_size(&field, 1) == most);
    CHECK(tsgi_trailers_encode(out, sizeof(out), TSGI_T_END, &field, 1) == (long)most);
    CHECK(decode(out, most, &first) == 0 && first.nheaders == 1);
    field.value.len++;
    CHECK(tsgi_trailers_size(&field, 1) == 0);
    CHECK(tsgi_trailers_encode(out, sizeof(out), TSGI_T_END, &field, 1) == TSGI_E_SIZE);
    tsgi_fields_t list;
    CHECK(tsgi_trailers_decode(out, TSGI_MAX_TRAILERS + 1, &list) == TSGI_E_SIZE);
}

static void test_field_count_limit(void)
{
    static tsgi_field_t many[TSGI_MAX_FIELDS + 1];
    for (size_t i = 0; i <= TSGI_MAX_FIELDS; i++) {
        const tsgi_field_t field = {STR("via"), STR("1"), 0};
        many[i] = field;
    }
    const tsgi_response_t ok = {.status = 200, .reason = {NULL, 0}};
    for (size_t n = TSGI_MAX_FIELDS; n <= TSGI_MAX_FIELDS + 1; n++) {
        const int fits = n == TSGI_MAX_FIELDS;
        CHECK((tsgi_request_size(&post, many, n, many, 1) > 0) == fits);
        CHECK((tsgi_request_size(&post, many, 1, many, n) > 0) == fits);
        CHECK((tsgi_response_size(&ok, many, n) > 0) == fits);
        CHECK((tsgi_trailers_size(many, n) > 0) == fits);
        long size = tsgi_request_encode(out, sizeof(out), &post, many, 1, many, n);
        CHECK(fits ? decode(out, (size_t)size, &first) == 0 && first.nvars == n
                   : size == TSGI_E_VALUE);
        size = tsgi_request_encode(out, sizeof(out), &post, many, n, many, 1);
        CHECK(fits ? decode(out, (size_t)size, &first) == 0 && first.nheaders == n
                   : size == TSGI_E_VALUE);
        size = tsgi_response_encode(out, sizeof(out), TSGI_T_RESPONSE, 0, &ok, many, n);
        CHECK(fits ? decode(out, (size_t)size, &first) == 0 && first.nheaders == n
                   : size == TSGI_E_VALUE);
        size = tsgi_trailers_encode(out, sizeof(out), TSGI_T_END, many, n);
        CHECK(fits ? decode(out, (size_t)size, &first) == 0 && first.nheaders == n
                   : size == TSGI_E_VALUE);
    }
}

static void test_name_limit(void)
{
    tsgi_field_t field = {filled(TSGI_MAX_TEXT), STR("1"), 0};
    long size = tsgi_request_encode(out, sizeof(out), &post, &field, 1, &field, 1);
    CHECK(size > 0 && decode(out, (size_t)size, &first) == 0);
    field.name.len++;
    CHECK(tsgi_request_encode(out, sizeof(out), &post, &field, 1, NULL, 0) ==
          TSGI_E_NAME);
    CHECK(tsgi_request_encode(out, sizeof(out), &post, NULL, 0, &field, 1) ==
          TSGI_E_NAME);
}

/* Lengths that no memory could hold must neither wrap a sum around nor be read. */
static void test_absurd_lengths(void)
{
    tsgi_request_t request = post;
    for (unsigned i = 0; i < TSGI_S_COUNT; i++) {
        request.s[i].len = UINT32_MAX;
    }
    CHECK(tsgi_request_size(&request, NULL, 0, NULL, 0) == 0);
    tsgi_field_t fields[4];
    for (size_t i = 0; i < 4; i++) {
        const tsgi_field_t field = {STR("via"), {filler, UINT32_MAX}, 0};
        fields[i] = field;
    }
    const tsgi_response_t response = {.status = 200, .reason = {filler, UINT32_MAX}};
    CHECK(tsgi_response_size(&response, fields, 4) == 0);
    CHECK(tsgi_trailers_size(fields, 4) == 0);
}

/* ---- what encoders refuse --------------------------------------------------------- */

static void test_every_small_buffer(void)
{
    for (size_t cap = 0; cap <= 216; cap++) {
        uint8_t *exact = any_block(cap);
        const long size =
            tsgi_request_encode(exact, cap, &post, post_headers, 3, post_vars, 1);
        CHECK(size == (cap == 216 ? 216 : TSGI_E_SPACE));
        const tsgi_response_t ok = {.status = 200, .reason = STR("OK")};
        const long head =
            tsgi_response_encode(exact, cap, TSGI_T_RESPONSE, 0, &ok, post_headers, 3);
        CHECK(head == (cap < 48 ? TSGI_E_SPACE : 48));
        const long end = tsgi_trailers_encode(exact, cap, TSGI_T_END, NULL, 0);
        CHECK(end == (cap < 8 ? TSGI_E_SPACE : 8));
        any_free(exact);
    }
}

static long encode_with(unsigned index, const char *text, size_t len)
{
    tsgi_request_t request = post;
    request.s[index].data = text;
    request.s[index].len = (uint32_t)len;
    return tsgi_request_encode(out, sizeof(out), &request, NULL, 0, NULL, 0);
}

static void test_request_strings_refused(void)
{
    for (unsigned i = 0; i < TSGI_S_COUNT; i++) {
        const int may_hold_lines = i == TSGI_S_SCRIPT || i == TSGI_S_SCRIPT_NAME ||
                                   i == TSGI_S_PATH_INFO || i == TSGI_S_QUERY ||
                                   i == TSGI_S_DOCUMENT_ROOT || i == TSGI_S_REMOTE_USER;
        CHECK(encode_with(i, "/some\0path", 10) == TSGI_E_TEXT);
        CHECK((encode_with(i, "/some\npath", 10) > 0) == may_hold_lines);
        CHECK((encode_with(i, "/some\rpath", 10) > 0) == may_hold_lines);
        const int may_be_empty = i != TSGI_S_METHOD && i != TSGI_S_URI &&
                                 i != TSGI_S_SCHEME && i != TSGI_S_SCRIPT;
        CHECK(may_be_empty || encode_with(i, NULL, 0) < 0);
    }
    CHECK(encode_with(TSGI_S_METHOD, "GE T", 4) == TSGI_E_NAME);
    CHECK(encode_with(TSGI_S_SCHEME, "ftp", 3) == TSGI_E_VALUE);
    CHECK(encode_with(TSGI_S_SCRIPT, "app.js", 6) == TSGI_E_VALUE);
    CHECK(encode_with(TSGI_S_URI, "/ap", 3) == TSGI_E_VALUE); /* mount point longer */
}

static long encode_values(uint32_t flags, int64_t content_length, uint8_t major)
{
    tsgi_request_t request = post;
    request.flags = flags;
    request.content_length = content_length;
    request.http_major = major;
    return tsgi_request_encode(out, sizeof(out), &request, NULL, 0, NULL, 0);
}

static void test_request_values_refused(void)
{
    CHECK(encode_values(TSGI_R_BODY, INT64_MAX, 1) > 0);
    CHECK(decode(out, (size_t)encode_values(TSGI_R_BODY, INT64_MAX, 1), &first) == 0);
    CHECK(first.request.content_length == INT64_MAX);
    CHECK(encode_values(TSGI_R_BODY, -1, 1) > 0);
    CHECK(encode_values(TSGI_R_BODY | TSGI_R_CHUNKED | TSGI_R_EXPECT, -1, 1) > 0);
    CHECK(encode_values(0, 0, 9) > 0 && out[5] == TSGI_F_FIN);
    CHECK(encode_values(TSGI_R_BODY, -2, 1) == TSGI_E_VALUE);
    CHECK(encode_values(TSGI_R_BODY, INT64_MIN, 1) == TSGI_E_VALUE);
    CHECK(encode_values(0, 1, 1) == TSGI_E_VALUE);
    CHECK(encode_values(TSGI_R_CHUNKED, -1, 1) == TSGI_E_VALUE);
    CHECK(encode_values(TSGI_R_BODY | TSGI_R_CHUNKED, 0, 1) == TSGI_E_VALUE);
    CHECK(encode_values(TSGI_R_UPGRADE, -1, 1) > 0 && out[5] == TSGI_F_FIN);
    CHECK(encode_values(TSGI_R_UPGRADE | TSGI_R_PASS, -1, 1) > 0);
    CHECK(encode_values(TSGI_R_PASS, -1, 1) == TSGI_E_VALUE);
    CHECK(encode_values(TSGI_R_UPGRADE | TSGI_R_BODY, -1, 1) == TSGI_E_VALUE);
    CHECK(encode_values(0x80, -1, 1) == TSGI_E_VALUE);
    CHECK(encode_values(0x80000000u, -1, 1) == TSGI_E_VALUE);
    CHECK(encode_values(0, -1, 10) == TSGI_E_VALUE);
}

static void test_response_values_refused(void)
{
    static const struct {
        uint8_t type, flags;
        uint16_t status;
        long error; /* 0: accepted */
    } cases[] = {
        {TSGI_T_RESPONSE, 0, 199, TSGI_E_VALUE},
        {TSGI_T_RESPONSE, 0, 100, TSGI_E_VALUE},
        {TSGI_T_RESPONSE, 0, 101, 0},
        {TSGI_T_RESPONSE, 0, 102, TSGI_E_VALUE},
        {TSGI_T_RESPONSE, 0, 200, 0},
        {TSGI_T_RESPONSE, TSGI_F_FIN, 999, 0},
        {TSGI_T_RESPONSE, 0, 1000, TSGI_E_VALUE},
        {TSGI_T_RESPONSE, 2, 200, TSGI_E_FLAGS},
        {TSGI_T_INFORM, 0, 101, TSGI_E_VALUE},
        {TSGI_T_INFORM, 0, 102, 0},
        {TSGI_T_INFORM, 0, 199, 0},
        {TSGI_T_INFORM, 0, 200, TSGI_E_VALUE},
        {TSGI_T_INFORM, 1, 103, TSGI_E_FLAGS},
        {TSGI_T_END, 0, 200, TSGI_E_TYPE},
        {TSGI_T_RESPONSE, 0, 0, TSGI_E_VALUE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const tsgi_response_t response = {.status = cases[i].status, .reason = {NULL, 0}};
        const long size = tsgi_response_encode(out, sizeof(out), cases[i].type,
                                               cases[i].flags, &response, NULL, 0);
        CHECK(cases[i].error == 0 ? size == 13 : size == cases[i].error);
    }
    const tsgi_response_t split = {.status = 200, .reason = STR("O\r\nK")};
    CHECK(tsgi_response_encode(out, sizeof(out), TSGI_T_RESPONSE, 0, &split, NULL, 0) ==
          TSGI_E_TEXT);
    tsgi_fields_t headers;
    CHECK(tsgi_response_decode(TSGI_T_DATA, out, 13, &first.response, &headers) ==
          TSGI_E_TYPE);
}

static void test_fields_refused(void)
{
    static const struct {
        tsgi_field_t field;
        long as_header, as_variable; /* 0: accepted */
    } cases[] = {
        {{STR("Good"), STR("a\tb\x01\xFF"), 0}, 0, 0},
        {{STR("Good"), {NULL, 0}, 0}, 0, 0},
        {{STR("SSL CN:x"), STR("1"), 0}, TSGI_E_NAME, 0},
        {{STR("na=me"), STR("1"), 0}, TSGI_E_NAME, TSGI_E_NAME},
        {{STR("na\rme"), STR("1"), 0}, TSGI_E_NAME, TSGI_E_NAME},
        {{STR("na\0me"), STR("1"), 0}, TSGI_E_NAME, TSGI_E_NAME},
        {{{NULL, 0}, STR("1"), 0}, TSGI_E_NAME, TSGI_E_NAME},
        {{STR("Good"), STR("a\r\nInjected: 1"), 0}, TSGI_E_TEXT, 0},
        {{STR("SSL_CLIENT_CERT"), STR("a\nb"), 0}, TSGI_E_TEXT, 0},
        {{STR("Host"), STR("a\0b"), 0}, TSGI_E_TEXT, TSGI_E_TEXT},
        /* "token" is the decoder's; an encoder that believed it could be made to lie */
        {{STR("Good"), STR("1"), 0x7F}, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const tsgi_field_t *field = &cases[i].field;
        long got = tsgi_request_encode(out, sizeof(out), &post, field, 1, NULL, 0);
        CHECK(cases[i].as_header == 0 ? got > 0 : got == cases[i].as_header);
        got = tsgi_request_encode(out, sizeof(out), &post, NULL, 0, field, 1);
        CHECK(cases[i].as_variable == 0 ? got > 0 : got == cases[i].as_variable);
        CHECK(got < 0 || (decode(out, (size_t)got, &first) == 0 && first.nvars == 1));
        got = tsgi_trailers_encode(out, sizeof(out), TSGI_T_END, field, 1);
        CHECK(cases[i].as_header == 0 ? got > 0 : got == cases[i].as_header);
    }
    CHECK(tsgi_trailers_encode(out, sizeof(out), TSGI_T_DATA, NULL, 0) == TSGI_E_TYPE);
}

/* A variable may be called like a header; it must not become one byte. */
static void test_variable_like_header(void)
{
    const tsgi_field_t host = {STR("Host"), STR("1"), 0};
    const long size = tsgi_request_encode(out, sizeof(out), &post, NULL, 0, &host, 1);
    CHECK(size > 0 && decode(out, (size_t)size, &first) == 0);
    CHECK(first.nvars == 1 && first.vars[0].token == 0);
    CHECK(any_fields_equal(first.vars, &host, 1));
}

/* ---- random heads ----------------------------------------------------------------- */

static uint64_t random_state;

/* xorshift64: the same numbers on every machine. */
static uint32_t random_below(uint32_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % bound;
}

static tsgi_str_t random_text(uint32_t bound)
{
    return filled(random_below(bound));
}

static void random_fields(tsgi_field_t *fields, size_t *n, int are_headers)
{
    *n = random_below(20);
    for (size_t i = 0; i < *n; i++) {
        const uint8_t token = (uint8_t)((random_below(tsgi_token_count()) + 1) |
                                        random_below(2) * TSGI_TOKEN_LOWER);
        size_t len = 1 + random_below(40);
        const char *name = are_headers && random_below(2) == 0
                               ? tsgi_token_name(token, &len)
                               : filler + random_below(100);
        fields[i].name.data = name;
        fields[i].name.len = (uint32_t)len;
        fields[i].value = random_text(random_below(10) == 0 ? 40000 : 300);
    }
}

static void random_head(any_t *any)
{
    static const uint8_t types[] = {TSGI_T_REQUEST, TSGI_T_RESPONSE, TSGI_T_INFORM,
                                    TSGI_T_END, TSGI_T_BODY_END};
    any->type = types[random_below(sizeof(types))];
    any->flags = 0;
    any->request = post;
    for (unsigned i = TSGI_S_SCRIPT_NAME; i < TSGI_S_COUNT; i++) {
        any->request.s[i] = random_text(400);
    }
    any->request.content_length = (int64_t)random_below(1u << 31) << random_below(32);
    any->request.timeout_ms = random_below(UINT32_MAX);
    any->request.remote_port = (uint16_t)random_below(65536);
    any->response.status =
        (uint16_t)(any->type == TSGI_T_INFORM ? 102 + random_below(98)
                                              : 200 + random_below(800));
    any->response.reason = random_text(300);
    random_fields(any->headers, &any->nheaders, 1);
    random_fields(any->vars, &any->nvars, 0);
    if (any->type != TSGI_T_REQUEST) {
        any->nvars = 0;
    }
}

static size_t size_of(const any_t *any)
{
    switch (any->type) {
    case TSGI_T_REQUEST:
        return tsgi_request_size(&any->request, any->headers, any->nheaders, any->vars,
                                 any->nvars);
    case TSGI_T_RESPONSE:
    case TSGI_T_INFORM:
        return tsgi_response_size(&any->response, any->headers, any->nheaders);
    default:
        return tsgi_trailers_size(any->headers, any->nheaders);
    }
}

static void test_random_round_trip(void)
{
    random_state = UINT64_C(0x7467736977697265);
    unsigned encoded = 0;
    for (unsigned round = 0; round < 3000; round++) {
        random_head(&first);
        const size_t expected = size_of(&first);
        const long size = any_encode(out, sizeof(out), &first);
        CHECK(expected == 0 ? size == TSGI_E_SIZE : size == (long)expected);
        if (size > 0) {
            encoded++;
            CHECK(decode(out, (size_t)size, &second) == 0);
            CHECK(any_equal(&first, &second));
        }
    }
    CHECK(encoded > 1500);
}

static const tap_test_t tests[] = {
    {"a request head encodes to its golden frame", test_request_encodes},
    {"a request head decodes to what was said", test_request_decodes},
    {"a request without a body carries FIN", test_request_without_body},
    {"a response head encodes to its golden frame", test_response_encodes},
    {"an interim response encodes to its golden frame", test_inform_encodes},
    {"trailers encode to their golden frames, none to no payload", test_trailers_encode},
    {"a known name that is spelled out is understood", test_known_name_spelled_out},
    {"lengths take 1, 3 or 5 bytes", test_length_forms},
    {"lengths that are not in their shortest form are refused", test_length_shortest},
    {"a header value of 64 KiB travels", test_large_header},
    {"a request head of the largest size travels, one byte more not", test_request_limit},
    {"a response head of the largest size travels, one byte more not",
     test_response_limit},
    {"trailers of the largest size travel, one byte more not", test_trailers_limit},
    {"4096 fields travel in each list, 4097 in none", test_field_count_limit},
    {"a name of 8 KiB travels, one byte more not", test_name_limit},
    {"sizes of absurd lengths are refused without a wrap", test_absurd_lengths},
    {"every buffer that is too small is refused, the exact one not",
     test_every_small_buffer},
    {"request strings without their form are refused", test_request_strings_refused},
    {"request values out of range are refused", test_request_values_refused},
    {"response values out of range are refused", test_response_values_refused},
    {"fields that could split a message are refused", test_fields_refused},
    {"a variable called like a header stays a variable", test_variable_like_header},
    {"random heads come back as they went", test_random_round_trip},
};

int main(void)
{
    memset(filler, 'v', sizeof(filler));
    return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
