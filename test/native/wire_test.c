/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/*
 * The wire codec: frame headers, golden frames, every breach of the rules, payloads of a
 * fixed form, header names. Heads and trailers: wire_heads_test.c.
 *
 *   wire_test                        runs the tests
 *   wire_test --write-corpus <dir>   writes the fuzz target's seeds from the same frames
 */
#include <stdlib.h>

#include "tap.h"
#include "wire_any.h"
#include "wire_golden.h"

static any_t first, second; /* too large for a stack */
static uint8_t out[TSGI_FRAME_HEADER + TSGI_MAX_REQUEST];

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

/* Decodes a whole frame as a peer does; 0 or the first error. */
static int receive(tsgi_sender_t sender, const uint8_t *frame, size_t n, any_t *any)
{
    tsgi_frame_t header;
    const int got = tsgi_frame_decode(frame, n, sender, &header);
    if (got != 1) {
        return got < 0 ? got : TSGI_E_TRUNCATED;
    }
    any->flags = header.flags;
    return any_decode(header.type, frame + TSGI_FRAME_HEADER, n - TSGI_FRAME_HEADER, any);
}

/* ---- golden frames ---------------------------------------------------------------- */

static void test_golden_round_trip(void)
{
    for (size_t i = 0; i < GOLDENS; i++) {
        const golden_t *g = &goldens[i];
        uint8_t *frame = any_copy(g->bytes, g->len);
        CHECK(receive(g->sender, frame, g->len, &first) == 0);
        CHECK(any_encode(out, sizeof(out), &first) == (long)g->len);
        CHECK(memcmp(out, g->bytes, g->len) == 0);
        CHECK(receive(g->sender, out, g->len, &second) == 0);
        CHECK(any_equal(&first, &second));
        any_free(frame);
    }
}

static void test_golden_every_type(void)
{
    for (unsigned type = 0; type < 256; type++) {
        int is_golden = 0, is_known = 0;
        for (size_t i = 0; i < GOLDENS; i++) {
            is_golden |= goldens[i].bytes[4] == type;
        }
        for (unsigned length = 0; length < 64; length++) {
            uint8_t header[TSGI_FRAME_HEADER];
            tsgi_frame_t f;
            tsgi_frame_encode(header, (uint8_t)type, 0, length);
            const int a = tsgi_frame_decode(header, sizeof(header), TSGI_FROM_APACHE, &f);
            const int w = tsgi_frame_decode(header, sizeof(header), TSGI_FROM_WORKER, &f);
            CHECK(a == TSGI_E_TYPE || w == TSGI_E_TYPE);
            is_known |= a != TSGI_E_TYPE || w != TSGI_E_TYPE;
        }
        CHECK(is_golden == is_known);
    }
}

static void test_golden_hello_auth(void)
{
    const golden_t *hello = golden("hello"), *auth = golden("auth");
    CHECK(receive(hello->sender, hello->bytes, hello->len, &first) == 0);
    CHECK(first.hello.major == 1 && first.hello.minor == 0 && first.hello.pid == 200);
    CHECK(memcmp(first.hello.generation, "generation-of-16", 16) == 0);
    CHECK(receive(auth->sender, auth->bytes, auth->len, &first) == 0);
    CHECK(first.auth.major == 1 && first.auth.minor == 0);
    CHECK(memcmp(first.auth.secret, "0123456789abcdef0123456789ABCDEF", 32) == 0);
}

static void test_golden_texts(void)
{
    const golden_t *g = golden("abort");
    CHECK(receive(g->sender, g->bytes, g->len, &first) == 0);
    CHECK(first.text.code == 701 && first.text.text.len == 4);
    CHECK(memcmp(first.text.text.data, "gone", 4) == 0);
    g = golden("log");
    CHECK(receive(g->sender, g->bytes, g->len, &first) == 0);
    CHECK(first.text.code == 4 && first.text.text.len == 7);
    CHECK(memcmp(first.text.text.data, "a line\n", 7) == 0);
    g = golden("unavailable");
    CHECK(receive(g->sender, g->bytes, g->len, &first) == 0);
    CHECK(first.unavailable.code == 503 && first.unavailable.retry_after == 10);
}

