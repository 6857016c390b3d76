/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_wire.h
 * The wire between Apache and a worker: frames on a unix stream socket.
 *
 * Compiled into both ends (mod_tsgi.so and tsgi.node). Depends on libc only, allocates
 * nothing, keeps no state, calls no system function: it can be fuzzed alone. The text
 * form of this contract is docs/wire.md.
 *
 * Every integer is little-endian. Decoders never read outside [payload, payload + n),
 * check every length before they use it, and return views into the caller's memory;
 * nothing is copied. Any thread may call any function.
 */
#ifndef TSGI_WIRE_H
#define TSGI_WIRE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TSGI_WIRE_MAJOR 1
#define TSGI_WIRE_MINOR 1

/** Bytes before each payload: u32 length of the payload, u8 type, u8 flags, u16 zero. */
#define TSGI_FRAME_HEADER 8
#define TSGI_GENERATION_SIZE 16
#define TSGI_SECRET_SIZE 32

/** Largest payloads, in bytes. A frame over its type's limit is a protocol violation. */
#define TSGI_MAX_REQUEST 1048576 /* 1 MiB */
#define TSGI_MAX_RESPONSE 262144 /* 256 KiB */
#define TSGI_MAX_DATA 262144
#define TSGI_MAX_SOCKET 65536
#define TSGI_MAX_TRAILERS 65536
#define TSGI_MAX_TEXT 8192
/** Most headers (or variables) in one list. */
#define TSGI_MAX_FIELDS 4096

/** Frame types. Bit 6 (0x40) set: from the worker to Apache. */
enum {
    TSGI_T_AUTH = 0x01,     /**< Apache: version and the group's secret; answers HELLO */
    TSGI_T_REQUEST = 0x02,  /**< Apache: request head; FIN = the request has no body */
    TSGI_T_BODY = 0x03,     /**< Apache: a piece of the request body, not empty */
    TSGI_T_BODY_END = 0x04, /**< Apache: end of the body; trailer list or empty */
    /** Apache, since 1.1: answers UPGRADE; what the client has sent already. The client's
     *  descriptor travels with its first byte. */
    TSGI_T_SOCKET = 0x05,

    TSGI_T_HELLO = 0x41,    /**< worker, first frame on every connection */
    TSGI_T_STARTED = 0x42,  /**< worker: the app is about to be called */
    TSGI_T_CONTINUE = 0x43, /**< worker: the app wants the body (Expect: 100-continue) */
    TSGI_T_INFORM = 0x44,   /**< worker: interim response 102..199; payload as RESPONSE */
    TSGI_T_RESPONSE = 0x45, /**< worker: response head; FIN = no body follows */
    TSGI_T_DATA = 0x46,  /**< worker: a piece of the body; FIN = the last, may be empty */
    TSGI_T_END = 0x47,   /**< worker: end of the response; trailer list or empty */
    TSGI_T_ABORT = 0x48, /**< worker: the response cannot be finished; id, text */
    TSGI_T_UPGRADE = 0x49, /**< worker, since 1.1: asks for the client's descriptor */
    TSGI_T_LOG = 0x4A,     /**< worker: text for the request's error log; level, text */
    TSGI_T_REFUSED = 0x4B, /**< worker: this request was not and will not be begun */
    /** worker, at any time after HELLO: takes no new request on this connection. The one in
     *  hand goes on; a REQUEST that crosses this is answered REFUSED. */
    TSGI_T_GOAWAY = 0x4C,
    TSGI_T_UNAVAILABLE = 0x4D /**< supervisor, instead of HELLO: id, retry-after */
};

/** Frame flags. All other bits are zero. */
enum { TSGI_F_FIN = 0x01 };

