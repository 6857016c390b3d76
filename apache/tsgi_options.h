/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_options.h
 * Options written as `name=value …` behind a directive: one table says what there is, one parser reads
 * them. Apache's parent, while the configuration is read; allocates from the pool it is given.
 */
#ifndef TSGI_OPTIONS_H
#define TSGI_OPTIONS_H

#include "tsgi_config.h"

/** How a value is written and which member it fills. */
typedef enum {
    TSGI_OPTION_INT, /**< apr_int64_t */
    TSGI_OPTION_DURATION, /**< apr_int64_t, milliseconds; written with ms, s, m or h, plain = s */
    TSGI_OPTION_SIZE,   /**< apr_int64_t, bytes; written with K, M or G, plain = bytes */
    TSGI_OPTION_FLAG,   /**< apr_int64_t, 1 = on */
    TSGI_OPTION_ENUM,   /**< apr_int64_t, the place in `choices` */
    TSGI_OPTION_OCTAL,  /**< apr_int64_t */
    TSGI_OPTION_STRING, /**< const char *, may be empty */
    TSGI_OPTION_NAME, /**< const char *, a user, a group …: not empty, printable, no blanks */
    TSGI_OPTION_PATH, /**< const char *, made absolute with ServerRoot */
    TSGI_OPTION_LIST, /**< apr_array_header_t * of const char *: each occurrence adds one */
    TSGI_OPTION_WORDS /**< the same, but the value is split into words as a shell would */
} tsgi_option_type_t;

/** One option. The table ends with a row whose name is NULL. */
typedef struct {
    const char *name;
    tsgi_option_type_t type;
    apr_size_t offset;    /**< of the member; two names with one offset are synonyms */
    apr_int64_t min, max; /**< numbers only: milliseconds, bytes, or as they are */
    const char *fallback; /**< the default as one would write it; NULL: unset */
    const char *unit;     /**< what a number counts, for the manual; NULL otherwise */
    const char *choices;  /**< TSGI_OPTION_ENUM: "one|other" */
    /** More to ask of a value: NULL if it is good, else what is expected ("an absolute path"). */
    const char *(*check)(apr_pool_t *p, const char *value);
    const char *help;
} tsgi_option_row_t;

/** The options of TSGIDaemonProcess; they fill a tsgi_options_t. */
extern const tsgi_option_row_t tsgi_group_options[];

/** Fills the structure at base with the table's defaults (unset: TSGI_UNSET, NULL, an empty list). */
void tsgi_options_init(apr_pool_t *p, const tsgi_option_row_t *rows, void *base);

/**
 * Reads `name=value name="a value" …`, quoted as everywhere in httpd, into the structure at base.
 * @return NULL, or an English sentence: which option, what was expected, what came
 */
const char *tsgi_options_parse(apr_pool_t *p, const tsgi_option_row_t *rows,
                               const char *line, void *base);

/** @return NULL if it can name a process group, else what is expected of such a name. */
const char *tsgi_options_check_group_name(const char *name);

#endif