/* ---- splits and truncation -------------------------------------------------------- */

static void test_header_split(void)
{
    for (size_t i = 0; i < GOLDENS; i++) {
        const golden_t *g = &goldens[i];
        for (size_t n = 0; n <= g->len; n++) {
            uint8_t *part = any_copy(g->bytes, n);
            tsgi_frame_t frame = {0, 0, 0};
            const int got = tsgi_frame_decode(part, n, g->sender, &frame);
            CHECK(got == (n >= TSGI_FRAME_HEADER));
            if (got == 1) {
                CHECK(frame.length == g->len - TSGI_FRAME_HEADER);
                CHECK(frame.type == g->bytes[4] && frame.flags == g->bytes[5]);
            }
            any_free(part);
        }
    }
}

static int has_form(uint8_t type)
{
    return type != TSGI_T_BODY && type != TSGI_T_DATA && type != TSGI_T_ABORT &&
           type != TSGI_T_LOG && type != TSGI_T_SOCKET;
}

static void test_payload_truncated(void)
{
    for (size_t i = 0; i < GOLDENS; i++) {
        const golden_t *g = &goldens[i];
        const uint8_t type = g->bytes[4];
        const size_t whole = g->len - TSGI_FRAME_HEADER;
        for (size_t n = 0; n < whole; n++) {
            uint8_t *part = any_copy(g->bytes + TSGI_FRAME_HEADER, n);
            const int error = any_decode(type, part, n, &first);
            const int is_trailers = type == TSGI_T_END || type == TSGI_T_BODY_END;
            if (has_form(type) && !(is_trailers && n == 0)) {
                CHECK(error < 0);
            }
            any_free(part);
        }
    }
}

static void test_payload_any_byte_changed(void)
{
    for (size_t i = 0; i < GOLDENS; i++) {
        const golden_t *g = &goldens[i];
        uint8_t *frame = any_copy(g->bytes, g->len);
        for (size_t at = 0; at < g->len; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                frame[at] = (uint8_t)byte;
                /* Whatever it says, it says it without a read outside. */
                CHECK(receive(g->sender, frame, g->len, &first) <= 0);
            }
            frame[at] = g->bytes[at];
        }
        any_free(frame);
    }
}

/* ---- breaches --------------------------------------------------------------------- */

/* The frame of a breach in exactly *n bytes; the caller frees it. */
static uint8_t *breach_frame(const breach_t *breach, size_t *n)
{
    const golden_t *g = golden(breach->golden);
    *n = (size_t)((long)g->len + breach->grow);
    uint8_t *frame = any_block(*n);
    memset(frame, 0, *n);
    memcpy(frame, g->bytes, *n < g->len ? *n : g->len);
    frame[0] = (uint8_t)(frame[0] + breach->grow);
    if (breach->at != UNPATCHED) {
        frame[breach->at] = breach->byte;
    }
    return frame;
}

static void test_breaches(void)
{
    for (size_t i = 0; i < BREACHES; i++) {
        size_t n;
        uint8_t *frame = breach_frame(&breaches[i], &n);
        const int error = receive(golden(breaches[i].golden)->sender, frame, n, &first);
        if (error != breaches[i].error) {
            printf("# %s: expected %d, came %d\n", breaches[i].sentence,
                   breaches[i].error, error);
        }
        CHECK(error == breaches[i].error);
        any_free(frame);
    }
}

static void test_direction(void)
{
    for (size_t i = 0; i < GOLDENS; i++) {
        const golden_t *g = &goldens[i];
        const tsgi_sender_t other =
            g->sender == TSGI_FROM_APACHE ? TSGI_FROM_WORKER : TSGI_FROM_APACHE;
        CHECK(receive(other, g->bytes, g->len, &first) == TSGI_E_TYPE);
    }
}

