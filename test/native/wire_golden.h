/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file wire_golden.h
 * Frames as they must be on the wire, byte for byte, at least one of each type; and, as
 * changes to them, one frame for each way to break the rules. They are the contract with
 * peers built from another version: a test that fails here is an incompatible change.
 */
#ifndef TSGI_WIRE_GOLDEN_H
#define TSGI_WIRE_GOLDEN_H

#include "wire/tsgi_wire.h"

typedef struct {
    const char *name;
    tsgi_sender_t sender;
    const uint8_t *bytes;
    size_t len;
} golden_t;

#define GOLDEN(name, sender, bytes)                                                      \
    {                                                                                    \
        name, sender, (const uint8_t *)(bytes), sizeof(bytes) - 1                        \
    }

/* clang-format off: one field of the frame a line */
static const golden_t goldens[] = {
    GOLDEN("auth", TSGI_FROM_APACHE,
           "\x24\x00\x00\x00\x01\x00\x00\x00"
           "\x01\x00\x00\x00" /* version 1.0 */
           "0123456789abcdef0123456789ABCDEF"),
    GOLDEN("request-post", TSGI_FROM_APACHE,
           "\xD0\x00\x00\x00\x02\x00\x00\x00"
           "\x01\x01"                         /* HTTP/1.1 */
           "\xBB\x01\x30\xD4\xFB\x20"         /* ports: server, remote, local */
           "\x13\x00\x00\x00"                 /* TLS, BODY, STARTED */
           "\x04\x00\x00\x00"                 /* mount length */
           "\x60\xEA\x00\x00"                 /* time left */
           "\x05\x00\x00\x00\x00\x00\x00\x00" /* content length */
           "\x03\x00\x01\x00"                 /* three headers, one variable */
           "\x04POST"
           "\x0E/app/a%2Fb?x=1"
           "\x08HTTP/1.1"
           "\x05https"
           "\x11/srv/app/index.js"
           "\x04/app"
           "\x04/a/b"
           "\x03x=1"
           "\x0B"
           "example.org"
           "\x06"
           "Apache"
           "\x04/srv"
           "\x09"
           "192.0.2.7"
           "\x09"
           "192.0.2.1"
           "\x03"
           "bob"
           "\x05"
           "Basic"
           "\x04id-1"
           "\x01\x0B"
           "example.org"        /* Host */
           "\x8B\x0Atext/plain" /* content-type */
           "\x00\x05X-Odd\x00"
           "\x00\x0ASSL_CIPHER\x04none"),
    GOLDEN("request-get", TSGI_FROM_APACHE,
           "\x45\x00\x00\x00\x02\x01\x00\x00"
           "\x02\x00"                         /* HTTP/2.0 */
           "\x50\x00\x00\x00\x00\x00"         /* ports */
           "\x00\x00\x00\x00"                 /* no flags */
           "\x00\x00\x00\x00"                 /* mount length */
           "\x00\x00\x00\x00"                 /* no deadline */
           "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF" /* content length: none */
           "\x00\x00\x00\x00"                 /* no headers, no variables */
           "\x03GET"
           "\x01/"
           "\x08HTTP/2.0"
           "\x04http"
           "\x05/a.js"
           "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), /* eleven empty strings */
    GOLDEN("request-upgrade", TSGI_FROM_APACHE,
           "\x45\x00\x00\x00\x02\x01\x00\x00"
           "\x01\x01"                         /* HTTP/1.1 */
           "\x50\x00\x00\x00\x00\x00"         /* ports */
           "\x60\x00\x00\x00"                 /* UPGRADE, PASS */
           "\x00\x00\x00\x00"                 /* mount length */
           "\x00\x00\x00\x00"                 /* no deadline */
           "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF" /* content length: none */
           "\x00\x00\x00\x00"                 /* no headers, no variables */
           "\x03GET"
           "\x01/"
           "\x08HTTP/1.1"
           "\x04http"
           "\x05/a.js"
           "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), /* eleven empty strings */
    GOLDEN("body", TSGI_FROM_APACHE,
           "\x05\x00\x00\x00\x03\x00\x00\x00"
           "hello"),
    GOLDEN("body-end", TSGI_FROM_APACHE, "\x00\x00\x00\x00\x04\x00\x00\x00"),
    GOLDEN("body-end-trailers", TSGI_FROM_APACHE,
           "\x0F\x00\x00\x00\x04\x00\x00\x00"
           "\x01\x00"
           "\x00\x08"
           "Checksum\x02"
           "1f"),
    GOLDEN("socket", TSGI_FROM_APACHE,
           "\x05\x00\x00\x00\x05\x00\x00\x00"
           "hello"),
    GOLDEN("hello", TSGI_FROM_WORKER,
           "\x18\x00\x00\x00\x41\x00\x00\x00"
           "\x01\x00\x00\x00" /* version 1.0 */
           "\xC8\x00\x00\x00" /* pid 200 */
           "generation-of-16"),
    GOLDEN("started", TSGI_FROM_WORKER, "\x00\x00\x00\x00\x42\x00\x00\x00"),
    GOLDEN("continue", TSGI_FROM_WORKER, "\x00\x00\x00\x00\x43\x00\x00\x00"),
    GOLDEN("inform", TSGI_FROM_WORKER,
           "\x27\x00\x00\x00\x44\x00\x00\x00"
           "\x67\x00\x01\x00" /* 103, one header */
           "\x0B"
           "Early Hints"
           "\x61\x15</a.css>; rel=preload"), /* Link */
    GOLDEN("response", TSGI_FROM_WORKER,
           "\x22\x00\x00\x00\x45\x00\x00\x00"
           "\xC8\x00\x03\x00" /* 200, three headers */
           "\x02OK"
           "\x0B\x0Atext/plain" /* Content-Type */
           "\xEA\x03"
           "a=1" /* set-cookie */
           "\x00\x05x-OWN\x02v\xE9"),
    GOLDEN("response-switching", TSGI_FROM_WORKER,
           "\x10\x00\x00\x00\x45\x00\x00\x00"
           "\x65\x00\x01\x00" /* 101, one header */
           "\x00"
           "\x3B\x09websocket"), /* Upgrade */
    GOLDEN("response-fin", TSGI_FROM_WORKER,
           "\x05\x00\x00\x00\x45\x01\x00\x00"
           "\x30\x01\x00\x00" /* 304, no headers */
           "\x00"),
    GOLDEN("data", TSGI_FROM_WORKER,
           "\x05\x00\x00\x00\x46\x00\x00\x00"
           "hello"),
    GOLDEN("data-fin", TSGI_FROM_WORKER,
           "\x01\x00\x00\x00\x46\x01\x00\x00"
           "!"),
    GOLDEN("data-fin-empty", TSGI_FROM_WORKER, "\x00\x00\x00\x00\x46\x01\x00\x00"),
    GOLDEN("end", TSGI_FROM_WORKER, "\x00\x00\x00\x00\x47\x00\x00\x00"),
    GOLDEN("end-trailers", TSGI_FROM_WORKER,
           "\x0C\x00\x00\x00\x47\x00\x00\x00"
           "\x01\x00"
           "\x69\x08"
           "db;dur=2"),
    GOLDEN("abort", TSGI_FROM_WORKER,
           "\x08\x00\x00\x00\x48\x00\x00\x00"
           "\xBD\x02\x00\x00" /* TSGI0701 */
           "gone"),
    GOLDEN("upgrade", TSGI_FROM_WORKER, "\x00\x00\x00\x00\x49\x00\x00\x00"),
    GOLDEN("log", TSGI_FROM_WORKER,
           "\x0B\x00\x00\x00\x4A\x00\x00\x00"
           "\x04\x00\x00\x00" /* warning */
           "a line\x0A"),
    GOLDEN("refused", TSGI_FROM_WORKER, "\x00\x00\x00\x00\x4B\x00\x00\x00"),
    GOLDEN("goaway", TSGI_FROM_WORKER, "\x00\x00\x00\x00\x4C\x00\x00\x00"),
    GOLDEN("unavailable", TSGI_FROM_WORKER,
           "\x04\x00\x00\x00\x4D\x00\x00\x00"
           "\xF7\x01\x0A\x00"), /* TSGI0503, ten seconds */
};
/* clang-format on */

#define GOLDENS (sizeof(goldens) / sizeof(goldens[0]))

#define UNPATCHED ((size_t)-1)

/* A golden frame with one byte changed (at; counted from the frame's first byte), then
 * its payload and its length field made longer by zeros, or shorter. */
typedef struct {
    const char *sentence; /* the rule that is broken */
    const char *golden;
    size_t at;
    uint8_t byte;
    int grow;
    int error; /* what the receiver must say */
} breach_t;

/* clang-format off: one breach a line */
static const breach_t breaches[] = {
    {"type 0", "started", 4, 0x00, 0, TSGI_E_TYPE},
    {"type above Apache's last", "body", 4, 0x06, 0, TSGI_E_TYPE},
    {"type between the directions", "started", 4, 0x40, 0, TSGI_E_TYPE},
    {"SOCKET from the worker", "data", 4, TSGI_T_SOCKET, 0, TSGI_E_TYPE},
    {"UPGRADE from Apache", "body-end", 4, TSGI_T_UPGRADE, 0, TSGI_E_TYPE},
    {"type above the worker's last", "started", 4, 0x4E, 0, TSGI_E_TYPE},
    {"type with all bits", "started", 4, 0xFF, 0, TSGI_E_TYPE},
    {"worker's type from Apache", "body", 4, TSGI_T_DATA, 0, TSGI_E_TYPE},
    {"Apache's type from the worker", "data", 4, TSGI_T_BODY, 0, TSGI_E_TYPE},

    {"FIN on BODY", "body", 5, 0x01, 0, TSGI_E_FLAGS},
    {"FIN on END", "end", 5, 0x01, 0, TSGI_E_FLAGS},
    {"FIN on INFORM", "inform", 5, 0x01, 0, TSGI_E_FLAGS},
    {"unknown flag on DATA", "data", 5, 0x02, 0, TSGI_E_FLAGS},
    {"unknown flag beside FIN", "request-get", 5, 0x81, 0, TSGI_E_FLAGS},
    {"first byte of the header's padding", "started", 6, 0x01, 0, TSGI_E_FLAGS},
    {"second byte of the header's padding", "started", 7, 0x80, 0, TSGI_E_FLAGS},
    {"padding of AUTH", "auth", 10, 0x01, 0, TSGI_E_FLAGS},
    {"padding of HELLO", "hello", 11, 0x01, 0, TSGI_E_FLAGS},
    {"padding of ABORT", "abort", 10, 0x01, 0, TSGI_E_FLAGS},
    {"first padding byte of LOG", "log", 9, 0x01, 0, TSGI_E_FLAGS},
    {"last padding byte of LOG", "log", 11, 0x01, 0, TSGI_E_FLAGS},

    {"AUTH too long", "auth", UNPATCHED, 0, 1, TSGI_E_SIZE},
    {"AUTH too short", "auth", UNPATCHED, 0, -1, TSGI_E_SIZE},
    {"HELLO too long", "hello", UNPATCHED, 0, 1, TSGI_E_SIZE},
    {"HELLO too short", "hello", UNPATCHED, 0, -1, TSGI_E_SIZE},
    {"empty BODY", "body", UNPATCHED, 0, -5, TSGI_E_SIZE},
    {"empty DATA without FIN", "data", UNPATCHED, 0, -5, TSGI_E_SIZE},
    {"STARTED with a payload", "started", UNPATCHED, 0, 1, TSGI_E_SIZE},
    {"CONTINUE with a payload", "continue", UNPATCHED, 0, 1, TSGI_E_SIZE},
    {"REFUSED with a payload", "refused", UNPATCHED, 0, 1, TSGI_E_SIZE},
    {"GOAWAY with a payload", "goaway", UNPATCHED, 0, 1, TSGI_E_SIZE},
    {"UNAVAILABLE too long", "unavailable", UNPATCHED, 0, 1, TSGI_E_SIZE},
    {"UNAVAILABLE too short", "unavailable", UNPATCHED, 0, -1, TSGI_E_SIZE},
    {"ABORT without a whole id", "abort", UNPATCHED, 0, -5, TSGI_E_SIZE},
    {"UPGRADE with a payload", "upgrade", UNPATCHED, 0, 1, TSGI_E_SIZE},
    {"SOCKET over 64 KiB", "socket", 2, 0x01, 0, TSGI_E_SIZE},
    {"FIN on SOCKET", "socket", 5, TSGI_F_FIN, 0, TSGI_E_FLAGS},
    {"FIN on UPGRADE", "upgrade", 5, TSGI_F_FIN, 0, TSGI_E_FLAGS},
    {"LOG without a whole level", "log", UNPATCHED, 0, -8, TSGI_E_SIZE},
    {"one byte of trailers", "end-trailers", UNPATCHED, 0, -11, TSGI_E_SIZE},
    {"REQUEST of 16 MiB", "request-post", 3, 0x01, 0, TSGI_E_SIZE},
    {"DATA of 4 GiB", "data", 3, 0xFF, 0, TSGI_E_SIZE},
    {"RESPONSE of 16 MiB", "response", 3, 0x01, 0, TSGI_E_SIZE},
    {"END of 64 KiB and more", "end-trailers", 2, 0x01, 0, TSGI_E_SIZE},

    {"pid 0", "hello", 12, 0x00, 0, TSGI_E_VALUE},
    {"negative pid", "hello", 15, 0x80, 0, TSGI_E_VALUE},
    {"log level 8", "log", 8, 0x08, 0, TSGI_E_VALUE},

    {"HTTP major version 10", "request-post", 8, 10, 0, TSGI_E_VALUE},
    {"HTTP minor version 10", "request-post", 9, 10, 0, TSGI_E_VALUE},
    {"unknown request flag", "request-post", 16, 0x93, 0, TSGI_E_VALUE},
    {"UPGRADE with a body", "request-post", 16, 0x33, 0, TSGI_E_VALUE},
    {"PASS without UPGRADE", "request-upgrade", 16, 0x40, 0, TSGI_E_VALUE},
    {"mount point longer than the URI", "request-post", 20, 15, 0, TSGI_E_VALUE},
    {"content length below -1", "request-post", 35, 0x80, 0, TSGI_E_VALUE},
    {"content length without a body", "request-post", 16, 0x11, 0, TSGI_E_VALUE},
    {"chunked with a content length", "request-post", 16, 0x17, 0, TSGI_E_VALUE},
    {"chunked without a body", "request-get", 16, 0x04, 0, TSGI_E_VALUE},
    {"over 4096 headers", "request-post", 37, 0x11, 0, TSGI_E_VALUE},
    {"over 4096 variables", "request-post", 39, 0x11, 0, TSGI_E_VALUE},
    {"one header more than there are", "request-post", 36, 4, 0, TSGI_E_TRUNCATED},
    {"one header less than there are", "request-post", 36, 2, 0, TSGI_E_TRAILING},
    {"REQUEST with a byte behind it", "request-post", UNPATCHED, 0, 1, TSGI_E_TRAILING},
    {"REQUEST without its last byte", "request-post", UNPATCHED, 0, -1, TSGI_E_TRUNCATED},
    {"length of 32 bits beyond the end", "request-post", 40, 0xFF, 0, TSGI_E_TRUNCATED},
    {"length of 16 bits beyond the end", "request-post", 40, 0xFE, 0, TSGI_E_TRUNCATED},
    {"length beyond the end", "request-post", 40, 0xFD, 0, TSGI_E_TRUNCATED},
    {"length 0 in 16 bits", "request-get", 66, 0xFE, 0, TSGI_E_VALUE},
    {"length 0 in 32 bits", "request-get", 66, 0xFF, 0, TSGI_E_VALUE},
    {"blank in the method", "request-post", 41, ' ', 0, TSGI_E_NAME},
    {"LF in the URI", "request-post", 47, '\n', 0, TSGI_E_TEXT},
    {"CR in the protocol", "request-post", 61, '\r', 0, TSGI_E_TEXT},
    {"NUL in the decoded path", "request-post", 100, '\0', 0, TSGI_E_TEXT},
    {"LF in the request id", "request-post", 162, '\n', 0, TSGI_E_TEXT},
    {"scheme httpx", "request-post", 74, 'x', 0, TSGI_E_VALUE},
    {"relative path of the script", "request-post", 76, 'x', 0, TSGI_E_VALUE},
    {"unknown token", "request-post", 166, 0x7F, 0, TSGI_E_VALUE},
    {"unknown token in lower case", "request-post", 166, 0xFF, 0, TSGI_E_VALUE},
    {"number of no token", "request-post", 166, 0x80, 0, TSGI_E_VALUE},
    {"blank in a header's name", "request-post", 194, ' ', 0, TSGI_E_NAME},
    {"colon in a header's name", "request-post", 197, ':', 0, TSGI_E_NAME},
    {"LF in a header's value", "request-post", 170, '\n', 0, TSGI_E_TEXT},
    {"NUL in a header's value", "request-post", 178, '\0', 0, TSGI_E_TEXT},
    {"variable named by a token", "request-post", 199, 0x01, 0, TSGI_E_VALUE},
    {"= in a variable's name", "request-post", 204, '=', 0, TSGI_E_NAME},
    {"LF in a variable's name", "request-post", 204, '\n', 0, TSGI_E_NAME},
    {"NUL in a variable's value", "request-post", 213, '\0', 0, TSGI_E_TEXT},

    {"RESPONSE with status 199", "response", 8, 199, 0, TSGI_E_VALUE},
    {"RESPONSE with status 100", "response", 8, 100, 0, TSGI_E_VALUE},
    {"RESPONSE with status 102", "response-switching", 8, 102, 0, TSGI_E_VALUE},
    {"RESPONSE with status 1224", "response", 9, 0x04, 0, TSGI_E_VALUE},
    {"LF in the reason", "response", 13, '\n', 0, TSGI_E_TEXT},
    {"over 4096 response headers", "response", 11, 0x11, 0, TSGI_E_VALUE},
    {"unknown token in a response", "response", 15, 0x7F, 0, TSGI_E_VALUE},
    {"CR in a response header's value", "response", 40, '\r', 0, TSGI_E_TEXT},
    {"colon in a response header's name", "response", 35, ':', 0, TSGI_E_NAME},
    {"empty name of a response header", "response", 33, 0, 0, TSGI_E_NAME},
    {"RESPONSE with a byte behind it", "response", UNPATCHED, 0, 1, TSGI_E_TRAILING},
    {"RESPONSE without its last byte", "response", UNPATCHED, 0, -1, TSGI_E_TRUNCATED},
    {"INFORM with status 101", "inform", 8, 101, 0, TSGI_E_VALUE},
    {"INFORM with status 200", "inform", 8, 200, 0, TSGI_E_VALUE},

    {"list of no trailers", "end-trailers", 8, 0, 0, TSGI_E_VALUE},
    {"over 4096 trailers", "end-trailers", 9, 0x11, 0, TSGI_E_VALUE},
    {"trailer's value cut off", "end-trailers", UNPATCHED, 0, -1, TSGI_E_TRUNCATED},
    {"a byte behind the trailers", "end-trailers", UNPATCHED, 0, 1, TSGI_E_TRAILING},
    {"LF in a trailer's value", "end-trailers", 14, '\n', 0, TSGI_E_TEXT},
    {"LF in a request trailer's name", "body-end-trailers", 14, '\n', 0, TSGI_E_NAME},
};
/* clang-format on */

#define BREACHES (sizeof(breaches) / sizeof(breaches[0]))

#endif
