/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_check.h
 * The state of one check of the configuration, shared by its two halves: tsgi_check.c places the
 * scripts, tsgi_check_group.c completes and probes the groups. Apache's parent, within
 * tsgi_config_check(); everything is allocated from pconf.
 */
#ifndef TSGI_CHECK_H
#define TSGI_CHECK_H

#include "tsgi_config.h"
#include "tsgi_probe.h"

typedef struct {
    apr_pool_t *p;
    server_rec *main_server;
    tsgi_global_conf_t *global;
    /** &tsgi_group_t * → array of tsgi_probe_item_t *: what its user must be able to reach */
    apr_hash_t *items;
    int restart; /**< complaints are logged, but stop nothing */
    int complaints;
} tsgi_check_t;

/**
 * Logs what is wrong and counts it. At a restart it also becomes the error of the group (which may be
 * NULL), so that its requests are answered 503.
 * @param file where in the configuration; NULL: nowhere
 * @param format of an English sentence with TSGI_LOGNO
 */
__attribute__((format(printf, 5, 6))) void tsgi_check_complain(tsgi_check_t *check,
                                                               tsgi_group_t *group,
                                                               const char *file, int line,
                                                               const char *format, ...);

/** Adds something to what the probe looks at, once per path. */
void tsgi_check_add_item(tsgi_check_t *check, tsgi_group_t *group, tsgi_probe_kind_t kind,
                         const char *what, const char *path, const char *file, int line);

/** Resolves the user and the node of a group. */
void tsgi_check_group(tsgi_check_t *check, tsgi_group_t *group);

/**
 * Probes the scripts of all groups, and node once for each pair of binary and user. At a restart only
 * what a running group would change to: with an error it stays as it is. A new group starts anyhow, and
 * serves when what it lacks is there.
 */
void tsgi_check_probe(tsgi_check_t *check);

#endif