static void test_flags(void)
{
    for (size_t i = 0; i < GOLDENS; i++) {
        const golden_t *g = &goldens[i];
        const uint8_t type = g->bytes[4];
        const int has_fin =
            type == TSGI_T_REQUEST || type == TSGI_T_RESPONSE || type == TSGI_T_DATA;
        for (unsigned flags = 1; flags < 256; flags++) {
            uint8_t header[TSGI_FRAME_HEADER];
            tsgi_frame_t frame;
            memcpy(header, g->bytes, sizeof(header));
            header[5] = (uint8_t)flags;
            const int is_legal = flags == TSGI_F_FIN && has_fin;
            CHECK(tsgi_frame_decode(header, sizeof(header), g->sender, &frame) ==
                  (is_legal ? 1 : TSGI_E_FLAGS));
        }
    }
}

/* ---- limits of the frame header --------------------------------------------------- */

typedef struct {
    uint8_t type, flags;
    uint32_t min, max;
} limit_t;

static const limit_t limits[] = {
    {TSGI_T_AUTH, 0, 36, 36},
    {TSGI_T_REQUEST, 0, 48, 1048576},
    {TSGI_T_BODY, 0, 1, 262144},
    {TSGI_T_BODY_END, 0, 0, 65536},
    {TSGI_T_HELLO, 0, 24, 24},
    {TSGI_T_STARTED, 0, 0, 0},
    {TSGI_T_CONTINUE, 0, 0, 0},
    {TSGI_T_INFORM, 0, 5, 262144},
    {TSGI_T_RESPONSE, 0, 5, 262144},
    {TSGI_T_DATA, 0, 1, 262144},
    {TSGI_T_DATA, TSGI_F_FIN, 0, 262144},
    {TSGI_T_END, 0, 0, 65536},
    {TSGI_T_ABORT, 0, 4, 8192},
    {TSGI_T_LOG, 0, 4, 8192},
    {TSGI_T_REFUSED, 0, 0, 0},
    {TSGI_T_GOAWAY, 0, 0, 0},
    {TSGI_T_UNAVAILABLE, 0, 4, 4},
};

static int header_says(const limit_t *limit, uint32_t length)
{
    uint8_t header[TSGI_FRAME_HEADER];
    tsgi_frame_t frame;
    tsgi_frame_encode(header, limit->type, limit->flags, length);
    return tsgi_frame_decode(header, sizeof(header),
                             limit->type & 0x40 ? TSGI_FROM_WORKER : TSGI_FROM_APACHE,
                             &frame);
}

static void test_limits(void)
{
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const limit_t *limit = &limits[i];
        CHECK(header_says(limit, limit->min) == 1);
        CHECK(header_says(limit, limit->max) == 1);
        CHECK(header_says(limit, limit->max + 1) == TSGI_E_SIZE);
        CHECK(header_says(limit, UINT32_MAX) == TSGI_E_SIZE);
        if (limit->min > 0) {
            CHECK(header_says(limit, limit->min - 1) == TSGI_E_SIZE);
        }
    }
}

/* ---- ABORT and LOG ---------------------------------------------------------------- */

static void test_text_cut(void)
{
    static char long_text[TSGI_MAX_TEXT + 1];
    memset(long_text, 'x', sizeof(long_text));
    const uint32_t most = TSGI_MAX_TEXT - 4;
    for (uint32_t len = most - 1; len <= most + 1; len++) {
        const tsgi_text_t text = {.code = 3, .text = {long_text, len}};
        const uint32_t kept = len > most ? most : len;
        const long size = tsgi_text_encode(out, sizeof(out), TSGI_T_LOG, &text);
        CHECK(size == (long)(TSGI_FRAME_HEADER + 4 + kept));
        CHECK(receive(TSGI_FROM_WORKER, out, (size_t)size, &first) == 0);
        CHECK(first.text.text.len == kept);
    }
}

