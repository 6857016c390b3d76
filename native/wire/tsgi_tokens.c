/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/*
 * The table of header names that travel as one byte; what a name and a value may hold.
 */
#include "tsgi_wire.h"

#include <string.h>

typedef struct {
    const char *name;  /* canonical case; starts with an upper-case letter */
    const char *lower; /* the same in lower case */
    uint8_t len;
} token_t;

#define T(name, lower)                                                                   \
    {                                                                                    \
        name, lower, (uint8_t)(sizeof(name) - 1)                                         \
    }

/*
 * Part of the wire: an entry's place is its number, so entries never move. A new one goes
 * to the end, and its number also into by_length[]; docs/wire.md, "Versions", tells from
 * when on it may be sent.
 */
static const token_t tokens[] = {
    /* 1 */ T("Host", "host"),
    /* 2 */ T("Connection", "connection"),
    /* 3 */ T("User-Agent", "user-agent"),
    /* 4 */ T("Accept", "accept"),
    /* 5 */ T("Accept-Encoding", "accept-encoding"),
    /* 6 */ T("Accept-Language", "accept-language"),
    /* 7 */ T("Accept-Charset", "accept-charset"),
    /* 8 */ T("Authorization", "authorization"),
    /* 9 */ T("Cache-Control", "cache-control"),
    /* 10 */ T("Content-Length", "content-length"),
    /* 11 */ T("Content-Type", "content-type"),
    /* 12 */ T("Cookie", "cookie"),
    /* 13 */ T("Date", "date"),
    /* 14 */ T("DNT", "dnt"),
    /* 15 */ T("Expect", "expect"),
    /* 16 */ T("Forwarded", "forwarded"),
    /* 17 */ T("From", "from"),
    /* 18 */ T("If-Match", "if-match"),
    /* 19 */ T("If-Modified-Since", "if-modified-since"),
    /* 20 */ T("If-None-Match", "if-none-match"),
    /* 21 */ T("If-Range", "if-range"),
    /* 22 */ T("If-Unmodified-Since", "if-unmodified-since"),
    /* 23 */ T("Keep-Alive", "keep-alive"),
    /* 24 */ T("Last-Event-ID", "last-event-id"),
    /* 25 */ T("Max-Forwards", "max-forwards"),
    /* 26 */ T("Origin", "origin"),
    /* 27 */ T("Pragma", "pragma"),
    /* 28 */ T("Priority", "priority"),
    /* 29 */ T("Proxy-Authorization", "proxy-authorization"),
    /* 30 */ T("Purpose", "purpose"),
    /* 31 */ T("Range", "range"),
    /* 32 */ T("Referer", "referer"),
    /* 33 */ T("Save-Data", "save-data"),
    /* 34 */ T("Sec-CH-UA", "sec-ch-ua"),
    /* 35 */ T("Sec-CH-UA-Arch", "sec-ch-ua-arch"),
    /* 36 */ T("Sec-CH-UA-Bitness", "sec-ch-ua-bitness"),
    /* 37 */ T("Sec-CH-UA-Full-Version-List", "sec-ch-ua-full-version-list"),
    /* 38 */ T("Sec-CH-UA-Mobile", "sec-ch-ua-mobile"),
    /* 39 */ T("Sec-CH-UA-Model", "sec-ch-ua-model"),
    /* 40 */ T("Sec-CH-UA-Platform", "sec-ch-ua-platform"),
    /* 41 */ T("Sec-CH-UA-Platform-Version", "sec-ch-ua-platform-version"),
    /* 42 */ T("Sec-CH-UA-WoW64", "sec-ch-ua-wow64"),
    /* 43 */ T("Sec-CH-Prefers-Color-Scheme", "sec-ch-prefers-color-scheme"),
    /* 44 */ T("Sec-Fetch-Dest", "sec-fetch-dest"),
    /* 45 */ T("Sec-Fetch-Mode", "sec-fetch-mode"),
    /* 46 */ T("Sec-Fetch-Site", "sec-fetch-site"),
    /* 47 */ T("Sec-Fetch-User", "sec-fetch-user"),
    /* 48 */ T("Sec-Fetch-Storage-Access", "sec-fetch-storage-access"),
    /* 49 */ T("Sec-GPC", "sec-gpc"),
    /* 50 */ T("Sec-Purpose", "sec-purpose"),
    /* 51 */ T("Sec-WebSocket-Accept", "sec-websocket-accept"),
    /* 52 */ T("Sec-WebSocket-Extensions", "sec-websocket-extensions"),
    /* 53 */ T("Sec-WebSocket-Key", "sec-websocket-key"),
    /* 54 */ T("Sec-WebSocket-Protocol", "sec-websocket-protocol"),
    /* 55 */ T("Sec-WebSocket-Version", "sec-websocket-version"),
    /* 56 */ T("TE", "te"),
    /* 57 */ T("Trailer", "trailer"),
    /* 58 */ T("Transfer-Encoding", "transfer-encoding"),
    /* 59 */ T("Upgrade", "upgrade"),
    /* 60 */ T("Upgrade-Insecure-Requests", "upgrade-insecure-requests"),
    /* 61 */ T("Via", "via"),
    /* 62 */ T("X-Forwarded-For", "x-forwarded-for"),
    /* 63 */ T("X-Forwarded-Host", "x-forwarded-host"),
    /* 64 */ T("X-Forwarded-Port", "x-forwarded-port"),
    /* 65 */ T("X-Forwarded-Proto", "x-forwarded-proto"),
    /* 66 */ T("X-Forwarded-Server", "x-forwarded-server"),
    /* 67 */ T("X-Real-IP", "x-real-ip"),
    /* 68 */ T("X-Request-Id", "x-request-id"),
    /* 69 */ T("X-Requested-With", "x-requested-with"),
    /* 70 */ T("X-CSRF-Token", "x-csrf-token"),
    /* 71 */ T("Traceparent", "traceparent"),
    /* 72 */ T("Tracestate", "tracestate"),
    /* 73 */ T("Access-Control-Request-Headers", "access-control-request-headers"),
    /* 74 */ T("Access-Control-Request-Method", "access-control-request-method"),
    /* 75 */ T("Accept-Ranges", "accept-ranges"),
    /* 76 */ T("Access-Control-Allow-Credentials", "access-control-allow-credentials"),
    /* 77 */ T("Access-Control-Allow-Headers", "access-control-allow-headers"),
    /* 78 */ T("Access-Control-Allow-Methods", "access-control-allow-methods"),
    /* 79 */ T("Access-Control-Allow-Origin", "access-control-allow-origin"),
    /* 80 */ T("Access-Control-Expose-Headers", "access-control-expose-headers"),
    /* 81 */ T("Access-Control-Max-Age", "access-control-max-age"),
    /* 82 */ T("Age", "age"),
    /* 83 */ T("Allow", "allow"),
    /* 84 */ T("Alt-Svc", "alt-svc"),
    /* 85 */ T("Content-Disposition", "content-disposition"),
    /* 86 */ T("Content-Encoding", "content-encoding"),
    /* 87 */ T("Content-Language", "content-language"),
    /* 88 */ T("Content-Location", "content-location"),
    /* 89 */ T("Content-Range", "content-range"),
    /* 90 */ T("Content-Security-Policy", "content-security-policy"),
    /* 91 */ T("Cross-Origin-Embedder-Policy", "cross-origin-embedder-policy"),
    /* 92 */ T("Cross-Origin-Opener-Policy", "cross-origin-opener-policy"),
    /* 93 */ T("Cross-Origin-Resource-Policy", "cross-origin-resource-policy"),
    /* 94 */ T("ETag", "etag"),
    /* 95 */ T("Expires", "expires"),
    /* 96 */ T("Last-Modified", "last-modified"),
    /* 97 */ T("Link", "link"),
    /* 98 */ T("Location", "location"),
    /* 99 */ T("Origin-Agent-Cluster", "origin-agent-cluster"),
    /* 100 */ T("Permissions-Policy", "permissions-policy"),
    /* 101 */ T("Proxy-Authenticate", "proxy-authenticate"),
    /* 102 */ T("Referrer-Policy", "referrer-policy"),
    /* 103 */ T("Retry-After", "retry-after"),
    /* 104 */ T("Server", "server"),
    /* 105 */ T("Server-Timing", "server-timing"),
    /* 106 */ T("Set-Cookie", "set-cookie"),
    /* 107 */ T("Strict-Transport-Security", "strict-transport-security"),
    /* 108 */ T("Timing-Allow-Origin", "timing-allow-origin"),
    /* 109 */ T("Vary", "vary"),
    /* 110 */ T("WWW-Authenticate", "www-authenticate"),
    /* 111 */ T("X-Accel-Buffering", "x-accel-buffering"),
    /* 112 */ T("X-Content-Type-Options", "x-content-type-options"),
    /* 113 */ T("X-DNS-Prefetch-Control", "x-dns-prefetch-control"),
    /* 114 */ T("X-Download-Options", "x-download-options"),
    /* 115 */ T("X-Frame-Options", "x-frame-options"),
    /* 116 */ T("X-Permitted-Cross-Domain-Policies", "x-permitted-cross-domain-policies"),
    /* 117 */ T("X-Powered-By", "x-powered-by"),
    /* 118 */ T("X-XSS-Protection", "x-xss-protection"),
};

