/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_network.h How much one read of the client's socket brings.
 *
 * APR's socket bucket reads 8000 bytes at a time: 131 system calls for 1 MiB. The hook by which
 * httpd lets modules put another bucket at the network's end of a connection's input puts one
 * there that reads as much as it is told to. All filters stay above it: TLS, request timeouts,
 * limits and the body's framing are httpd's as ever. Where nobody tells it anything, it reads as
 * APR's does.
 *
 * The thread that has the connection only.
 */
#ifndef TSGI_NETWORK_H
#define TSGI_NETWORK_H

#include "tsgi_module.h"
#include "tsgi_splice.h"

typedef struct tsgi_network tsgi_network_t;

/** insert_network_bucket hook: for connections whose requests may come to an app. */
apr_status_t tsgi_network_insert(conn_rec *c, apr_bucket_brigade *bb,
                                 apr_socket_t *socket);
/** @return NULL where the connection's bucket is not the module's: HTTP/2, other modules' own. */
tsgi_network_t *tsgi_network_of(const conn_rec *c);
/** Reads bring size bytes at most, or as much as APR's if that is more. network may be NULL. */
void tsgi_network_read_at_once(tsgi_network_t *network, apr_size_t size);
/**
 * Reads that do not wait lead into this pipe, most bytes each, with nobody there to look at what the read
 * gives back: only its length holds. NULL: to memory, as ever.
 */
void tsgi_network_splice(tsgi_network_t *network, tsgi_splice_t *splice, apr_size_t most);

#endif