/** Errors of decoders and encoders; all negative. tsgi_wire_strerror() names them. */
enum {
    TSGI_E_TYPE = -1,  /**< unknown frame type, or one of the other direction */
    TSGI_E_FLAGS = -2, /**< a flag that this type does not have, or non-zero padding */
    TSGI_E_SIZE = -3,  /**< payload smaller or larger than the type allows */
    TSGI_E_TRUNCATED = -4, /**< a field reaches beyond the payload */
    TSGI_E_TRAILING = -5,  /**< bytes left over behind the last field */
    TSGI_E_VALUE = -6,     /**< a value out of its range (status, token, count …) */
    TSGI_E_NAME = -7,      /**< a header name that is no RFC 9110 token */
    TSGI_E_TEXT = -8,      /**< CR, LF or NUL where none may stand */
    TSGI_E_SPACE = -9      /**< encoder: the output buffer is too small */
};
const char *tsgi_wire_strerror(int error);

/** Who sent the frame; decides which types are legal. */
typedef enum { TSGI_FROM_APACHE, TSGI_FROM_WORKER } tsgi_sender_t;

typedef struct {
    uint32_t length; /**< of the payload */
    uint8_t type;
    uint8_t flags;
} tsgi_frame_t;

/**
 * Decodes and checks a frame header: type against sender, flags and length against the
 * type's limits.
 * @return 1 decoded, 0 fewer than TSGI_FRAME_HEADER bytes yet, <0 TSGI_E_*.
 */
int tsgi_frame_decode(const uint8_t *p, size_t n, tsgi_sender_t sender,
                      tsgi_frame_t *out);

/** Writes a frame header of TSGI_FRAME_HEADER bytes to out. */
void tsgi_frame_encode(uint8_t *out, uint8_t type, uint8_t flags, uint32_t length);

/** A piece of somebody else's memory; data may be NULL only if len is 0. */
typedef struct {
    const char *data;
    uint32_t len;
} tsgi_str_t;

/** A header, trailer or variable. token: tsgi_token_name(); 0 = spelled out. */
typedef struct {
    tsgi_str_t name;  /**< always set by the decoder, also when a token travelled */
    tsgi_str_t value; /**< any bytes but CR, LF, NUL; of a variable any but NUL */
    uint8_t token;    /**< set by the decoder; the encoder looks it up itself */
} tsgi_field_t;

/**
 * Names of common headers travel as one byte. 1..TSGI_TOKEN_COUNT is the name in the
 * table's case ("Content-Type"), the same with bit 7 set is the name in lower case.
 * @return the token of a name in exactly one of these two cases, 0 if there is none.
 */
#define TSGI_TOKEN_LOWER 0x80
uint8_t tsgi_token_find(const char *name, size_t len);
/** @return the name of a token (NUL-terminated, static) and its *len; NULL if none. */
const char *tsgi_token_name(uint8_t token, size_t *len);
/** How many tokens there are (≤ 127); the table only ever grows at its end. */
unsigned tsgi_token_count(void);

/** @return 1 if name is a token as in RFC 9110 section 5.6.2, 1..TSGI_MAX_TEXT bytes. */
int tsgi_name_valid(const char *name, size_t len);
/** @return 1 if value holds no CR, LF or NUL. */
int tsgi_value_valid(const char *value, size_t len);

/* ---- HELLO, AUTH ------------------------------------------------------------------ */

typedef struct {
    uint8_t major, minor;
    uint32_t pid;
    uint8_t generation[TSGI_GENERATION_SIZE];
} tsgi_hello_t;
#define TSGI_HELLO_SIZE (4 + 4 + TSGI_GENERATION_SIZE)
/** Writes the whole frame, header included: TSGI_FRAME_HEADER + TSGI_HELLO_SIZE bytes. */
void tsgi_hello_encode(uint8_t *out, const tsgi_hello_t *hello);
int tsgi_hello_decode(const uint8_t *payload, size_t n, tsgi_hello_t *out);

typedef struct {
    uint8_t major, minor;
    uint8_t secret[TSGI_SECRET_SIZE];
} tsgi_auth_t;
#define TSGI_AUTH_SIZE (4 + TSGI_SECRET_SIZE)
void tsgi_auth_encode(uint8_t *out, const tsgi_auth_t *auth);
int tsgi_auth_decode(const uint8_t *payload, size_t n, tsgi_auth_t *out);
/** @return 1 if equal, in a time that does not depend on where they differ. */
int tsgi_secret_equal(const uint8_t *a, const uint8_t *b);
/** @return 1 if this side speaks with that version: same major, minor >= ours - 1. */
int tsgi_version_accepted(uint8_t major, uint8_t minor);