static void test_text_refusals(void)
{
    const tsgi_text_t text = {.code = 8, .text = {NULL, 0}};
    CHECK(tsgi_text_encode(out, sizeof(out), TSGI_T_LOG, &text) == TSGI_E_VALUE);
    CHECK(tsgi_text_encode(out, sizeof(out), TSGI_T_END, &text) == TSGI_E_TYPE);
    CHECK(tsgi_text_encode(out, 11, TSGI_T_ABORT, &text) == TSGI_E_SPACE);
    CHECK(tsgi_text_encode(out, 12, TSGI_T_ABORT, &text) == 12);
    CHECK(tsgi_text_decode(TSGI_T_END, out + TSGI_FRAME_HEADER, 4, &first.text) ==
          TSGI_E_TYPE);
    static uint8_t payload[TSGI_MAX_TEXT + 1];
    CHECK(tsgi_text_decode(TSGI_T_LOG, payload, TSGI_MAX_TEXT, &first.text) == 0);
    CHECK(tsgi_text_decode(TSGI_T_LOG, payload, TSGI_MAX_TEXT + 1, &first.text) ==
          TSGI_E_SIZE);
}

/* ---- versions, secrets, errors ---------------------------------------------------- */

static void test_versions(void)
{
    CHECK(tsgi_version_accepted(TSGI_WIRE_MAJOR, TSGI_WIRE_MINOR));
    CHECK(tsgi_version_accepted(TSGI_WIRE_MAJOR, TSGI_WIRE_MINOR + 1));
    CHECK(tsgi_version_accepted(TSGI_WIRE_MAJOR, 255));
    CHECK(!tsgi_version_accepted(TSGI_WIRE_MAJOR + 1, TSGI_WIRE_MINOR));
    CHECK(!tsgi_version_accepted(TSGI_WIRE_MAJOR - 1, TSGI_WIRE_MINOR));
    for (int minor = 0; minor < TSGI_WIRE_MINOR; minor++) {
        CHECK(tsgi_version_accepted(TSGI_WIRE_MAJOR, (uint8_t)minor) ==
              (minor == TSGI_WIRE_MINOR - 1));
    }
}

static void test_secrets(void)
{
    uint8_t a[TSGI_SECRET_SIZE], b[TSGI_SECRET_SIZE];
    memset(a, 0x5A, sizeof(a));
    memset(b, 0x5A, sizeof(b));
    CHECK(tsgi_secret_equal(a, b));
    for (size_t i = 0; i < sizeof(b) * 8; i++) {
        b[i / 8] = (uint8_t)(b[i / 8] ^ (1u << (i % 8)));
        CHECK(!tsgi_secret_equal(a, b));
        b[i / 8] = a[i / 8];
    }
}

static void test_error_texts(void)
{
    for (int error = -1; error >= -9; error--) {
        const char *text = tsgi_wire_strerror(error);
        CHECK(strcmp(text, "unknown error") != 0);
        for (int other = error + 1; other <= -1; other++) {
            CHECK(strcmp(text, tsgi_wire_strerror(other)) != 0);
        }
    }
    CHECK(strcmp(tsgi_wire_strerror(0), "no error") == 0);
    CHECK(strcmp(tsgi_wire_strerror(-10), "unknown error") == 0);
    CHECK(strcmp(tsgi_wire_strerror(-2147483647), "unknown error") == 0);
}

/* ---- names and values ------------------------------------------------------------- */

static void test_tokens_found(void)
{
    CHECK(tsgi_token_count() > 60 && tsgi_token_count() <= 127);
    for (unsigned number = 1; number <= tsgi_token_count(); number++) {
        for (unsigned bit = 0; bit <= TSGI_TOKEN_LOWER; bit += TSGI_TOKEN_LOWER) {
            const uint8_t token = (uint8_t)(number | bit);
            size_t len = 0;
            const char *name = tsgi_token_name(token, &len);
            CHECK(name != NULL && len == strlen(name) && tsgi_name_valid(name, len));
            if (name == NULL) {
                continue;
            }
            uint8_t *copy = any_copy(name, len);
            CHECK(tsgi_token_find((const char *)copy, len) == token);
            any_free(copy);
        }
    }
}

static int is_lower_of(const char *lower, const char *name)
{
    for (; *name != '\0'; name++, lower++) {
        if (*lower != (*name >= 'A' && *name <= 'Z' ? *name + 32 : *name)) {
            return 0;
        }
    }
    return *lower == '\0';
}

