/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_splice.h Bytes of an upload on their way from the client's socket to the worker's without
 * a copy in this process: a pipe, and a bucket that stands for what is in it.
 *
 * The bucket has a length, which is all that httpd's own filters want of a body's bytes. Whoever reads
 * it makes it a heap bucket with the pipe's bytes; to split it or set it aside, one reads it first, as
 * with APR's own pipes and sockets. There is one bucket at a time. The pipe ends with the request, at
 * the latest; a bucket that is left has nothing to give then.
 *
 * The thread of the request only.
 */
#ifndef TSGI_SPLICE_H
#define TSGI_SPLICE_H

#include "tsgi_module.h"

#include "apr_buckets.h"

typedef struct tsgi_splice tsgi_splice_t;

/** Whether nobody looks at the bytes of this request's body on their way: no filter wants them. */
int tsgi_splice_is_possible(request_rec *r);
/** Opens the pipe for the body of r. @return NULL: its bytes are to be read as ever. */
tsgi_splice_t *tsgi_splice_open(request_rec *r);
/** Drops what is in the pipe, and the pipe. */
void tsgi_splice_close(tsgi_splice_t *splice);
int tsgi_splice_is_open(const tsgi_splice_t *splice);

/**
 * A non-blocking read of the bucket e, which stands for the network: most bytes at most get into the
 * pipe, and e becomes the bucket that stands for them. @return 0: it is to be read as ever.
 */
int tsgi_splice_receive(tsgi_splice_t *splice, apr_bucket *e, apr_socket_t *socket,
                        apr_size_t most, apr_size_t *n, apr_status_t *rv);
int tsgi_splice_is_bucket(const apr_bucket *e);
/** Bytes in the pipe. splice may be NULL. */
apr_size_t tsgi_splice_held(const tsgi_splice_t *splice);
/** Where to read them, for splice(). */
int tsgi_splice_fd(const tsgi_splice_t *splice);
/** n of them have left. */
void tsgi_splice_sent(tsgi_splice_t *splice, apr_size_t n);

#endif
