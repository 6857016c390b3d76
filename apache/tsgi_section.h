/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_section.h
 * What a setting in a <Location>, <Directory> or other section can mean for the requests of an alias,
 * as far as it can be told while the configuration is read. Where the answer is certain, the
 * workers of a script can start with Apache although a section names their group.
 */
#ifndef TSGI_SECTION_H
#define TSGI_SECTION_H

#include "tsgi_config.h"

typedef enum {
    TSGI_SCOPE_NEVER, /**< no request of the alias is in the section */
    TSGI_SCOPE_SOME,  /**< some may be */
    TSGI_SCOPE_ALL    /**< each is */
} tsgi_scope_t;

/** One setting of TSGIProcessGroup or TSGIApplicationGroup in a section. */
typedef struct {
    const char *value;
    enum { TSGI_SECTION_LOCATION, TSGI_SECTION_DIRECTORY, TSGI_SECTION_OTHER } kind;
    const char *path; /**< of a location or directory without wildcards; NULL for OTHER */
} tsgi_override_t;

/** Called by a setter inside of a section; allocates from cmd->pool. */
tsgi_override_t *tsgi_section_override(cmd_parms *cmd, const char *value);

/** The requests of the alias that the section applies to. */
tsgi_scope_t tsgi_section_scope(const tsgi_override_t *override,
                                const tsgi_alias_t *alias);

/**
 * The values that a setting can have for the requests of an alias: what stands at the server (NULL if
 * nothing does), unless a section applies to all of them, and what sections say.
 * @param overrides of tsgi_override_t *
 * @return const char *; without repetitions, at least one
 */
apr_array_header_t *tsgi_section_values(apr_pool_t *p, const char *of_server,
                                        const apr_array_header_t *overrides,
                                        const tsgi_alias_t *alias);

#endif
