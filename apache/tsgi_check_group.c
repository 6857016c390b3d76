/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_check.h"
#include "tsgi_generation.h"
#include "tsgi_identity.h"

#include "apr_strings.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- user and node ------------------------------------------------------------------ */

/* By its mode alone: whether the group's user may execute it is for the probe to find. */
static int is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) &&
           (info.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0;
}

static const char *search_node(apr_pool_t *p)
{
    const char *path = getenv("PATH");
    char *last = NULL;
    char *list =
        apr_pstrcat(p, path != NULL ? path : "", ":/usr/local/bin:/usr/bin", NULL);
    for (char *dir = apr_strtok(list, ":", &last); dir != NULL;
         dir = apr_strtok(NULL, ":", &last)) {
        const char *candidate = apr_pstrcat(p, dir, "/node", NULL);
        /* A relative directory would depend on where Apache is started. */
        if (dir[0] == '/' && is_program(candidate)) {
            return candidate;
        }
    }
    return NULL;
}

static const char *find_node(tsgi_check_t *check, const tsgi_group_t *group)
{
    const tsgi_server_conf_t *conf =
        ap_get_module_config(group->server->module_config, &tsgi_module);
    if (group->options.node != NULL) {
        return group->options.node;
    }
    return conf->node != NULL ? conf->node : search_node(check->p);
}

void tsgi_check_group(tsgi_check_t *check, tsgi_group_t *group)
{
    apr_pool_t *p = check->p;
    const tsgi_server_conf_t *conf =
        ap_get_module_config(group->server->module_config, &tsgi_module);
    group->script_reloading = conf->script_reloading != 0; /* on unless told otherwise */
    if (group->error != NULL) {
        return; /* its directive could not be read; that is reported already */
    }
    const char *error = tsgi_identity_resolve(p, &group->options, &group->identity);
    if (error != NULL) {
        memset(&group->identity, 0,
               sizeof(group->identity)); /* uid 0: nobody, see the probe */
        tsgi_check_complain(check, group, group->file, group->line,
                            TSGI_LOGNO(0014) "process group %s: %s", group->name, error);
    }
    group->node = find_node(check, group);
    if (group->node == NULL) {
        tsgi_check_complain(
            check, group, group->file, group->line,
            TSGI_LOGNO(0015) "process group %s: there is no node in the PATH of "
                             "Apache; install Node.js %d.%d or newer, or name its "
                             "binary with TSGINode",
            group->name, TSGI_PROBE_NODE_MAJOR, TSGI_PROBE_NODE_MINOR);
    }
}

/* ---- the probe ---------------------------------------------------------------------- */

void tsgi_check_add_item(tsgi_check_t *check, tsgi_group_t *group, tsgi_probe_kind_t kind,
                         const char *what, const char *path, const char *file, int line)
{
    apr_pool_t *p = check->p;
    apr_array_header_t *items =
        apr_hash_get(check->items, &group, sizeof(tsgi_group_t *));
    if (items == NULL) {
        tsgi_group_t **key = apr_pmemdup(p, &group, sizeof(tsgi_group_t *));
        items = apr_array_make(p, 8, sizeof(tsgi_probe_item_t *));
        apr_hash_set(check->items, key, sizeof(tsgi_group_t *), items);
    }
    for (int i = 0; i < items->nelts; i++) {
        const tsgi_probe_item_t *item = APR_ARRAY_IDX(items, i, tsgi_probe_item_t *);
        if (item->kind == kind && strcmp(item->path, path) == 0) {
            return;
        }
    }
    tsgi_probe_item_t *item = apr_pcalloc(p, sizeof(*item));
    item->kind = kind;
    item->what = what;
    item->path = path;
    item->file = file;
    item->line = line;
    APR_ARRAY_PUSH(items, tsgi_probe_item_t *) = item;
}

static apr_array_header_t *items_of(tsgi_check_t *check, tsgi_group_t *group)
{
    const tsgi_options_t *options = &group->options;
    if (options->home != NULL) {
        tsgi_check_add_item(check, group, TSGI_PROBE_DIRECTORY, "home=", options->home,
                            group->file, group->line);
    }
    if (options->script_root != NULL) {
        tsgi_check_add_item(check, group, TSGI_PROBE_DIRECTORY,
                            "script-root=", options->script_root, group->file,
                            group->line);
    }
    if (options->env_file != NULL) {
        tsgi_check_add_item(check, group, TSGI_PROBE_FILE, "env-file=", options->env_file,
                            group->file, group->line);
    }
    apr_array_header_t *items =
        apr_hash_get(check->items, &group, sizeof(tsgi_group_t *));
    return items != NULL ? items
                         : apr_array_make(check->p, 1, sizeof(tsgi_probe_item_t *));
}

/* Whether a group before this one had the same node executed by the same user. */
static int node_is_known(tsgi_check_t *check, int index)
{
    const apr_array_header_t *groups = check->global->groups;
    const tsgi_group_t *group = APR_ARRAY_IDX(groups, index, tsgi_group_t *);
    for (int i = 0; i < index; i++) {
        const tsgi_group_t *other = APR_ARRAY_IDX(groups, i, tsgi_group_t *);
        if (other->node != NULL && strcmp(other->node, group->node) == 0 &&
            other->identity.uid == group->identity.uid &&
            other->identity.gid == group->identity.gid) {
            return 1;
        }
    }
    return 0;
}

static void probe_group(tsgi_check_t *check, tsgi_group_t *group, int with_node)
{
    apr_pool_t *p = check->p;
    const char *node_problem = NULL;
    apr_array_header_t *items = items_of(check, group);
    if (items->nelts == 0 && !with_node) {
        return;
    }
    const char *failure = tsgi_probe_run(
        p, &group->identity, with_node ? group->node : NULL, items, &node_problem);
    if (failure != NULL) {
        tsgi_check_complain(
            check, group, group->file, group->line,
            TSGI_LOGNO(0018) "process group %s: its files could not be checked: %s",
            group->name, failure);
        return;
    }
    if (node_problem != NULL) {
        tsgi_check_complain(check, group, group->file, group->line,
                            TSGI_LOGNO(0016) "process group %s: %s", group->name,
                            node_problem);
    }
    for (int i = 0; i < items->nelts; i++) {
        const tsgi_probe_item_t *item = APR_ARRAY_IDX(items, i, tsgi_probe_item_t *);
        if (item->problem != NULL) {
            tsgi_check_complain(check, group, item->file, item->line,
                                TSGI_LOGNO(0017) "process group %s: %s%s: %s",
                                group->name, item->what, item->path, item->problem);
        }
    }
}

void tsgi_check_probe(tsgi_check_t *check)
{
    const apr_array_header_t *groups = check->global->groups;
    for (int i = 0; i < groups->nelts; i++) {
        tsgi_group_t *group = APR_ARRAY_IDX(groups, i, tsgi_group_t *);
        /* uid 0: the user could not be resolved; node NULL: there is none. Both are reported. */
        if (group->identity.uid == 0 || group->node == NULL) {
            continue;
        }
        if (!check->restart) {
            probe_group(check, group, !node_is_known(check, i));
        }
        else if (group->error == NULL && tsgi_generation_is_changed(group)) {
            probe_group(check, group, 1);
        }
    }
}
