/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_record.h The request headers of HTTP/1 as the client sent them.
 *
 * httpd's core joins headers of one name before any module sees them ("a=1, b=2" of two
 * Cookie headers), and keeps nothing of where they stood. An input filter on top of the
 * connection's own keeps a copy of the lines while the core reads them. HTTP/2 has no such
 * lines: there mod_http2 has joined what came.
 *
 * The thread that has the connection only; memory in the connection's pool, used again for
 * each of its requests.
 */
#ifndef TSGI_RECORD_H
#define TSGI_RECORD_H

#include "tsgi_module.h"

/** register_hooks: makes the filter known. */
void tsgi_record_register(void);
/** pre_connection hook: adds the filter where requests may come to an app. */
int tsgi_record_connection(conn_rec *c, void *csd);
/** pre_read_request hook: a new request begins. */
void tsgi_record_begin(request_rec *r, conn_rec *c);
/** post_read_request hook, the very first: compares what came with what the core has made. */
int tsgi_record_compare(request_rec *r);
/**
 * @return what the client sent and modules have made of it: r->headers_in, or, if a name came
 * more than once, a table in r->pool with each of its values at its place. Where a module has
 * changed the joined value, that stands at the place of the first one.
 */
const apr_table_t *tsgi_record_headers(request_rec *r);

#endif
