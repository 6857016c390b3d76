/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/*
 * Frame headers and the payloads of a fixed form. Heads and trailers, which hold lists of
 * fields, are in tsgi_heads.c, the table of header names in tsgi_tokens.c.
 */
#include "tsgi_wire.h"

#include <limits.h>
#include <string.h>

#include "tsgi_bytes.h"

#define FROM_WORKER 0x40
#define TEXT_FIXED 4 /* of ABORT and LOG: what stands before the text */

const char *tsgi_wire_strerror(int error)
{
    switch (error) {
    case TSGI_E_TYPE:
        return "unknown frame type, or one of the other direction";
    case TSGI_E_FLAGS:
        return "a flag that this frame type does not have, or padding that is not zero";
    case TSGI_E_SIZE:
        return "payload smaller or larger than the frame type allows";
    case TSGI_E_TRUNCATED:
        return "a field reaches beyond the end of the payload";
    case TSGI_E_TRAILING:
        return "bytes left over behind the last field";
    case TSGI_E_VALUE:
        return "a value out of its range";
    case TSGI_E_NAME:
        return "a name that is empty, too long or holds a forbidden character";
    case TSGI_E_TEXT:
        return "CR, LF or NUL where none may stand";
    case TSGI_E_SPACE:
        return "the output buffer is too small";
    default:
        return error >= 0 ? "no error" : "unknown error";
    }
}

/* ---- frame header ----------------------------------------------------------------- */

/* What a frame type allows. A type whose row is not known does not exist. */
typedef struct {
    uint8_t known;
    uint8_t flags;
    uint32_t min, max;
} frame_rule_t;

static const frame_rule_t rules[] = {
    [TSGI_T_AUTH] = {1, 0, TSGI_AUTH_SIZE, TSGI_AUTH_SIZE},
    [TSGI_T_REQUEST] = {1, TSGI_F_FIN, 32 + TSGI_S_COUNT, TSGI_MAX_REQUEST},
    [TSGI_T_BODY] = {1, 0, 1, TSGI_MAX_DATA},
    [TSGI_T_BODY_END] = {1, 0, 0, TSGI_MAX_TRAILERS},
    [TSGI_T_SOCKET] = {1, 0, 0, TSGI_MAX_SOCKET},
    [TSGI_T_HELLO] = {1, 0, TSGI_HELLO_SIZE, TSGI_HELLO_SIZE},
    [TSGI_T_STARTED] = {1, 0, 0, 0},
    [TSGI_T_CONTINUE] = {1, 0, 0, 0},
    [TSGI_T_INFORM] = {1, 0, 5, TSGI_MAX_RESPONSE},
    [TSGI_T_RESPONSE] = {1, TSGI_F_FIN, 5, TSGI_MAX_RESPONSE},
    [TSGI_T_DATA] = {1, TSGI_F_FIN, 0, TSGI_MAX_DATA},
    [TSGI_T_END] = {1, 0, 0, TSGI_MAX_TRAILERS},
    [TSGI_T_ABORT] = {1, 0, TEXT_FIXED, TSGI_MAX_TEXT},
    [TSGI_T_UPGRADE] = {1, 0, 0, 0},
    [TSGI_T_LOG] = {1, 0, TEXT_FIXED, TSGI_MAX_TEXT},
    [TSGI_T_REFUSED] = {1, 0, 0, 0},
    [TSGI_T_GOAWAY] = {1, 0, 0, 0},
    [TSGI_T_UNAVAILABLE] = {1, 0, TSGI_UNAVAILABLE_SIZE, TSGI_UNAVAILABLE_SIZE},
};

int tsgi_frame_decode(const uint8_t *p, size_t n, tsgi_sender_t sender, tsgi_frame_t *out)
{
    if (n < TSGI_FRAME_HEADER) {
        return 0;
    }
    const uint32_t length = get32(p);
    const uint8_t type = p[4];
    const uint8_t flags = p[5];
    if (type >= sizeof(rules) / sizeof(rules[0]) || !rules[type].known ||
        (type & FROM_WORKER) != (sender == TSGI_FROM_WORKER ? FROM_WORKER : 0)) {
        return TSGI_E_TYPE;
    }
    const frame_rule_t *rule = &rules[type];
    if ((flags & ~(unsigned)rule->flags) != 0 || get16(p + 6) != 0) {
        return TSGI_E_FLAGS;
    }
    if (length < rule->min || length > rule->max) {
        return TSGI_E_SIZE;
    }
    /* Empty pieces would let a peer keep the other busy for ever with nothing. */
    if (type == TSGI_T_DATA && length == 0 && (flags & TSGI_F_FIN) == 0) {
        return TSGI_E_SIZE;
    }
    out->length = length;
    out->type = type;
    out->flags = flags;
    return 1;
}

void tsgi_frame_encode(uint8_t *out, uint8_t type, uint8_t flags, uint32_t length)
{
    put32(out, length);
    out[4] = type;
    out[5] = flags;
    put16(out + 6, 0);
}

/* ---- HELLO, AUTH ------------------------------------------------------------------ */

