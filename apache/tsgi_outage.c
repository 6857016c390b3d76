/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_outage.h"

/* A child may see one half of a change: each half alone says something true enough. */
void tsgi_outage_begin(tsgi_outage_t *outage, unsigned code, apr_time_t retry_at)
{
    __atomic_store_n(&outage->retry_at, retry_at, __ATOMIC_RELAXED);
    __atomic_store_n(&outage->code, code, __ATOMIC_RELEASE);
}

void tsgi_outage_end(tsgi_outage_t *outage)
{
    __atomic_store_n(&outage->code, 0, __ATOMIC_RELEASE);
}

unsigned tsgi_outage_get(const tsgi_outage_t *outage, apr_time_t *retry_at)
{
    unsigned code = __atomic_load_n(&outage->code, __ATOMIC_ACQUIRE);
    *retry_at = __atomic_load_n(&outage->retry_at, __ATOMIC_RELAXED);
    return code;
}
