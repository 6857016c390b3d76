/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_static.h"

#include "apr_file_info.h"
#include "apr_strings.h"

#include <string.h>

#define WELL_KNOWN ".well-known"

/* A name that files of the public do not have, or that would lead upwards. */
static int is_hidden(const char *segment, size_t length, int is_first)
{
    /* RFC 8615 has made this one public, at the root of a site. */
    const int is_well_known = is_first && length == strlen(WELL_KNOWN) &&
                              strncmp(segment, WELL_KNOWN, length) == 0;
    return segment[0] == '.' && !is_well_known;
}

/* Whether the path may name a file: not a directory, no empty segment, nothing hidden. */
static int may_be_file(const char *path)
{
    const char *at = path;
    while (*at == '/') {
        const size_t length = strcspn(++at, "/");
        if (length == 0 || is_hidden(at, length, at == path + 1)) {
            return 0;
        }
        at += length;
    }
    return at > path && *at == '\0';
}

int tsgi_static_translate(request_rec *r, const char *path)
{
    const tsgi_dir_conf_t *dir = ap_get_module_config(r->per_dir_config, &tsgi_module);
    apr_finfo_t info;

    if (dir->static_dir == NULL || dir->static_dir[0] == '\0' ||
        r->method_number != M_GET || !may_be_file(path)) {
        return DECLINED;
    }
    char *file = apr_pstrcat(r->pool, dir->static_dir, path, NULL);
    const apr_status_t rv = apr_stat(&info, file, APR_FINFO_TYPE, r->pool);
    if ((rv != APR_SUCCESS && rv != APR_INCOMPLETE) || info.filetype != APR_REG) {
        return DECLINED;
    }
    r->filename = r->canonical_filename = file;
    r->path_info = NULL;
    return OK;
}
