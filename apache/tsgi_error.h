/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_error.h The one place that turns a failure of a request into a status, a
 * line in the error log and the headers of the error response. The thread of the request
 * only.
 */
#ifndef TSGI_ERROR_H
#define TSGI_ERROR_H

#include "tsgi_module.h"

/** Why a request failed; the rows of the table in tsgi_error.c. */
typedef enum {
    TSGI_FAIL_NONE,
    TSGI_FAIL_QUEUE,       /**< no worker took it within queue-timeout */
    TSGI_FAIL_UNAVAILABLE, /**< the supervisor says that there is no worker */
    TSGI_FAIL_CONNECT,     /**< no slot can be connected to */
    TSGI_FAIL_BACKLOG,     /**< all backlogs were full for connect-timeout */
    TSGI_FAIL_UNSENT,      /**< as many workers as allowed ended before they began it */
    TSGI_FAIL_POISON,      /**< it got two workers, and both ended before they began it */
    TSGI_FAIL_BEGUN,       /**< the worker ended after it began, before a response */
    TSGI_FAIL_PROTOCOL,    /**< the worker broke the rules of the wire */
    TSGI_FAIL_TIMEOUT,     /**< no byte from or to the worker within socket-timeout */
    TSGI_FAIL_OVERDUE,     /**< request-timeout is over, and the worker does not say so */
    TSGI_FAIL_ABORT,       /**< the worker said ABORT */
    TSGI_FAIL_MEMORY,      /**< no memory */
    TSGI_FAIL_HEAD_SIZE,   /**< the request head is larger than the wire allows */
    TSGI_FAIL_HEAD,        /**< the request head holds what the wire does not allow */
    TSGI_FAIL_BODY,        /**< the client's request body: status says what is wrong */
    TSGI_FAIL_CLIENT,      /**< the client has gone away */
    TSGI_FAIL_OUTPUT,      /**< an output filter failed; it has answered itself */
    TSGI_FAIL_PASS,        /**< the client could not be handed over to the worker */
    TSGI_FAIL_UPGRADE, /**< an upgraded connection's worker, or its socket, has ended */
    TSGI_FAIL_FILE,    /**< the app's X-Sendfile names what may not be sent */
    TSGI_FAIL_NO_FILE, /**< … what is not there */
    TSGI_FAIL_LENGTH,  /**< the response body is shorter than its Content-Length */
    TSGI_FAIL_FULL,    /**< as many requests wait for a worker as queue-size allows */
    TSGI_FAIL_RELAYS,  /**< as many upgraded connections are relayed as may be */
    TSGI_FAIL_THREADS, /**< the group holds as many threads as apache-threads allows */
    TSGI_FAIL_COUNT
} tsgi_failure_t;

/** How many requests of an overloaded group were refused, for a log that is not flooded. */
typedef struct {
    apr_time_t next;     /**< when the next line about it may be written */
    apr_uint32_t others; /**< refused since the last line */
} tsgi_refusals_t;

/** A failure with all that is known about it. All zero = none. */
typedef struct {
    tsgi_failure_t kind;
    int status;        /**< BODY: the answer; OUTPUT: what the handler returns */
    int code;          /**< UNAVAILABLE, ABORT: the N of the worker's TSGI<N> */
    int retry_after;   /**< seconds, 0 = default of the kind */
    int os_error;      /**< errno, 0 = none */
    int slot;          /**< worker, −1 = none in particular */
    unsigned pid;      /**< 0 = not known */
    const char *text;  /**< ABORT: what the worker wrote; any bytes */
    apr_size_t length; /**< of text */
    const char
        *death; /**< how the worker died, if its end is the cause; NULL = it is not */
    const char *detail; /**< PROTOCOL: which frame and what was wrong; NULL = none */
    tsgi_refusals_t *refusals; /**< FULL, RELAYS, THREADS: of the group in this child */
} tsgi_error_t;

/** Notes of a request: its id, for logs and error documents. */
#define TSGI_NOTE_REQUEST_ID "tsgi-request-id"

/**
 * Logs the failure and prepares the error response.
 * @param is_head_sent the response head has left: nothing can be answered any more, only
 * cut.
 * @return what the handler returns: an HTTP status, or OK where nothing can be answered.
 */
int tsgi_error_report(request_rec *r, const char *group, const tsgi_error_t *error,
                      int is_head_sent);
/** Sets Retry-After and the request id on the error response that follows. */
void tsgi_error_headers(request_rec *r, int retry_after);
/** Logs text that a worker wrote, a line each, at most 100 lines; level is APLOG_*. */
void tsgi_error_log_text(request_rec *r, int level, const char *prefix, const char *text,
                         apr_size_t length);

#endif
