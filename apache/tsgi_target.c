/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_target.h"

#include "apr_lib.h"

#include <string.h>

const char *tsgi_target_origin(const char *raw)
{
    const char *authority;
    if (raw[0] == '/' || (authority = strstr(raw, "://")) == NULL) {
        return raw;
    }
    authority += 3;
    return authority + strcspn(authority, "/?#");
}

static int hex(unsigned char c)
{
    return apr_isdigit(c) ? c - '0' : apr_tolower(c) - 'a' + 10;
}

/* The byte that a character or an escape stands for. */
static unsigned char decode(const char *at, int escaped)
{
    const unsigned char *byte = (const unsigned char *)at;
    return escaped ? (unsigned char)(hex(byte[1]) * 16 + hex(byte[2])) : *byte;
}

int tsgi_target_compare(const char *raw, const char *uri, int mount_length,
                        apr_uint32_t *raw_mount)
{
    const char *at = raw;
    int done = 0;
    *raw_mount = 0;
    while (*at != '\0' && *at != '?' && *at != '#') {
        int escaped = at[0] == '%' && apr_isxdigit(at[1]) && apr_isxdigit(at[2]);
        unsigned char c = decode(at, escaped);
        if (c == (unsigned char)uri[done] && c != '\0') {
            done++;
            at += escaped ? 3 : 1;
        }
        else if (escaped && uri[done] == '%' && strncasecmp(at, uri + done, 3) == 0) {
            done += 3; /* AllowEncodedSlashes NoDecode */
            at += 3;
        }
        else if (c == '/' && done > 0 && uri[done - 1] == '/') {
            at += escaped ? 3 : 1;
            continue; /* merged; it never ends the mount, which has no slash at its end */
        }
        else {
            return 0;
        }
        if (done <= mount_length) {
            *raw_mount = (apr_uint32_t)(at - raw);
        }
    }
    return uri[done] == '\0' && *at != '#';
}

int tsgi_target_same_query(const char *raw, const char *args)
{
    const char *query = strchr(raw, '?');
    return query == NULL ? args == NULL : args != NULL && strcmp(query + 1, args) == 0;
}
