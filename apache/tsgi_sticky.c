/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_sticky.h"

#include "apr_lib.h"
#include "apr_sha1.h"
#include "apr_strings.h"
#include "http_core.h"
#include "http_protocol.h"

#include <string.h>

#define NAME_LENGTH (sizeof(TSGI_STICKY_COOKIE) - 1)
#define BLOCK_SIZE 64
/* "249." and 40 hex digits, and a NUL. */
#define VALUE_SIZE (3 + 1 + 2 * APR_SHA1_DIGESTSIZE + 1)
/* Apps that are mounted below another each set one; a client that sends more is no browser. */
#define MAX_CANDIDATES 8
/* What the signature is for: the secret serves other purposes, too. */
static const char purpose[] = "mod_tsgi sticky cookie";

/* ---- the signature: HMAC-SHA1 (RFC 2104) -------------------------------------------- */

static void hash_begin(apr_sha1_ctx_t *hash, const unsigned char *secret,
                       unsigned char pad)
{
    unsigned char block[BLOCK_SIZE];

    memset(block, pad, sizeof(block));
    for (size_t i = 0; i < TSGI_SECRET_SIZE; i++) {
        block[i] ^= secret[i];
    }
    apr_sha1_init(hash);
    apr_sha1_update_binary(hash, block, sizeof(block));
}

static void hash_text(apr_sha1_ctx_t *hash, const char *text)
{
    apr_sha1_update_binary(hash, (const unsigned char *)text,
                           (unsigned int)strlen(text) + 1);
}

static void sign(const tsgi_slots_t *slots, int slot,
                 unsigned char digest[APR_SHA1_DIGESTSIZE])
{
    const tsgi_generation_t *generation = slots->generation;
    const unsigned char number = (unsigned char)slot; /* < TSGI_SLOTS_MAX */
    apr_sha1_ctx_t hash;

    hash_begin(&hash, generation->secret, 0x36);
    hash_text(&hash, purpose);
    apr_sha1_update_binary(&hash, generation->id, sizeof(generation->id));
    hash_text(&hash, slots->name);
    apr_sha1_update_binary(&hash, &number, 1);
    apr_sha1_final(digest, &hash);
    hash_begin(&hash, generation->secret, 0x5c);
    apr_sha1_update_binary(&hash, digest, APR_SHA1_DIGESTSIZE);
    apr_sha1_final(digest, &hash);
}

/* "<slot>.<signature>" */
static void write_value(const tsgi_slots_t *slots, int slot, char value[VALUE_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[APR_SHA1_DIGESTSIZE];
    char *at = value + apr_snprintf(value, VALUE_SIZE, "%d.", slot);

    sign(slots, slot, digest);
    for (size_t i = 0; i < sizeof(digest); i++) {
        *at++ = digits[digest[i] >> 4];
        *at++ = digits[digest[i] & 15];
    }
    *at = '\0';
}

/* In a time that does not tell how much of it is right. */
static int is_equal(const char *a, const char *b, size_t n)
{
    unsigned char difference = 0;
    for (size_t i = 0; i < n; i++) {
        difference |= (unsigned char)(a[i] ^ b[i]);
    }
    return difference == 0;
}

/* ---- the client's cookie ------------------------------------------------------------ */

/* @return the slot, −1 if it was not signed here for these slots */
static int check_value(const tsgi_slots_t *slots, const char *value, size_t n)
{
    char expected[VALUE_SIZE];
    size_t digits = 0;
    int slot = 0;

    while (digits < 3 && digits < n && apr_isdigit(value[digits])) {
        slot = slot * 10 + (value[digits++] - '0');
    }
    if (digits == 0 || digits == n || value[digits] != '.' || slot >= slots->nslots) {
        return -1;
    }
    write_value(slots, slot, expected);
    return strlen(expected) == n && is_equal(expected, value, n) ? slot : -1;
}

int tsgi_sticky_slot(request_rec *r, const tsgi_slots_t *slots)
{
    const char *at = apr_table_get(r->headers_in, "Cookie");

    /* httpd joins several headers with a comma. */
    for (int candidates = 0; at != NULL && candidates < MAX_CANDIDATES;) {
        at += strspn(at, " \t;,");
        const size_t n = strcspn(at, ";,");
        if (n > NAME_LENGTH && at[NAME_LENGTH] == '=' &&
            strncmp(at, TSGI_STICKY_COOKIE, NAME_LENGTH) == 0) {
            const int slot =
                check_value(slots, at + NAME_LENGTH + 1, n - NAME_LENGTH - 1);
            if (slot >= 0) {
                return slot;
            }
            candidates++;
        }
        at = at[n] != '\0' ? at + n : NULL;
    }
    return -1;
}

/* ---- the answer --------------------------------------------------------------------- */

static int is_shared(request_rec *r)
{
    const char *control = apr_table_get(r->headers_out, "Cache-Control");
    return control != NULL && (ap_strcasestr(control, "public") != NULL ||
                               ap_strcasestr(control, "s-maxage") != NULL);
}

/* The mount point as the client writes it, in which no attribute may begin. */
static const char *cookie_path(request_rec *r, const tsgi_route_t *route)
{
    const char *path = apr_pstrmemdup(r->pool, route->target, route->mount_length);
    return path[0] == '/' && strpbrk(path, ";, \t\"") == NULL ? path : "/";
}

void tsgi_sticky_answer(request_rec *r, const tsgi_route_t *route,
                        const tsgi_slots_t *slots, int slot, int known)
{
    char value[VALUE_SIZE];

    if (slot == known || is_shared(r)) {
        return;
    }
    write_value(slots, slot, value);
    apr_table_add(
        r->headers_out, "Set-Cookie",
        apr_pstrcat(r->pool, TSGI_STICKY_COOKIE "=", value,
                    "; Path=", cookie_path(r, route), "; HttpOnly; SameSite=Lax",
                    strcmp(ap_http_scheme(r), "https") == 0 ? "; Secure" : NULL, NULL));
}
