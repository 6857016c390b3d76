/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_section.h"

#include "apr_fnmatch.h"
#include "apr_strings.h"

#include <string.h>

/*
 * The kind of the section around a directive. Sections in sections (<If>, <Limit> …) may or may not
 * apply, and so may all that hold patterns.
 */
tsgi_override_t *tsgi_section_override(cmd_parms *cmd, const char *value)
{
    const ap_directive_t *section = cmd->directive->parent;
    tsgi_override_t *override = apr_pcalloc(cmd->pool, sizeof(*override));
    override->value = value;
    override->kind = TSGI_SECTION_OTHER;
    if (section == NULL || section->args[0] == '~' || cmd->path[0] != '/' ||
        strstr(cmd->path, "//") != NULL || apr_fnmatch_test(cmd->path) ||
        (section->parent != NULL &&
         strcasecmp(section->parent->directive, "<VirtualHost") != 0)) {
        return override;
    }
    if (strcasecmp(section->directive, "<Location") == 0) {
        override->kind = TSGI_SECTION_LOCATION;
        override->path = cmd->path;
    }
    else if (strcasecmp(section->directive, "<Directory") == 0) {
        override->kind = TSGI_SECTION_DIRECTORY;
        override->path = cmd->path;
    }
    return override;
}

/* Length without slashes at the end; 0 for "/". */
static size_t trimmed(const char *path)
{
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/') {
        length--;
    }
    return length;
}

/* Whether path is parent, or something below it; both without slashes at the end. */
static int is_within(const char *path, size_t length, const char *parent,
                     size_t parent_length)
{
    return length >= parent_length && strncmp(path, parent, parent_length) == 0 &&
           (length == parent_length || path[parent_length] == '/');
}

static tsgi_scope_t scope_of_location(const char *location, const tsgi_alias_t *alias)
{
    size_t length = trimmed(location);
    size_t mount = trimmed(alias->url);
    if (length == 0) {
        return TSGI_SCOPE_ALL;
    }
    if (alias->regex != NULL || strstr(alias->url, "//") != NULL) {
        return TSGI_SCOPE_SOME;
    }
    if (is_within(alias->url, mount, location, length)) {
        /* <Location /app/> does not hold /app itself. */
        return mount > length || location[length] == '\0' || alias->url[mount] == '/'
                   ? TSGI_SCOPE_ALL
                   : TSGI_SCOPE_SOME;
    }
    return is_within(location, length, alias->url, mount) ? TSGI_SCOPE_SOME
                                                          : TSGI_SCOPE_NEVER;
}

static tsgi_scope_t scope_of_directory(const char *directory, const tsgi_alias_t *alias)
{
    const char *script = alias->script_root != NULL ? alias->script_root : alias->script;
    size_t length = trimmed(directory);
    if (is_within(script, trimmed(script), directory, length)) {
        return TSGI_SCOPE_ALL;
    }
    return alias->script_root != NULL &&
                   is_within(directory, length, script, trimmed(script))
               ? TSGI_SCOPE_SOME
               : TSGI_SCOPE_NEVER;
}

tsgi_scope_t tsgi_section_scope(const tsgi_override_t *override,
                                const tsgi_alias_t *alias)
{
    switch (override->kind) {
    case TSGI_SECTION_LOCATION:
        return scope_of_location(override->path, alias);
    case TSGI_SECTION_DIRECTORY:
        return scope_of_directory(override->path, alias);
    default:
        return TSGI_SCOPE_SOME;
    }
}

static void add_value(apr_array_header_t *values, const char *value)
{
    for (int i = 0; i < values->nelts; i++) {
        const char *other = APR_ARRAY_IDX(values, i, const char *);
        if (other == value ||
            (other != NULL && value != NULL && strcmp(other, value) == 0)) {
            return;
        }
    }
    APR_ARRAY_PUSH(values, const char *) = value;
}

apr_array_header_t *tsgi_section_values(apr_pool_t *p, const char *of_server,
                                        const apr_array_header_t *overrides,
                                        const tsgi_alias_t *alias)
{
    apr_array_header_t *values = apr_array_make(p, 4, sizeof(const char *));
    int overridden = 0;
    for (int i = 0; i < overrides->nelts; i++) {
        const tsgi_override_t *override = APR_ARRAY_IDX(overrides, i, tsgi_override_t *);
        overridden = overridden || tsgi_section_scope(override, alias) == TSGI_SCOPE_ALL;
    }
    if (!overridden) {
        add_value(values, of_server);
    }
    for (int i = 0; i < overrides->nelts; i++) {
        const tsgi_override_t *override = APR_ARRAY_IDX(overrides, i, tsgi_override_t *);
        if (tsgi_section_scope(override, alias) != TSGI_SCOPE_NEVER) {
            add_value(values, override->value);
        }
    }
    return values;
}
