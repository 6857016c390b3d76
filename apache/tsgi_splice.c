/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_splice.h"
#include "tsgi_client_conn.h"
#include "tsgi_filters.h"

#include "apr_portable.h"
#include "http_ssl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Wanted room of the pipe, in bytes for the kernel's accounts: a slot for each 4 KiB. A slot holds a piece
 * of what the network brought, which may be less than 1500 bytes. */
#define PIPE_SIZE (256 * 1024)
/* With less, a user who has too many pipes (pipe-user-pages-soft), copying is cheaper. */
#define MIN_PIPE_SIZE (64 * 1024)

struct tsgi_splice {
    int uses; /* the request is one, a bucket another */
    int is_open;
    int write_end, read_end;
    apr_size_t held; /* bytes in it, all of the bucket that is its owner */
    const apr_bucket *owner;
};

static const apr_bucket_type_t bucket_type;

/* ---- the pipe ------------------------------------------------------------------------ */

static int open_pipe(tsgi_splice_t *splice)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return 0;
    }
    splice->read_end = ends[0];
    splice->write_end = ends[1];
    splice->is_open = 1;
    if (fcntl(splice->write_end, F_SETPIPE_SZ, PIPE_SIZE) < MIN_PIPE_SIZE &&
        fcntl(splice->write_end, F_GETPIPE_SZ) < MIN_PIPE_SIZE) {
        tsgi_splice_close(splice);
        return 0;
    }
    return 1;
}

static void unuse(tsgi_splice_t *splice)
{
    if (--splice->uses == 0) {
        free(splice);
    }
}

static apr_status_t request_ends(void *data)
{
    tsgi_splice_t *splice = data;
    tsgi_splice_close(splice);
    unuse(splice);
    return APR_SUCCESS;
}

int tsgi_splice_is_possible(request_rec *r)
{
    const tsgi_client_conn_t *conn = tsgi_client_conn_of(r->connection);
    const ap_filter_t *filter = r->input_filters;
    /* http_in counts a body against its Content-Length. */
    return conn != NULL && conn->network != NULL && r->connection->master == NULL &&
           !ap_ssl_conn_is_ssl(r->connection) && filter != NULL &&
           strcmp(filter->frec->name, "http_in") == 0 &&
           tsgi_filters_are_harmless(filter->next);
}

tsgi_splice_t *tsgi_splice_open(request_rec *r)
{
    tsgi_splice_t *splice =
        tsgi_splice_is_possible(r) ? calloc(1, sizeof(*splice)) : NULL;
    if (splice == NULL) {
        return NULL;
    }
    if (!open_pipe(splice)) {
        free(splice);
        return NULL;
    }
    splice->uses = 1;
    apr_pool_cleanup_register(r->pool, splice, request_ends, apr_pool_cleanup_null);
    return splice;
}

void tsgi_splice_close(tsgi_splice_t *splice)
{
    if (splice->is_open) {
        splice->is_open = 0;
        close(splice->write_end);
        close(splice->read_end);
    }
    splice->held = 0;
    splice->owner = NULL;
}

int tsgi_splice_is_open(const tsgi_splice_t *splice)
{
    return splice != NULL && splice->is_open;
}

apr_size_t tsgi_splice_held(const tsgi_splice_t *splice)
{
    return splice != NULL ? splice->held : 0;
}

int tsgi_splice_fd(const tsgi_splice_t *splice)
{
    return splice->read_end;
}

void tsgi_splice_sent(tsgi_splice_t *splice, apr_size_t n)
{
    splice->held -= n < splice->held ? n : splice->held;
}

/* ---- the bucket ----------------------------------------------------------------------- */

/* @return bytes that are in the pipe now, 0 at the end of the client's stream, or -errno. */
static long fill(int write_end, apr_socket_t *socket, apr_size_t most)
{
    apr_interval_time_t timeout = 0;
    apr_os_sock_t fd;
    ssize_t n;

    if (apr_os_sock_get(&fd, socket) != APR_SUCCESS) {
        return -EBADF;
    }
    /* As for APR's own reads that do not wait: splice() goes by the descriptor's mode. */
    (void)apr_socket_timeout_get(socket, &timeout);
    (void)apr_socket_timeout_set(socket, 0);
    do {
        n = splice(fd, NULL, write_end, NULL, most, SPLICE_F_NONBLOCK);
    } while (n < 0 && errno == EINTR);
    const int error = errno;
    (void)apr_socket_timeout_set(socket, timeout);
    return n < 0 ? -error : (long)n;
}

int tsgi_splice_receive(tsgi_splice_t *splice, apr_bucket *e, apr_socket_t *socket,
                        apr_size_t most, apr_size_t *n, apr_status_t *rv)
{
    if (!tsgi_splice_is_open(splice)) {
        return 0;
    }
    const long got = splice->held == 0 ? fill(splice->write_end, socket, most) : -EAGAIN;
    if (got == -EAGAIN) {
        *rv = APR_EAGAIN;
        return 1;
    }
    if (got <= 0) {
        tsgi_splice_close(splice); /* recv() says what is the matter */
        return 0;
    }
    splice->held = (apr_size_t)got;
    splice->owner = e;
    splice->uses++;
    e->type = &bucket_type;
    e->length = splice->held;
    e->start = 0;
    e->data = splice;
    *n = splice->held;
    *rv = APR_SUCCESS;
    return 1;
}

int tsgi_splice_is_bucket(const apr_bucket *e)
{
    return e->type == &bucket_type;
}

/* @return 0 or an errno. */
static int drain(const tsgi_splice_t *splice, char *buffer, apr_size_t size)
{
    while (size > 0) {
        const ssize_t n = read(splice->read_end, buffer, size);
        if (n > 0) {
            buffer += n;
            size -= (apr_size_t)n;
        }
        else if (n == 0 || errno != EINTR) {
            return n == 0 ? EPIPE : errno;
        }
    }
    return 0;
}

/* It becomes a heap bucket of what has not been sent from the pipe. */
static apr_status_t read_bucket(apr_bucket *e, const char **data, apr_size_t *n,
                                apr_read_type_e block)
{
    tsgi_splice_t *splice = e->data;
    (void)block; /* there is nothing to wait for */

    *data = NULL;
    *n = 0;
    if (splice->owner != e || splice->held == 0) {
        return APR_EGENERAL;
    }
    const apr_size_t size = splice->held;
    char *buffer = apr_bucket_alloc(size, e->list);
    if (buffer == NULL) {
        return APR_ENOMEM;
    }
    const int error = drain(splice, buffer, size);
    if (error != 0) {
        apr_bucket_free(buffer);
        tsgi_splice_close(splice);
        return error;
    }
    splice->held = 0;
    splice->owner = NULL;
    unuse(splice);
    (void)apr_bucket_heap_make(e, buffer, size, apr_bucket_free);
    *data = buffer;
    *n = size;
    return APR_SUCCESS;
}

/* Who lets it go before it was sent, wants its bytes no more. */
static void destroy_bucket(void *data)
{
    tsgi_splice_t *splice = data;
    if (splice->held > 0) {
        tsgi_splice_close(splice);
    }
    unuse(splice);
}

static const apr_bucket_type_t bucket_type = {
    "TSGI_SPLICE",
    5,
    APR_BUCKET_DATA,
    destroy_bucket,
    read_bucket,
    apr_bucket_setaside_notimpl,
    apr_bucket_split_notimpl,
    apr_bucket_copy_notimpl,
};
