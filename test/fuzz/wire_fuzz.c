/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/*
 * Fuzz target of the wire codec, for libFuzzer or for replay.c. The first byte picks what
 * the rest is:
 *   0x80       a stream of frames from Apache
 *   0xC0       a stream of frames from a worker
 *   0xA0       names and values that an encoder gets
 *   others     a payload of the frame type of that number
 *
 * What decodes must say the same after it was encoded and decoded again; what encodes
 * must decode. test/native/wire_test.c --write-corpus writes the seeds.
 */
#include <stdlib.h>

#include "../native/wire_any.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* abort() is what libFuzzer and replay.c notice in a build of any kind. */
#define MUST(expression)                                                                 \
    do {                                                                                 \
        if (!(expression)) {                                                             \
            abort();                                                                     \
        }                                                                                \
    } while (0)

static any_t first, second; /* too large for a stack */
static uint8_t once[TSGI_FRAME_HEADER + TSGI_MAX_REQUEST];
static uint8_t twice[TSGI_FRAME_HEADER + TSGI_MAX_REQUEST];

static size_t size_of(const any_t *any)
{
    switch (any->type) {
    case TSGI_T_REQUEST:
        return tsgi_request_size(&any->request, any->headers, any->nheaders, any->vars,
                                 any->nvars);
    case TSGI_T_RESPONSE:
    case TSGI_T_INFORM:
        return tsgi_response_size(&any->response, any->headers, any->nheaders);
    case TSGI_T_END:
    case TSGI_T_BODY_END:
        return tsgi_trailers_size(any->headers, any->nheaders);
    default:
        return 0;
    }
}

/* 1 if each name that has a token was sent as one: then there is one encoding only. */
static int is_canonical(const any_t *any)
{
    for (size_t i = 0; i < any->nheaders; i++) {
        const tsgi_field_t *h = &any->headers[i];
        if (h->token != tsgi_token_find(h->name.data, h->name.len)) {
            return 0;
        }
    }
    return 1;
}

/* Encodes what was decoded from payload, decodes that, and compares all three. */
static void round_trip(const uint8_t *payload, size_t n)
{
    const long size = any_encode(once, sizeof(once), &first);
    MUST(size >= TSGI_FRAME_HEADER && (size_t)size <= TSGI_FRAME_HEADER + n);
    const size_t expected = size_of(&first);
    MUST(expected == 0 || expected == (size_t)size);
    const size_t length = (size_t)size - TSGI_FRAME_HEADER;
    if (is_canonical(&first)) {
        MUST(length == n &&
             (n == 0 || memcmp(once + TSGI_FRAME_HEADER, payload, n) == 0));
    }
    second.flags = first.flags;
    MUST(any_decode(first.type, once + TSGI_FRAME_HEADER, length, &second) == 0);
    MUST(any_equal(&first, &second));
    MUST(any_encode(twice, sizeof(twice), &second) == size);
    MUST(memcmp(once, twice, (size_t)size) == 0);
    MUST(any_encode(twice, (size_t)size - 1, &second) == TSGI_E_SPACE);
}

/* Decoders get a copy of exactly the payload, so that no read behind it goes unseen. */
static void one_payload(uint8_t type, uint8_t flags, const uint8_t *bytes, size_t n)
{
    uint8_t *payload = any_copy(bytes, n);
    first.flags = flags;
    const int error = any_decode(type, payload, n, &first);
    MUST(error <= 0 && error >= TSGI_E_SPACE);
    if (error == 0 && n <= TSGI_MAX_REQUEST) {
        round_trip(payload, n);
    }
    any_free(payload);
}

static void stream(tsgi_sender_t sender, const uint8_t *p, size_t n)
{
    tsgi_frame_t frame;
    while (tsgi_frame_decode(p, n, sender, &frame) == 1) {
        uint8_t header[TSGI_FRAME_HEADER];
        tsgi_frame_encode(header, frame.type, frame.flags, frame.length);
        MUST(memcmp(header, p, TSGI_FRAME_HEADER) == 0);
        p += TSGI_FRAME_HEADER;
        n -= TSGI_FRAME_HEADER;
        if (frame.length > n) {
            return; /* the rest has not come yet */
        }
        one_payload(frame.type, frame.flags, p, frame.length);
        p += frame.length;
        n -= frame.length;
    }
}

/* Takes a string as long as its first byte says, as far as there is one. */
static tsgi_str_t take(const uint8_t **p, size_t *n)
{
    tsgi_str_t s = {NULL, 0};
    if (*n > 0) {
        const size_t len = **p < *n ? **p : *n - 1;
        s.data = (const char *)*p + 1;
        s.len = (uint32_t)len;
        *p += 1 + len;
        *n -= 1 + len;
    }
    return s;
}

static void encode_any_fields(const uint8_t *p, size_t n)
{
    memset(&first.response, 0, sizeof(first.response));
    first.type = TSGI_T_RESPONSE;
    first.flags = 0;
    first.nvars = 0;
    if (n < 2) {
        return;
    }
    first.response.status = (uint16_t)(p[0] | p[1] << 8);
    p += 2;
    n -= 2;
    first.response.reason = take(&p, &n);
    for (first.nheaders = 0; n > 0 && first.nheaders < TSGI_MAX_FIELDS;
         first.nheaders++) {
        first.headers[first.nheaders].name = take(&p, &n);
        first.headers[first.nheaders].value = take(&p, &n);
    }
    const long size = any_encode(once, sizeof(once), &first);
    if (size < 0) {
        return;
    }
    MUST((size_t)size == size_of(&first));
    second.flags = 0;
    MUST(any_decode(TSGI_T_RESPONSE, once + TSGI_FRAME_HEADER,
                    (size_t)size - TSGI_FRAME_HEADER, &second) == 0);
    MUST(any_equal(&first, &second));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    switch (data[0]) {
    case 0x80:
        stream(TSGI_FROM_APACHE, data + 1, size - 1);
        break;
    case 0xC0:
        stream(TSGI_FROM_WORKER, data + 1, size - 1);
        break;
    case 0xA0:
        encode_any_fields(data + 1, size - 1);
        break;
    default:
        one_payload(data[0], 0, data + 1, size - 1);
        break;
    }
    return 0;
}
