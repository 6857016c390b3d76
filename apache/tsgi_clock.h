/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_clock.h The clock of every duration: deadlines, back-off, hints. Unlike apr_time_now()
 * it does not jump when somebody sets the machine's date. Any process, any thread; no system call
 * where the kernel has a vDSO; async-signal-safe.
 */
#ifndef TSGI_CLOCK_H
#define TSGI_CLOCK_H

#include "apr_time.h"

#include <time.h>

/**
 * Microseconds since some moment in the past, the same for all processes of the machine; never 0 and
 * never less than before. Compared with other values of this function only, never with a date.
 */
static inline apr_time_t tsgi_clock_now(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC,
                        &now); /* Cannot fail with a clock that exists. */
    return (apr_time_t)now.tv_sec * APR_USEC_PER_SEC + now.tv_nsec / 1000;
}

#endif
