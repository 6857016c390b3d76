/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_network.h"
#include "tsgi_client_conn.h"

#include "apr_buckets.h"
#include "http_config.h"

#include <string.h>

struct tsgi_network {
    apr_socket_t *socket;
    apr_size_t at_once;
    const apr_bucket_brigade *home; /* httpd's, which its bucket stands in */
    tsgi_splice_t *splice;          /* where reads that do not wait lead to, or NULL */
    apr_size_t splice_most;
};

static const apr_bucket_type_t bucket_type;

static void make_bucket(apr_bucket *e, tsgi_network_t *network)
{
    e->type = &bucket_type;
    e->length = (apr_size_t)-1;
    e->start = -1;
    e->data = network;
}

static apr_bucket *create_bucket(tsgi_network_t *network, apr_bucket_alloc_t *list)
{
    apr_bucket *e = apr_bucket_alloc(sizeof(*e), list);
    APR_BUCKET_INIT(e);
    e->free = apr_bucket_free;
    e->list = list;
    make_bucket(e, network);
    return e;
}

static apr_status_t receive(const tsgi_network_t *network, char *buffer, apr_size_t *n,
                            apr_read_type_e block)
{
    apr_interval_time_t timeout = 0;
    if (block == APR_NONBLOCK_READ) {
        (void)apr_socket_timeout_get(network->socket, &timeout);
        (void)apr_socket_timeout_set(network->socket, 0);
    }
    const apr_status_t rv = apr_socket_recv(network->socket, buffer, n);
    if (block == APR_NONBLOCK_READ) {
        (void)apr_socket_timeout_set(network->socket, timeout);
    }
    return rv;
}

/* What is little does not hold on to much memory: a client may send byte by byte. */
static char *fit(char *buffer, apr_size_t n, apr_size_t *size, apr_bucket_alloc_t *list)
{
    if (*size <= APR_BUCKET_BUFF_SIZE || n > APR_BUCKET_BUFF_SIZE) {
        return buffer;
    }
    char *smaller = apr_bucket_alloc(n, list);
    memcpy(smaller, buffer, n);
    apr_bucket_free(buffer);
    *size = n;
    return smaller;
}

/*
 * Into the pipe, if that is where uploads go now. What was read before goes first, alone: what is in the
 * pipe is then never more than what httpd's filters were asked for, and they need not split it.
 */
static int splice_bucket(apr_bucket *e, tsgi_network_t *network, apr_size_t *n,
                         apr_status_t *rv)
{
    if (network->splice == NULL) {
        return 0;
    }
    if (APR_BRIGADE_FIRST(network->home) != e) {
        *rv = APR_EAGAIN;
        return 1;
    }
    if (!tsgi_splice_receive(network->splice, e, network->socket, network->splice_most, n,
                             rv)) {
        return 0;
    }
    if (*rv == APR_SUCCESS) {
        APR_BUCKET_INSERT_AFTER(e, create_bucket(network, e->list));
    }
    return 1;
}

/* As APR's socket bucket: it becomes what was read, with itself behind; at the end, nothing. */
static apr_status_t read_bucket(apr_bucket *e, const char **data, apr_size_t *n,
                                apr_read_type_e block)
{
    tsgi_network_t *network = e->data;
    apr_size_t size = network->at_once;
    apr_status_t rv;

    *data = NULL;
    if (block == APR_NONBLOCK_READ && splice_bucket(e, network, n, &rv)) {
        return rv;
    }
    char *buffer = apr_bucket_alloc(size, e->list);
    *n = size;
    rv = receive(network, buffer, n, block);
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EOF(rv)) {
        apr_bucket_free(buffer);
        return rv;
    }
    if (*n == 0) {
        apr_bucket_free(buffer);
        e = apr_bucket_immortal_make(e, "", 0);
        *data = e->data;
        return APR_SUCCESS;
    }
    buffer = fit(buffer, *n, &size, e->list);
    e = apr_bucket_heap_make(e, buffer, *n, apr_bucket_free);
    ((apr_bucket_heap *)e->data)->alloc_len =
        size; /* httpd may write behind what was read */
    *data = buffer;
    APR_BUCKET_INSERT_AFTER(e, create_bucket(network, e->list));
    return APR_SUCCESS;
}

static const apr_bucket_type_t bucket_type = {
    "TSGI_NETWORK",
    5,
    APR_BUCKET_DATA,
    apr_bucket_destroy_noop,
    read_bucket,
    apr_bucket_setaside_notimpl,
    apr_bucket_split_notimpl,
    apr_bucket_copy_notimpl,
};

apr_status_t tsgi_network_insert(conn_rec *c, apr_bucket_brigade *bb,
                                 apr_socket_t *socket)
{
    tsgi_client_conn_t *conn = tsgi_client_conn_of(c);
    if (conn == NULL) {
        return DECLINED;
    }
    tsgi_network_t *network = apr_palloc(c->pool, sizeof(*network));
    network->socket = socket;
    network->at_once = APR_BUCKET_BUFF_SIZE;
    network->home = bb;
    network->splice = NULL;
    conn->network = network;
    APR_BRIGADE_INSERT_TAIL(bb, create_bucket(network, c->bucket_alloc));
    return APR_SUCCESS;
}

tsgi_network_t *tsgi_network_of(const conn_rec *c)
{
    const tsgi_client_conn_t *conn = tsgi_client_conn_of(c);
    return conn != NULL ? conn->network : NULL;
}

void tsgi_network_read_at_once(tsgi_network_t *network, apr_size_t size)
{
    if (network != NULL) {
        network->at_once = size > APR_BUCKET_BUFF_SIZE ? size : APR_BUCKET_BUFF_SIZE;
    }
}

void tsgi_network_splice(tsgi_network_t *network, tsgi_splice_t *splice, apr_size_t most)
{
    network->splice = splice;
    network->splice_most = most;
}
