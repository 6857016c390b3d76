/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_tls.h What the TLS layer knows of the client's connection, for the socket that
 * the app sees. Asked of httpd directly, so that no SSLOptions is needed, and neither a header
 * nor SetEnv can stand in for it. The thread of the request only; memory in r->pool.
 */
#ifndef TSGI_TLS_H
#define TSGI_TLS_H

#include "tsgi_module.h"
#include "../native/wire/tsgi_wire.h"

/** Most certificates between the client's own and a root that are passed on. */
#define TSGI_TLS_CHAIN 8
/** Most facts of one request. */
#define TSGI_TLS_FACTS (6 + TSGI_TLS_CHAIN)

/**
 * Writes variables whose names begin with TSGI_FACT_PREFIX (docs/wire.md).
 * @return how many; 0 where the connection is not encrypted.
 */
size_t tsgi_tls_facts(request_rec *r, tsgi_field_t *fields);

#endif
