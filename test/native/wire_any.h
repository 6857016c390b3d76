/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file wire_any.h
 * A payload of any type decoded into one struct and encoded again: what the tests of the
 * codec and its fuzz target have in common.
 */
#ifndef TSGI_WIRE_ANY_H
#define TSGI_WIRE_ANY_H

#include <stdlib.h>
#include <string.h>

#include "wire/tsgi_wire.h"

typedef struct {
    uint8_t type;
    uint8_t flags;
    tsgi_hello_t hello;
    tsgi_auth_t auth;
    tsgi_request_t request;
    tsgi_response_t response;
    tsgi_text_t text;
    tsgi_unavailable_t unavailable;
    tsgi_field_t headers[TSGI_MAX_FIELDS]; /* or trailers */
    tsgi_field_t vars[TSGI_MAX_FIELDS];
    size_t nheaders, nvars;
    tsgi_str_t data; /* of types whose payload has no form */
} any_t;

/* A block of n bytes that ends where its memory ends: AddressSanitizer sees a read or write
 * of one byte too many, also if n is 0. any_free() takes it back. */
static uint8_t *any_block(size_t n)
{
    uint8_t *block = malloc(n + 1);
    if (block == NULL) {
        abort();
    }
    return block + 1;
}

static uint8_t *any_copy(const void *bytes, size_t n)
{
    uint8_t *copy = any_block(n);
    if (n > 0) {
        memcpy(copy, bytes, n);
    }
    return copy;
}

static void any_free(uint8_t *block)
{
    free(block - 1);
}

/* Reads a list to its end; 1 if it held what it promised and no byte more. */
static int any_collect(tsgi_fields_t list, tsgi_field_t *fields, size_t *n)
{
    const uint32_t promised = list.left;
    *n = 0;
    while (*n < promised && tsgi_fields_next(&list, &fields[*n])) {
        (*n)++;
    }
    tsgi_field_t none;
    return *n == promised && list.p == list.end && !tsgi_fields_next(&list, &none);
}

/* TSGI_E_* or 0; 1 if a decoder passed a list that tsgi_fields_next() cannot read. */
static int any_decode(uint8_t type, const uint8_t *payload, size_t n, any_t *out)
{
    tsgi_fields_t headers = {NULL, NULL, 0}, vars = {NULL, NULL, 0};
    int error = 0;
    switch (type) {
    case TSGI_T_HELLO:
        error = tsgi_hello_decode(payload, n, &out->hello);
        break;
    case TSGI_T_AUTH:
        error = tsgi_auth_decode(payload, n, &out->auth);
        break;
    case TSGI_T_REQUEST:
        error = tsgi_request_decode(payload, n, &out->request, &headers, &vars);
        break;
    case TSGI_T_RESPONSE:
    case TSGI_T_INFORM:
        error = tsgi_response_decode(type, payload, n, &out->response, &headers);
        break;
    case TSGI_T_END:
    case TSGI_T_BODY_END:
        error = tsgi_trailers_decode(payload, n, &headers);
        break;
    case TSGI_T_ABORT:
    case TSGI_T_LOG:
        error = tsgi_text_decode(type, payload, n, &out->text);
        break;
    case TSGI_T_UNAVAILABLE:
        error = tsgi_unavailable_decode(payload, n, &out->unavailable);
        break;
    default:
        out->data.data = (const char *)payload;
        out->data.len = (uint32_t)n;
        break;
    }
    out->type = type;
    if (error != 0) {
        return error;
    }
    return any_collect(headers, out->headers, &out->nheaders) &&
                   any_collect(vars, out->vars, &out->nvars)
               ? 0
               : 1;
}

