/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_target.h
 * The request target as the client sent it, compared with what httpd has made of it. Pure functions
 * for tsgi_map.c: any thread, nothing allocated.
 */
#ifndef TSGI_TARGET_H
#define TSGI_TARGET_H

#include "apr.h"

/** The path and query of a target: of http://host/path what follows the host. */
const char *tsgi_target_origin(const char *raw);

/**
 * Whether the raw path is what uri was made from by decoding and by merging slashes alone. Where
 * httpd did more (removed "..", rewrote), it is not.
 * @param raw in origin form, with or without a query
 * @param mount_length bytes of uri that are the mount point, which has no slash at its end
 * @param raw_mount how many bytes of raw are the mount point
 */
int tsgi_target_compare(const char *raw, const char *uri, int mount_length,
                        apr_uint32_t *raw_mount);

/** Whether the query of raw is args (NULL: none). */
int tsgi_target_same_query(const char *raw, const char *args);

#endif
