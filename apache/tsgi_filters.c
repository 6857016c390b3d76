/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_filters.h"

#include <string.h>

/*
 * mod_reqtimeout and mod_logio count: what goes by the latter is missing in %I and %O
 * (docs/websockets.md). The module's own looks at heads, read by lines, and at nothing else.
 */
static const char *const harmless[] = {"core_in", "core", "reqtimeout", "tsgi_record",
                                       "log_input_output"};

int tsgi_filters_are_harmless(const ap_filter_t *filter)
{
    for (; filter != NULL; filter = filter->next) {
        size_t i = 0;
        while (i < sizeof(harmless) / sizeof(harmless[0]) &&
               strcmp(filter->frec->name, harmless[i]) != 0) {
            i++;
        }
        if (i == sizeof(harmless) / sizeof(harmless[0])) {
            return 0;
        }
    }
    return 1;
}