static void test_tokens_lower(void)
{
    size_t len;
    for (unsigned number = 1; number <= tsgi_token_count(); number++) {
        const char *name = tsgi_token_name((uint8_t)number, &len);
        const char *lower = tsgi_token_name((uint8_t)(number | TSGI_TOKEN_LOWER), &len);
        CHECK(name != NULL && lower != NULL && is_lower_of(lower, name) &&
              strcmp(lower, name) != 0);
    }
    CHECK(tsgi_token_name(0, &len) == NULL);
    CHECK(tsgi_token_name(TSGI_TOKEN_LOWER, &len) == NULL);
    CHECK(tsgi_token_name((uint8_t)(tsgi_token_count() + 1), &len) == NULL);
}

/* Numbers that peers in the field know; a change here is a change of the wire. */
static void test_tokens_fixed(void)
{
    CHECK(tsgi_token_find("Host", 4) == 1);
    CHECK(tsgi_token_find("Content-Type", 12) == 11);
    CHECK(tsgi_token_find("Set-Cookie", 10) == 106);
    CHECK(tsgi_token_find("x-xss-protection", 16) == (118 | TSGI_TOKEN_LOWER));
}

static void test_tokens_absent(void)
{
    static const char *const names[] = {
        "hOST", "HOST", "Hos",       "Host ",   "host:",          "Hosts",
        "etaG", "Etag", "X-Unknown", "x-other", "X-XSS-Protectio"};
    CHECK(tsgi_token_find(NULL, 0) == 0);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        CHECK(tsgi_token_find(names[i], strlen(names[i])) == 0);
    }
    for (size_t len = 1; len < 300; len++) {
        char name[300];
        memset(name, 'X', sizeof(name));
        CHECK(tsgi_token_find(name, len) == 0);
        memset(name, '\xFF', sizeof(name));
        CHECK(tsgi_token_find(name, len) == 0);
    }
}

static void test_names(void)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (int c = 0; c < 256; c++) {
        const char name[3] = {'a', (char)c, 'b'};
        const int is_tchar = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                             (c >= 'a' && c <= 'z') ||
                             (c != 0 && strchr(marks, c) != NULL);
        CHECK(tsgi_name_valid(name, 3) == is_tchar);
        CHECK(tsgi_name_valid(name + 1, 1) == is_tchar);
    }
    static char long_name[TSGI_MAX_TEXT + 1];
    memset(long_name, 'n', sizeof(long_name));
    CHECK(!tsgi_name_valid(NULL, 0));
    CHECK(tsgi_name_valid(long_name, TSGI_MAX_TEXT));
    CHECK(!tsgi_name_valid(long_name, TSGI_MAX_TEXT + 1));
}

/* The check looks at eight bytes at a time: each byte at each place of 1 to 24. */
static void test_values(void)
{
    CHECK(tsgi_value_valid(NULL, 0));
    for (size_t len = 1; len <= 24; len++) {
        char *value = (char *)any_block(len);
        memset(value, 0x7F, len);
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                value[at] = (char)(signed char)c;
                CHECK(tsgi_value_valid(value, len) == (c != 0 && c != '\r' && c != '\n'));
            }
            value[at] = '\t'; /* below 16, yet allowed */
        }
        any_free((uint8_t *)value);
    }
}

/* ---- seeds of the fuzz target ----------------------------------------------------- */

/* lead: the first byte of a seed, see wire_fuzz.c. */
static int write_seed(const char *dir, const char *kind, const char *name, uint8_t lead,
                      const uint8_t *bytes, size_t n)
{
    char path[512], file[64];
    snprintf(file, sizeof(file), "%s", name);
    for (char *c = file; *c != '\0'; c++) {
        if (!tsgi_name_valid(c, 1) || *c == '\'') {
            *c = '-';
        }
    }
    const int len = snprintf(path, sizeof(path), "%s/%s-%s", dir, kind, file);
    FILE *f = len > 0 && (size_t)len < sizeof(path) ? fopen(path, "wb") : NULL;
    if (f == NULL) {
        fprintf(stderr, "cannot write %s\n", path);
        return 1;
    }
    const int failed = fputc(lead, f) == EOF || (n > 0 && fwrite(bytes, n, 1, f) != 1);
    return fclose(f) != 0 || failed;
}