/* The types of a fixed size: their encoders cannot fail and know no capacity. */
static long any_encode_fixed(uint8_t *out, size_t cap, const any_t *any)
{
    uint8_t frame[TSGI_FRAME_HEADER + TSGI_AUTH_SIZE];
    size_t size = TSGI_FRAME_HEADER;
    if (any->type == TSGI_T_HELLO) {
        tsgi_hello_encode(frame, &any->hello);
        size += TSGI_HELLO_SIZE;
    }
    else if (any->type == TSGI_T_AUTH) {
        tsgi_auth_encode(frame, &any->auth);
        size += TSGI_AUTH_SIZE;
    }
    else {
        tsgi_unavailable_encode(frame, &any->unavailable);
        size += TSGI_UNAVAILABLE_SIZE;
    }
    if (size > cap) {
        return TSGI_E_SPACE;
    }
    memcpy(out, frame, size);
    return (long)size;
}

static long any_encode(uint8_t *out, size_t cap, const any_t *any)
{
    switch (any->type) {
    case TSGI_T_HELLO:
    case TSGI_T_AUTH:
    case TSGI_T_UNAVAILABLE:
        return any_encode_fixed(out, cap, any);
    case TSGI_T_REQUEST:
        return tsgi_request_encode(out, cap, &any->request, any->headers, any->nheaders,
                                   any->vars, any->nvars);
    case TSGI_T_RESPONSE:
    case TSGI_T_INFORM:
        return tsgi_response_encode(out, cap, any->type, any->flags, &any->response,
                                    any->headers, any->nheaders);
    case TSGI_T_END:
    case TSGI_T_BODY_END:
        return tsgi_trailers_encode(out, cap, any->type, any->headers, any->nheaders);
    case TSGI_T_ABORT:
    case TSGI_T_LOG:
        return tsgi_text_encode(out, cap, any->type, &any->text);
    default:
        if (cap < TSGI_FRAME_HEADER + (size_t)any->data.len) {
            return TSGI_E_SPACE;
        }
        tsgi_frame_encode(out, any->type, any->flags, any->data.len);
        if (any->data.len > 0) {
            memcpy(out + TSGI_FRAME_HEADER, any->data.data, any->data.len);
        }
        return (long)(TSGI_FRAME_HEADER + any->data.len);
    }
}

static int any_str_equal(const tsgi_str_t *a, const tsgi_str_t *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static int any_fields_equal(const tsgi_field_t *a, const tsgi_field_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!any_str_equal(&a[i].name, &b[i].name) ||
            !any_str_equal(&a[i].value, &b[i].value)) {
            return 0;
        }
    }
    return 1;
}

static int any_request_equal(const tsgi_request_t *a, const tsgi_request_t *b)
{
    for (unsigned i = 0; i < TSGI_S_COUNT; i++) {
        if (!any_str_equal(&a->s[i], &b->s[i])) {
            return 0;
        }
    }
    return a->flags == b->flags && a->content_length == b->content_length &&
           a->mount_length == b->mount_length && a->timeout_ms == b->timeout_ms &&
           a->remote_port == b->remote_port && a->local_port == b->local_port &&
           a->server_port == b->server_port && a->http_major == b->http_major &&
           a->http_minor == b->http_minor;
}

/* 1 if both say the same, whatever bytes said it. */
static int any_equal(const any_t *a, const any_t *b)
{
    if (a->type != b->type || a->nheaders != b->nheaders || a->nvars != b->nvars ||
        !any_fields_equal(a->headers, b->headers, a->nheaders) ||
        !any_fields_equal(a->vars, b->vars, a->nvars)) {
        return 0;
    }
    switch (a->type) {
    case TSGI_T_REQUEST:
        return any_request_equal(&a->request, &b->request);
    case TSGI_T_RESPONSE:
    case TSGI_T_INFORM:
        return a->response.status == b->response.status &&
               any_str_equal(&a->response.reason, &b->response.reason);
    case TSGI_T_ABORT:
    case TSGI_T_LOG:
        return a->text.code == b->text.code &&
               any_str_equal(&a->text.text, &b->text.text);
    default:
        return 1;
    }
}

#endif
