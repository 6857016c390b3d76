/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_response.h From the worker's frames to httpd's response: head, body buckets,
 * interim responses, its end or its visible truncation. The thread of the request only;
 * memory in r->pool and the bucket allocator.
 *
 * At most TSGI_HELD_MAX bytes are held here before they are passed to the output filters,
 * whose blocking is what slows the worker down for a slow client.
 */
#ifndef TSGI_RESPONSE_H
#define TSGI_RESPONSE_H

#include "tsgi_module.h"
#include "../native/wire/tsgi_wire.h"

/** Size of the pieces in which a response body is read and passed on. */
#define TSGI_HELD_MAX (64 * 1024)

typedef struct {
    request_rec *r;
    apr_bucket_brigade *bb;
    int original_status; /**< r->status before: an error document's keeps it */
    apr_off_t length;    /**< Content-Length of the app, −1 = none */
    apr_off_t received;  /**< body bytes taken so far */
    apr_size_t held;     /**< of them in bb */
    int is_bodiless;     /**< HEAD, 204, 304, a file: body bytes are dropped */
    const char *file;    /**< value of the app's X-Sendfile; NULL = none */
    int is_head_set;     /**< the app's head is in r */
    int is_passed;       /**< something, hence the head, has been passed to the filters */
    int is_dirty;        /**< something has not been flushed */
    unsigned passes;     /**< calls of the filters so far */
    int is_overrun;      /**< more bytes than Content-Length came; logged */
    int has_trailers;    /**< they need chunks: the head must not tell a length */
} tsgi_reply_t;

void tsgi_reply_init(tsgi_reply_t *reply, request_rec *r);
/** Takes a RESPONSE. @return NULL, or what is wrong with it. */
const char *tsgi_reply_begin(tsgi_reply_t *reply, const uint8_t *payload, size_t n);
/**
 * Takes an INFORM and sends it, if the client may see it. @return NULL, or what is wrong
 * with it.
 */
const char *tsgi_reply_inform(tsgi_reply_t *reply, const uint8_t *payload, size_t n);
/**
 * Takes a copy of body bytes. @return as ap_pass_brigade(), which is called when enough
 * is held.
 */
apr_status_t tsgi_reply_copy(tsgi_reply_t *reply, const void *data, apr_size_t n);
/**
 * Memory for tsgi_reply_adopt(), TSGI_HELD_MAX bytes; freed by it or with
 * apr_bucket_free().
 */
char *tsgi_reply_alloc(tsgi_reply_t *reply);
/** Takes body bytes in memory of tsgi_reply_alloc(). @return as ap_pass_brigade(). */
apr_status_t tsgi_reply_adopt(tsgi_reply_t *reply, char *data, apr_size_t n);
/** Takes the trailers of an END. @return NULL, or what is wrong with them. */
const char *tsgi_reply_trailers(tsgi_reply_t *reply, const uint8_t *payload, size_t n);
/** Passes on what is held; the filters may keep it. */
apr_status_t tsgi_reply_pass(tsgi_reply_t *reply);
/** Sends all that is held to the client now. */
apr_status_t tsgi_reply_flush(tsgi_reply_t *reply);
/** @return 1 if the body is as long as the app's Content-Length said. */
int tsgi_reply_is_complete(const tsgi_reply_t *reply);
/** @return 1 if more body came than the client may get, and not just a little. */
int tsgi_reply_is_overfull(const tsgi_reply_t *reply);
/**
 * Ends the response. with_flush: it shall leave now, for the request's body is not read
 * to its end.
 */
apr_status_t tsgi_reply_end(tsgi_reply_t *reply, int with_flush);
/**
 * The response is this file, r->finfo is about it; with_flush as above. Conditions, ranges and what
 * the app has not said about it itself (Last-Modified, ETag) are httpd's.
 */
apr_status_t tsgi_reply_send_file(tsgi_reply_t *reply, apr_file_t *file, int with_flush);
/** Ends the response so that the client sees that something is missing. */
void tsgi_reply_truncate(tsgi_reply_t *reply);
/** Forgets the app's head; only before anything was passed. */
void tsgi_reply_reset(tsgi_reply_t *reply);

#endif
