/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_body.h The client's request body, piece by piece, never waiting. The thread
 * of the request only.
 *
 * Until the app is known to have begun, what was read is kept (at most TSGI_REPLAY_SIZE,
 * then reading stops), so that another worker can get the request from its first byte.
 * Afterwards pieces are views into what httpd read, without a copy.
 */
#ifndef TSGI_BODY_H
#define TSGI_BODY_H

#include "tsgi_module.h"
#include "tsgi_network.h"
#include "tsgi_request.h"

#include <sys/uio.h>

#define TSGI_REPLAY_SIZE ((apr_size_t)64 * 1024)
/** Most parts that a piece consists of: where other filters or HTTP/2 give it, they are small. */
#define TSGI_PIECE_PARTS 16

typedef enum {
    TSGI_BODY_HELD, /**< Expect: 100-continue: not to be read before CONTINUE */
    TSGI_BODY_OPEN,
    TSGI_BODY_ENDED /**< the client has sent its last byte, or there is no body */
} tsgi_body_state_t;

typedef struct {
    request_rec *r;
    tsgi_network_t *network; /**< may be NULL */
    apr_bucket_brigade *bb;
    apr_bucket_brigade *more; /**< what one call of the filters gave; empty otherwise */
    tsgi_body_state_t state;
    int is_kept;  /**< the app may not have begun */
    char *replay; /**< read while is_kept: [0, replay_end), handed out up to replay_at */
    apr_size_t replay_size, replay_at, replay_end;
    apr_size_t expected;   /**< first guess of the size; 0 = not known */
    apr_off_t left;        /**< of its length, not yet read; 0 = nothing, or not known */
    int is_spliced;        /**< its bytes go past this process once the app has begun */
    tsgi_splice_t *splice; /**< their way; NULL = not opened */
    int is_piped;          /**< of the last piece, what comes last is in its pipe */
    int is_tunnel;         /**< the end of the client's half ends it */
    int skips_eos;         /**< mod_http2 ends the request before the tunnel begins */
    int lent;              /**< so many first buckets of bb are behind the last piece */
    int status;            /**< TSGI_PIECE_ERROR: what the handler returns */
    apr_status_t error;    /**< TSGI_PIECE_ERROR: why */
} tsgi_body_t;

typedef enum {
    TSGI_PIECE_DATA,    /**< a piece, at most 256 KiB: valid until the next call */
    TSGI_PIECE_END,     /**< all has been handed out */
    TSGI_PIECE_BLOCKED, /**< the client has not sent more yet */
    TSGI_PIECE_WAIT,    /**< nothing is to be read now: HELD, or as much as may be kept */
    TSGI_PIECE_ERROR
} tsgi_piece_t;

void tsgi_body_init(tsgi_body_t *body, request_rec *r, const tsgi_request_t *request);
/**
 * parts: room for TSGI_PIECE_PARTS; set for TSGI_PIECE_DATA, as are nparts and the sum of
 * their lengths and of what is behind them in the pipe of body->splice.
 */
tsgi_piece_t tsgi_body_next(tsgi_body_t *body, struct iovec *parts, int *nparts,
                            apr_size_t *length);
/** Bytes of the last piece that are still in the pipe. */
apr_size_t tsgi_body_piped(const tsgi_body_t *body);
/** n of them have been sent. */
void tsgi_body_pipe_sent(tsgi_body_t *body, apr_size_t n);
/**
 * Takes them out of the pipe, for a peer that takes no pipe's bytes, and uses it no more. part is what they
 * are then. @return 0 on error.
 */
int tsgi_body_unpipe(tsgi_body_t *body, struct iovec *part);
/** Nothing more of it will be sent: drops what is in the pipe, and the pipe. */
void tsgi_body_drop(tsgi_body_t *body);
/** @return 1 if next would say TSGI_PIECE_END without reading anything. */
int tsgi_body_at_end(const tsgi_body_t *body);
/**
 * Reads a first piece, so that a body that cannot be right is found before a worker is
 * asked. @return 0 on error.
 */
int tsgi_body_prefetch(tsgi_body_t *body);
/** For another worker: from the first byte again. Only while is_kept. */
void tsgi_body_rewind(tsgi_body_t *body);
/** The app has begun: nothing needs to be kept any more. */
void tsgi_body_begun(tsgi_body_t *body);
/** After 101: the bytes of the connection, whose filters r->input_filters are by now. */
void tsgi_body_tunnel(tsgi_body_t *body);
/** The app wants the body: sends `100 Continue`. Only if HELD. */
void tsgi_body_continue(tsgi_body_t *body);

#endif
