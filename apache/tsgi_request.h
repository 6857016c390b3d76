/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_request.h From a request_rec to the REQUEST frame. The thread of the request
 * only; everything in r->pool.
 *
 * What a client sends travels as header list only; what Apache knows travels apart from
 * it, so that no header can be taken for a fact. docs/wire.md lists what is left out.
 */
#ifndef TSGI_REQUEST_H
#define TSGI_REQUEST_H

#include "tsgi_config.h"
#include "tsgi_connection.h"

/** Variables of this name are facts of Apache, and what nobody can set: docs/wire.md. */
#define TSGI_FACT_PREFIX "tsgi."

typedef struct {
    tsgi_request_t request;
    tsgi_field_t *headers, *vars;
    size_t nheaders, nvars;
    int is_sane; /**< what the encoder would refuse has been taken out */
} tsgi_head_t;

/**
 * The id that access log (%L), error log and app show for this request; the same for sub-
 * requests and internal redirects. Also set as r->log_id, in r->notes (tsgi_error.h) and
 * as variable TSGI_REQUEST_ID.
 */
const char *tsgi_request_id(request_rec *r);
/** @return OK, or the HTTP status of a head that cannot be right. */
int tsgi_request_build(request_rec *r, const tsgi_route_t *route, tsgi_head_t *head);
/**
 * Writes AUTH, if the worker has not had it, and the head into connection->out.
 * @return bytes written, TSGI_E_SPACE: over the wire's limits, TSGI_E_*: bad content, 0:
 * no memory.
 */
long tsgi_request_write(request_rec *r, tsgi_head_t *head, tsgi_connection_t *connection,
                        const unsigned char *secret);

#endif