static uint8_t stream_of(tsgi_sender_t sender)
{
    return sender == TSGI_FROM_APACHE ? 0x80 : 0xC0;
}

/* All frames of one direction behind each other. */
static int write_conversation(const char *dir, tsgi_sender_t sender)
{
    size_t n = 0;
    for (size_t i = 0; i < GOLDENS; i++) {
        if (goldens[i].sender == sender) {
            memcpy(out + n, goldens[i].bytes, goldens[i].len);
            n += goldens[i].len;
        }
    }
    return write_seed(dir, "stream", sender == TSGI_FROM_APACHE ? "apache" : "worker",
                      stream_of(sender), out, n);
}

static int write_corpus(const char *dir)
{
    int failed = 0;
    for (size_t i = 0; i < GOLDENS; i++) {
        const golden_t *g = &goldens[i];
        failed |=
            write_seed(dir, "frame", g->name, stream_of(g->sender), g->bytes, g->len);
        failed |= write_seed(dir, "payload", g->name, g->bytes[4],
                             g->bytes + TSGI_FRAME_HEADER, g->len - TSGI_FRAME_HEADER);
    }
    for (size_t i = 0; i < BREACHES; i++) {
        size_t n;
        uint8_t *frame = breach_frame(&breaches[i], &n);
        const uint8_t lead = stream_of(golden(breaches[i].golden)->sender);
        failed |= write_seed(dir, "breach", breaches[i].sentence, lead, frame, n);
        any_free(frame);
    }
    /* What an encoder gets: status, reason, names and values by turns. */
    static const uint8_t fields[] = "\xC8\x00"
                                    "\x02OK"
                                    "\x04Host\x01"
                                    "a"
                                    "\x05X-Odd\x00"
                                    "\x03"
                                    "bad";
    failed |= write_seed(dir, "encode", "fields", 0xA0, fields, sizeof(fields) - 1);
    return failed | write_conversation(dir, TSGI_FROM_APACHE) |
           write_conversation(dir, TSGI_FROM_WORKER);
}

static const tap_test_t tests[] = {
    {"golden frames decode and encode to the same bytes", test_golden_round_trip},
    {"each frame type has a golden frame and one direction", test_golden_every_type},
    {"HELLO and AUTH hold version, pid, generation and secret", test_golden_hello_auth},
    {"ABORT, LOG and UNAVAILABLE hold their numbers and texts", test_golden_texts},
    {"a frame header split at any byte waits for the rest", test_header_split},
    {"a payload cut off at any byte is refused", test_payload_truncated},
    {"any byte may be any byte without a read outside", test_payload_any_byte_changed},
    {"each breach of the rules gets its own error", test_breaches},
    {"a frame of the other direction is refused", test_direction},
    {"flags that a type does not have are refused", test_flags},
    {"each type's limits hold at n and refuse at n + 1", test_limits},
    {"text over the limit is cut", test_text_cut},
    {"text encoders refuse levels, types and small buffers", test_text_refusals},
    {"the version before ours is accepted, other majors are not", test_versions},
    {"secrets that differ in any one bit are not equal", test_secrets},
    {"each error has a text of its own", test_error_texts},
    {"tokens are found in the table's and in lower case", test_tokens_found},
    {"the lower case of a token is the lower case of its name", test_tokens_lower},
    {"token numbers do not change", test_tokens_fixed},
    {"other cases and other names have no token", test_tokens_absent},
    {"names are tokens of RFC 9110", test_names},
    {"values hold any bytes but CR, LF and NUL", test_values},
};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write-corpus") == 0) {
        return write_corpus(argv[2]);
    }
    if (argc != 1) {
        fprintf(stderr, "usage: %s [--write-corpus <directory>]\n", argv[0]);
        return 2;
    }
    return tap_run(tests, sizeof(tests) / sizeof(tests[0]));
}
