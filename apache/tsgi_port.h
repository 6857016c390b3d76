/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_port.h
 * The port of Apache that the apps of a group take for their own: PORT in their environment.
 */
#ifndef TSGI_PORT_H
#define TSGI_PORT_H

#include "tsgi_config.h"

/** What it is where Apache listens nowhere. */
#define TSGI_PORT_DEFAULT 80

/**
 * ssl_add_cert_files hook: the modules that speak TLS run it in post_config, once for each server on
 * which they do, so that it tells which these are. @return DECLINED
 */
int tsgi_port_note_tls(server_rec *s, apr_pool_t *p, apr_array_header_t *cert_files,
                       apr_array_header_t *key_files);

/**
 * A port at which Apache listens and serves `s`, the server in which a group is defined: of those that
 * come into question the first one without TLS, since an app that calls itself speaks plain HTTP; else
 * the first one. In question are, in this order, the ports in the addresses of a virtual host, that of
 * its ServerName, those of other virtual hosts with the same name, and all others from the lowest on:
 * the order of httpd's list of listeners is another one after each graceful restart.
 * Parent, at the end of post_config.
 */
apr_port_t tsgi_port_of(const tsgi_global_conf_t *global, const server_rec *main_server,
                        const server_rec *s);

#endif
