/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_syslog.h"

#include "apr_strings.h"
#include "http_main.h"

#include <string.h>
#include <strings.h>
#define SYSLOG_NAMES /* for facilitynames[] */
#include <syslog.h>

/* Names are matched as httpd does it: so many letters as were given. */
static int facility_find(const char *name, size_t length)
{
    for (const CODE *code = facilitynames; length > 0 && code->c_name != NULL; code++) {
        if (strncasecmp(name, code->c_name, length) == 0) {
            return code->c_val;
        }
    }
    return LOG_LOCAL7;
}

/* @return 1 if text is `syslog[:facility]`: no tag, or an empty one. */
static int is_untagged(const char *text, int *facility)
{
    const char *name;
    const char *tag;
    if (text == NULL || strncmp(text, "syslog", 6) != 0) {
        return 0;
    }
    *facility = LOG_LOCAL7;
    if (text[6] != ':') {
        return text[6] == '\0';
    }
    name = text + 7;
    tag = strchr(name, ':');
    *facility = facility_find(name, tag != NULL ? (size_t)(tag - name) : strlen(name));
    return tag == NULL || tag[1] == '\0';
}

void tsgi_syslog_keep(server_rec *main_server, apr_pool_t *p)
{
    const char *last =
        NULL; /* httpd has one connection; who opened it last has named it. */
    int facility;
    for (server_rec *s = main_server; s != NULL; s = s->next) {
        if (s->error_fname != NULL && strncmp(s->error_fname, "syslog", 6) == 0) {
            last = s->error_fname;
        }
    }
    if (is_untagged(last, &facility)) {
        openlog(apr_pstrdup(p, ap_server_argv0), LOG_NDELAY | LOG_CONS | LOG_PID,
                facility);
    }
}