void tsgi_hello_encode(uint8_t *out, const tsgi_hello_t *hello)
{
    tsgi_frame_encode(out, TSGI_T_HELLO, 0, TSGI_HELLO_SIZE);
    out += TSGI_FRAME_HEADER;
    out[0] = hello->major;
    out[1] = hello->minor;
    put16(out + 2, 0);
    put32(out + 4, hello->pid);
    memcpy(out + 8, hello->generation, TSGI_GENERATION_SIZE);
}

int tsgi_hello_decode(const uint8_t *payload, size_t n, tsgi_hello_t *out)
{
    if (n != TSGI_HELLO_SIZE) {
        return TSGI_E_SIZE;
    }
    if (get16(payload + 2) != 0) {
        return TSGI_E_FLAGS;
    }
    const uint32_t pid = get32(payload + 4);
    /* As a pid_t never zero or negative: to kill(2) that is a process group. */
    if (pid == 0 || pid > INT32_MAX) {
        return TSGI_E_VALUE;
    }
    out->major = payload[0];
    out->minor = payload[1];
    out->pid = pid;
    memcpy(out->generation, payload + 8, TSGI_GENERATION_SIZE);
    return 0;
}

void tsgi_auth_encode(uint8_t *out, const tsgi_auth_t *auth)
{
    tsgi_frame_encode(out, TSGI_T_AUTH, 0, TSGI_AUTH_SIZE);
    out += TSGI_FRAME_HEADER;
    out[0] = auth->major;
    out[1] = auth->minor;
    put16(out + 2, 0);
    memcpy(out + 4, auth->secret, TSGI_SECRET_SIZE);
}

int tsgi_auth_decode(const uint8_t *payload, size_t n, tsgi_auth_t *out)
{
    if (n != TSGI_AUTH_SIZE) {
        return TSGI_E_SIZE;
    }
    if (get16(payload + 2) != 0) {
        return TSGI_E_FLAGS;
    }
    out->major = payload[0];
    out->minor = payload[1];
    memcpy(out->secret, payload + 4, TSGI_SECRET_SIZE);
    return 0;
}

int tsgi_secret_equal(const uint8_t *a, const uint8_t *b)
{
    /* volatile: no compiler may see that the loop could stop at the first difference */
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < TSGI_SECRET_SIZE; i++) {
        difference = (uint8_t)(difference | (a[i] ^ b[i]));
    }
    return difference == 0;
}

int tsgi_version_accepted(uint8_t major, uint8_t minor)
{
    return major == TSGI_WIRE_MAJOR && minor + 1 >= TSGI_WIRE_MINOR;
}

/* ---- ABORT, LOG ------------------------------------------------------------------- */

long tsgi_text_encode(uint8_t *out, size_t cap, uint8_t type, const tsgi_text_t *text)
{
    if (type != TSGI_T_ABORT && type != TSGI_T_LOG) {
        return TSGI_E_TYPE;
    }
    if (type == TSGI_T_LOG && text->code > 7) {
        return TSGI_E_VALUE;
    }
    uint32_t len = text->text.len;
    if (len > TSGI_MAX_TEXT - TEXT_FIXED) {
        len = TSGI_MAX_TEXT - TEXT_FIXED;
    }
    const size_t total = TSGI_FRAME_HEADER + TEXT_FIXED + (size_t)len;
    if (total > cap) {
        return TSGI_E_SPACE;
    }
    tsgi_frame_encode(out, type, 0, TEXT_FIXED + len);
    /* ABORT's code has two bytes, LOG's level one: as it is below 8, both are this. */
    put16(out + TSGI_FRAME_HEADER, text->code);
    put16(out + TSGI_FRAME_HEADER + 2, 0);
    if (len > 0) {
        memcpy(out + TSGI_FRAME_HEADER + TEXT_FIXED, text->text.data, len);
    }
    return (long)total;
}

int tsgi_text_decode(uint8_t type, const uint8_t *payload, size_t n, tsgi_text_t *out)
{
    if (type != TSGI_T_ABORT && type != TSGI_T_LOG) {
        return TSGI_E_TYPE;
    }
    if (n < TEXT_FIXED || n > TSGI_MAX_TEXT) {
        return TSGI_E_SIZE;
    }
    if (get16(payload + 2) != 0 || (type == TSGI_T_LOG && payload[1] != 0)) {
        return TSGI_E_FLAGS;
    }
    const uint16_t code = get16(payload);
    if (type == TSGI_T_LOG && code > 7) {
        return TSGI_E_VALUE;
    }
    out->code = code;
    out->text.data = (const char *)payload + TEXT_FIXED;
    out->text.len = (uint32_t)(n - TEXT_FIXED);
    return 0;
}

/* ---- UNAVAILABLE ------------------------------------------------------------------ */

void tsgi_unavailable_encode(uint8_t *out, const tsgi_unavailable_t *unavailable)
{
    tsgi_frame_encode(out, TSGI_T_UNAVAILABLE, 0, TSGI_UNAVAILABLE_SIZE);
    put16(out + TSGI_FRAME_HEADER, unavailable->code);
    put16(out + TSGI_FRAME_HEADER + 2, unavailable->retry_after);
}

int tsgi_unavailable_decode(const uint8_t *payload, size_t n, tsgi_unavailable_t *out)
{
    if (n != TSGI_UNAVAILABLE_SIZE) {
        return TSGI_E_SIZE;
    }
    out->code = get16(payload);
    out->retry_after = get16(payload + 2);
    return 0;
}