/* ---- REQUEST ---------------------------------------------------------------------- */

/** The strings of a request head, in their order on the wire. */
enum {
    TSGI_S_METHOD,      /**< as received, e.g. "PROPFIND" */
    TSGI_S_URI,         /**< request target, byte for byte (RFC 9112 section 3.2) */
    TSGI_S_PROTOCOL,    /**< "HTTP/1.1", "HTTP/2.0" */
    TSGI_S_SCHEME,      /**< "http" or "https" */
    TSGI_S_SCRIPT,      /**< SCRIPT_FILENAME: absolute path of the entry */
    TSGI_S_SCRIPT_NAME, /**< mount point, decoded; "" at the root */
    TSGI_S_PATH_INFO,   /**< decoded path below the mount point */
    TSGI_S_QUERY,       /**< QUERY_STRING, without "?" */
    TSGI_S_SERVER_NAME, /**< host of this request's server, ap_get_server_name() */
    TSGI_S_SERVER_SOFTWARE,
    TSGI_S_DOCUMENT_ROOT,
    TSGI_S_REMOTE_ADDR, /**< r->useragent_ip: the client's, mod_remoteip honoured */
    TSGI_S_LOCAL_ADDR,
    TSGI_S_REMOTE_USER, /**< "" if Apache authenticated nobody */
    TSGI_S_AUTH_TYPE,
    TSGI_S_REQUEST_ID,
    TSGI_S_COUNT
};

/** Request flags. */
enum {
    TSGI_R_TLS = 0x01,     /**< the client's connection is encrypted */
    TSGI_R_BODY = 0x02,    /**< BODY frames may follow (the head's FIN is clear) */
    TSGI_R_CHUNKED = 0x04, /**< the client sent the body without Content-Length */
    TSGI_R_EXPECT = 0x08,  /**< Expect: 100-continue: BODY is sent only after CONTINUE */
    TSGI_R_STARTED = 0x10, /**< STARTED must have been sent before the app is called */
    TSGI_R_UPGRADE = 0x20, /**< since 1.1: the client asks for another protocol */
    TSGI_R_PASS = 0x40     /**< since 1.1: UPGRADE may ask for the client's descriptor */
};

/**
 * A request head. With the encoder, strings and lists are the caller's; with the decoder
 * strings are views into the payload and the two lists are read with tsgi_fields_next().
 */
typedef struct {
    tsgi_str_t s[TSGI_S_COUNT];
    uint32_t flags;         /**< TSGI_R_* */
    int64_t content_length; /**< -1 = unknown or no body */
    uint32_t mount_length;  /**< bytes of TSGI_S_URI that the mount point covers */
    uint32_t timeout_ms;    /**< until RESPONSE, 0 = no limit */
    uint16_t remote_port, local_port, server_port;
    uint8_t http_major, http_minor; /**< of the client's request, 0..9 each */
} tsgi_request_t;

/**
 * Bytes that tsgi_request_encode() will write, frame header included; 0 if the head is
 * over TSGI_MAX_REQUEST or a list over TSGI_MAX_FIELDS.
 */
size_t tsgi_request_size(const tsgi_request_t *request, const tsgi_field_t *headers,
                         size_t nheaders, const tsgi_field_t *vars, size_t nvars);
/**
 * Writes the REQUEST frame (FIN iff TSGI_R_BODY is clear).
 * Checks all that tsgi_request_decode() checks: header names are tokens, names of
 * variables 1..TSGI_MAX_TEXT bytes without "=", CR, LF and NUL; the scheme is "http" or
 * "https", the script an absolute path, the URI not empty; CHUNKED has a body and no
 * content_length; without a body content_length is -1 or 0; UPGRADE has no body, PASS only
 * comes with it. CR and LF may
 * stand in SCRIPT, SCRIPT_NAME, PATH_INFO, QUERY, DOCUMENT_ROOT and REMOTE_USER only
 * (Apache decodes %0A), NUL nowhere.
 * @return bytes written; TSGI_E_SPACE (cap), TSGI_E_SIZE (over TSGI_MAX_REQUEST),
 *         TSGI_E_NAME, TSGI_E_TEXT, TSGI_E_VALUE.
 */
