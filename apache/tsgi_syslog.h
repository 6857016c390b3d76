/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_syslog.h
 * Keeps `ErrorLog syslog` as it is in a process that overwrites its command line.
 */
#ifndef TSGI_SYSLOG_H
#define TSGI_SYSLOG_H

#include "httpd.h"
#include "apr_pools.h"

/**
 * Without a tag of its own, httpd logs under its name, which libc knows as a pointer into the command
 * line. This opens syslog(3) again with a copy from p. Before tsgi_title_set().
 */
void tsgi_syslog_keep(server_rec *main_server, apr_pool_t *p);

#endif
