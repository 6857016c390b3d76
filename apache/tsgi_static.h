/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_static.h
 * TSGIStatic: a file first, then the app. Only whether there is a file is decided here; it is served
 * by httpd as any other one, with its <Directory>, types, filters, conditions and ranges. Request
 * threads; memory in r->pool.
 */
#ifndef TSGI_STATIC_H
#define TSGI_STATIC_H

#include "tsgi_config.h"

/**
 * Part of the translate_name hook, after an alias has matched.
 * @param path decoded, below the mount point
 * @return OK: r->filename is the file that answers; DECLINED: the app does.
 */
int tsgi_static_translate(request_rec *r, const char *path);

#endif
