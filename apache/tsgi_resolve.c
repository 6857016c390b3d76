/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_resolve.h"

#include "apr_strings.h"

#include <string.h>

static int is_global(const char *name)
{
    return name == NULL || strcmp(name, TSGI_GLOBAL) == 0;
}

tsgi_group_t *tsgi_resolve_group(const tsgi_global_conf_t *global,
                                 const tsgi_alias_t *alias, const char *name)
{
    if (is_global(name)) {
        return alias->implicit;
    }
    return apr_hash_get(global->groups_by_name, name, APR_HASH_KEY_STRING);
}

int tsgi_resolve_visible(const tsgi_group_t *group, const server_rec *s)
{
    if (group->implicit || !group->server->is_virtual || group->server == s) {
        return 1;
    }
    return s->server_hostname != NULL && group->server->server_hostname != NULL &&
           strcasecmp(s->server_hostname, group->server->server_hostname) == 0;
}

int tsgi_resolve_allowed(const apr_array_header_t *names, const tsgi_group_t *group)
{
    const char *wanted = group->implicit ? TSGI_GLOBAL : group->name;
    if (names == NULL) {
        return 1;
    }
    for (int i = 0; i < names->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(names, i, const char *), wanted) == 0) {
            return 1;
        }
    }
    return 0;
}

const char *tsgi_resolve_application(apr_pool_t *p, const tsgi_alias_t *alias,
                                     const char *setting)
{
    const char *name = setting;
    if (setting == NULL || strcmp(setting, "%{RESOURCE}") == 0) {
        name = alias->script_root != NULL ? "" : alias->resource;
    }
    else if (is_global(setting)) {
        name = "";
    }
    else if (strcmp(setting, "%{SERVER}") == 0) {
        name = alias->server_name;
    }
    if (alias->script_root == NULL) {
        return name;
    }
    return name[0] == '\0' ? TSGI_PATTERN_APPLICATION
                           : apr_pstrcat(p, TSGI_PATTERN_APPLICATION, name, NULL);
}

int tsgi_resolve_match(const char *uri, const char *alias)
{
    const char *at = uri;
    const char *mount_end = uri;
    while (*alias != '\0') {
        if (*at != *alias) {
            return -1;
        }
        if (*alias != '/') {
            at++;
            alias++;
            mount_end = at;
            continue;
        }
        at += strspn(at, "/");
        alias += strspn(alias, "/");
    }
    return *at == '\0' || *at == '/' || (at > uri && at[-1] == '/')
               ? (int)(mount_end - uri)
               : -1;
}

int tsgi_resolve_below(const char *path, const char *root)
{
    size_t length = strlen(root);
    while (length > 0 && root[length - 1] == '/') {
        length--;
    }
    return strncmp(path, root, length) == 0 && path[length] == '/';
}