long tsgi_request_encode(uint8_t *out, size_t cap, const tsgi_request_t *request,
                         const tsgi_field_t *headers, size_t nheaders,
                         const tsgi_field_t *vars, size_t nvars);

/** A list of fields inside a payload that a decoder has checked as a whole. */
typedef struct {
    const uint8_t *p, *end;
    uint32_t left; /**< fields not yet read */
} tsgi_fields_t;
/** @return 1 and the next field, 0 at the end. For lists from a successful decode. */
int tsgi_fields_next(tsgi_fields_t *list, tsgi_field_t *out);

/**
 * Decodes a REQUEST payload and checks it whole. That the frame's FIN is the opposite of
 * TSGI_R_BODY is left to the caller, who has the frame.
 * @return 0; or TSGI_E_*, and what is in *out, *headers and *vars means nothing. So it
 *         is with every decoder.
 */
int tsgi_request_decode(const uint8_t *payload, size_t n, tsgi_request_t *out,
                        tsgi_fields_t *headers, tsgi_fields_t *vars);

/* ---- RESPONSE, INFORM, END, BODY_END ---------------------------------------------- */

typedef struct {
    /** RESPONSE: 200..999, or 101, which only a request with TSGI_R_UPGRADE may get (that is
     *  left to the caller); INFORM: 102..199 */
    uint16_t status;
    tsgi_str_t reason; /**< may be empty; no CR, LF, NUL */
} tsgi_response_t;

size_t tsgi_response_size(const tsgi_response_t *response, const tsgi_field_t *headers,
                          size_t nheaders);
/** type: TSGI_T_RESPONSE or TSGI_T_INFORM. @return bytes written or TSGI_E_*. */
long tsgi_response_encode(uint8_t *out, size_t cap, uint8_t type, uint8_t flags,
                          const tsgi_response_t *response, const tsgi_field_t *headers,
                          size_t nheaders);
int tsgi_response_decode(uint8_t type, const uint8_t *payload, size_t n,
                         tsgi_response_t *out, tsgi_fields_t *headers);

size_t tsgi_trailers_size(const tsgi_field_t *fields, size_t n);
/** type: TSGI_T_END or TSGI_T_BODY_END. Without fields the payload is empty. */
long tsgi_trailers_encode(uint8_t *out, size_t cap, uint8_t type,
                          const tsgi_field_t *fields, size_t n);
int tsgi_trailers_decode(const uint8_t *payload, size_t n, tsgi_fields_t *fields);

/* ---- ABORT, LOG, UNAVAILABLE ------------------------------------------------------ */

typedef struct {
    uint16_t code;   /**< ABORT: the N of TSGI<N>; LOG: 0..7, a level of syslog(3) */
    tsgi_str_t text; /**< any bytes; whoever logs it escapes it */
} tsgi_text_t;
/** type: TSGI_T_ABORT or TSGI_T_LOG. Text over TSGI_MAX_TEXT - 4 bytes is cut. */
long tsgi_text_encode(uint8_t *out, size_t cap, uint8_t type, const tsgi_text_t *text);
int tsgi_text_decode(uint8_t type, const uint8_t *payload, size_t n, tsgi_text_t *out);

typedef struct {
    uint16_t code;        /**< the N of TSGI<N> */
    uint16_t retry_after; /**< seconds, for the Retry-After header */
} tsgi_unavailable_t;
#define TSGI_UNAVAILABLE_SIZE 4
void tsgi_unavailable_encode(uint8_t *out, const tsgi_unavailable_t *unavailable);
int tsgi_unavailable_decode(const uint8_t *payload, size_t n, tsgi_unavailable_t *out);

#ifdef __cplusplus
}
#endif
#endif