#define TOKEN_COUNT (sizeof(tokens) / sizeof(tokens[0]))
_Static_assert(TOKEN_COUNT < TSGI_TOKEN_LOWER, "token numbers are seven bits");

/* The numbers of all names of one length; 0 ends a row that is not full. */
#define LONGEST_NAME 33
#define MOST_OF_A_LENGTH 10
static const uint8_t by_length[LONGEST_NAME + 1][MOST_OF_A_LENGTH] = {
    [2] = {56},
    [3] = {14, 61, 82},
    [4] = {1, 13, 17, 94, 97, 109},
    [5] = {31, 83},
    [6] = {4, 12, 15, 26, 27, 104},
    [7] = {30, 32, 49, 57, 59, 84, 95},
    [8] = {18, 21, 28, 98},
    [9] = {16, 33, 34, 67},
    [10] = {2, 3, 23, 72, 106},
    [11] = {50, 71, 103},
    [12] = {11, 25, 68, 70, 117},
    [13] = {8, 9, 20, 24, 75, 89, 96, 105},
    [14] = {7, 10, 35, 44, 45, 46, 47},
    [15] = {5, 6, 39, 42, 62, 102, 115},
    [16] = {38, 63, 64, 69, 86, 87, 88, 110, 118},
    [17] = {19, 36, 53, 58, 65, 111},
    [18] = {40, 66, 100, 101, 114},
    [19] = {22, 29, 85, 108},
    [20] = {51, 99},
    [21] = {55},
    [22] = {54, 81, 112, 113},
    [23] = {90},
    [24] = {48, 52},
    [25] = {60, 107},
    [26] = {41, 92},
    [27] = {37, 43, 79},
    [28] = {77, 78, 91, 93},
    [29] = {74, 80},
    [30] = {73},
    [32] = {76},
    [33] = {116},
};

