/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_probe.h
 * Looks at files and at node through the eyes of a process group's user, so that root neither opens
 * nor executes what belongs to a user. Apache's parent, at `-t`, before the first start, and for what a restart changes; blocks, but
 * never longer than TSGI_PROBE_SECONDS.
 */
#ifndef TSGI_PROBE_H
#define TSGI_PROBE_H

#include "tsgi_config.h"

#define TSGI_PROBE_SECONDS 10
/** The oldest version of node that will do. */
#define TSGI_PROBE_NODE_MAJOR 20
#define TSGI_PROBE_NODE_MINOR 19

typedef enum {
    TSGI_PROBE_FILE, /**< regular, readable, of root or the user, not writable for everybody */
    TSGI_PROBE_SCRIPT,   /**< the same, or a directory that holds a package */
    TSGI_PROBE_DIRECTORY /**< a directory that the user may enter */
} tsgi_probe_kind_t;

/** One thing to look at. */
typedef struct {
    tsgi_probe_kind_t kind;
    const char *what; /**< for messages: "script ", "env-file=": the path follows */
    const char *path; /**< absolute */
    const char *file; /**< where the configuration names it; NULL if nowhere */
    int line;
    const char *problem; /**< result: NULL or an English sentence with the remedy */
} tsgi_probe_item_t;

/**
 * Forks a process that becomes the identity, looks at the items and executes node, which tells its version.
 * @param node absolute path, or NULL if only the items are in question
 * @param items of tsgi_probe_item_t *; their `problem` is set
 * @param node_problem NULL or an English sentence with the remedy
 * @return NULL, or why the probe itself could not be made; nothing is known then
 */
const char *tsgi_probe_run(apr_pool_t *p, const tsgi_identity_t *identity,
                           const char *node, const apr_array_header_t *items,
                           const char **node_problem);

#endif
