/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/** @file tsgi_client_conn.h What the module keeps of a client's connection, in its conn_config. */
#ifndef TSGI_CLIENT_CONN_H
#define TSGI_CLIENT_CONN_H

#include "tsgi_module.h"

typedef struct {
    struct tsgi_record *record; /**< the head that is being read: tsgi_record.c */
    struct tsgi_network
        *network; /**< its end of the network: tsgi_network.c; may be NULL */
} tsgi_client_conn_t;

/** @return NULL where no request can come to an app, and on HTTP/2's secondary connections. */
static inline tsgi_client_conn_t *tsgi_client_conn_of(const conn_rec *c)
{
    return ap_get_module_config(c->conn_config, &tsgi_module);
}

#endif
