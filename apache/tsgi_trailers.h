/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_trailers.h Trailers of HTTP/1.1 responses, which httpd 2.4 itself does not write.
 *
 * httpd's chunk filter ends a body with "0 CRLF CRLF". An output filter below it puts the
 * fields of r->trailers_out between the two. It is added only to a response that has some, and
 * touches nothing where the chunk filter wrote no such end: a sized, a bodiless or a truncated
 * response. HTTP/2 sends r->trailers_out by itself.
 *
 * The thread of the request only; memory in r->pool.
 */
#ifndef TSGI_TRAILERS_H
#define TSGI_TRAILERS_H

#include "tsgi_module.h"

/** register_hooks: makes the filter known. */
void tsgi_trailers_register(void);
/**
 * Before the EOS bucket is passed: r->trailers_out, whose names and values the caller has
 * checked, shall be sent. @return 1 if that takes a response of unknown length.
 */
int tsgi_trailers_add(request_rec *r);

#endif
