/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_handler.h The content handler: the story of one request. Apache children,
 * request threads (on HTTP/2 also mod_http2's own workers).
 */
#ifndef TSGI_HANDLER_H
#define TSGI_HANDLER_H

#include "tsgi_config.h"

/** handler hook. @return DECLINED if r->handler is not ours. */
int tsgi_handler(request_rec *r);
/** child_init: makes the pools of connections (after tsgi_generation_child_init()). */
void tsgi_handler_child_init(apr_pool_t *pchild, server_rec *s);

#endif