/* Names of one length nearly always differ in their first or last letter: seldom more
 * than one memcmp() for a name in the table, hardly ever one for a name that is not. */
uint8_t tsgi_token_find(const char *name, size_t len)
{
    if (len == 0 || len > LONGEST_NAME) {
        return 0;
    }
    const int is_lower = name[0] >= 'a';
    for (size_t i = 0; i < MOST_OF_A_LENGTH; i++) {
        const uint8_t token = by_length[len][i];
        if (token == 0) {
            break;
        }
        const token_t *t = &tokens[token - 1];
        const char *known = is_lower ? t->lower : t->name;
        if (known[0] == name[0] && known[len - 1] == name[len - 1] &&
            memcmp(known, name, len) == 0) {
            return (uint8_t)(is_lower ? token | TSGI_TOKEN_LOWER : token);
        }
    }
    return 0;
}

const char *tsgi_token_name(uint8_t token, size_t *len)
{
    const unsigned number = token & ~(unsigned)TSGI_TOKEN_LOWER;
    if (number == 0 || number > TOKEN_COUNT) {
        *len = 0;
        return NULL;
    }
    const token_t *t = &tokens[number - 1];
    *len = t->len;
    return token & TSGI_TOKEN_LOWER ? t->lower : t->name;
}

unsigned tsgi_token_count(void)
{
    return (unsigned)TOKEN_COUNT;
}

/* RFC 9110 section 5.6.2: visible ASCII characters but delimiters, one bit each. */
static const uint32_t tchar_bits[8] = {
    0x00000000, 0x03FF6CFA, 0xC7FFFFFE, 0x57FFFFFF, /* the upper half: none */
};

int tsgi_name_valid(const char *name, size_t len)
{
    if (len == 0 || len > TSGI_MAX_TEXT) {
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        const uint8_t c = (uint8_t)name[i];
        if ((tchar_bits[c >> 5] >> (c & 31) & 1) == 0) {
            return 0;
        }
    }
    return 1;
}

/* 1 if none of the eight bytes is below 16, which is where NUL, LF and CR are. */
static int eight_bytes_clean(const char *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t x;
    memcpy(&x, p, sizeof(x));
    return ((x - ones * 0x10) & ~x & (ones * 0x80)) == 0;
}

int tsgi_value_valid(const char *value, size_t len)
{
    size_t i = 0;
    while (i < len) {
        if (len - i >= 8 && eight_bytes_clean(value + i)) {
            i += 8;
            continue;
        }
        const char c = value[i];
        if (c == '\r' || c == '\n' || c == '\0') {
            return 0;
        }
        i++;
    }
    return 1;
}
