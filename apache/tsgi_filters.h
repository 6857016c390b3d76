/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_filters.h Which filters of a connection may be gone by. The request's thread.
 */
#ifndef TSGI_FILTERS_H
#define TSGI_FILTERS_H

#include "tsgi_module.h"
#include "util_filter.h"

/**
 * Whether all filters from this one to the network's end neither change the client's bytes nor look at
 * them: no more than their number is anything to them.
 */
int tsgi_filters_are_harmless(const ap_filter_t *filter);

#endif
