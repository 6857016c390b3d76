/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_sendfile.h
 * The file that an app names in X-Sendfile: which one it is, and whether it may be sent. The thread of
 * the request; memory in r->pool.
 *
 * The name is the worker's, and so may be everything below an allowed directory: directories and links
 * may be swapped while they are looked at, names may be those of devices. So nothing is opened for
 * reading before it is known to be a regular file, and what was checked is what is sent.
 */
#ifndef TSGI_SENDFILE_H
#define TSGI_SENDFILE_H

#include "tsgi_config.h"
#include "tsgi_error.h"

/**
 * @param value of the header
 * @param file set to what shall be sent; r->finfo is about it
 * @return 1, or 0: error says why not, and nothing has changed
 */
int tsgi_sendfile_open(request_rec *r, const tsgi_group_t *group, const char *value,
                       apr_file_t **file, tsgi_error_t *error);

#endif
