/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_resolve.h
 * What the names of the configuration stand for. The same rules place the scripts when the
 * configuration is checked (tsgi_check.c) and find the workers of a request (tsgi_map.c).
 */
#ifndef TSGI_RESOLVE_H
#define TSGI_RESOLVE_H

#include "tsgi_config.h"

/** The setting for "what stands there without one": the implicit group, or the empty application group. */
#define TSGI_GLOBAL "%{GLOBAL}"
/** Begins the names of application groups that pattern aliases fill: never mixed with exact scripts. */
#define TSGI_PATTERN_APPLICATION "%{MATCH}"

/**
 * @param name as in TSGIProcessGroup; NULL or %{GLOBAL}: the implicit group of the alias's server
 * @return NULL if there is no such group
 */
tsgi_group_t *tsgi_resolve_group(const tsgi_global_conf_t *global,
                                 const tsgi_alias_t *alias, const char *name);

/**
 * A group of the main server is usable from all virtual hosts, one that a virtual host defines from
 * those with the same ServerName (so that :80 and :443 share it).
 */
int tsgi_resolve_visible(const tsgi_group_t *group, const server_rec *s);

/** Whether TSGIRestrictProcess lets the group be used; `names` NULL: all are. */
int tsgi_resolve_allowed(const apr_array_header_t *names, const tsgi_group_t *group);

/**
 * The name of the application group for a script.
 * @param setting as in TSGIApplicationGroup; NULL: %{RESOURCE}
 * @param p used for pattern aliases with a setting only
 */
const char *tsgi_resolve_application(apr_pool_t *p, const tsgi_alias_t *alias,
                                     const char *setting);

/**
 * Whether a URL-path matches that of an alias, as mod_alias has it: a slash of the alias stands for one
 * or more, and the match ends where a segment of the path ends.
 * @return the length of the mount point: what matched, without slashes at its end (so 0 for "/", which
 *         matches all); −1: no match
 */
int tsgi_resolve_match(const char *uri, const char *alias);

/** Whether the path lies below the directory, by its letters alone; root ends with a slash or not. */
int tsgi_resolve_below(const char *path, const char *root);

#endif
