/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_outage.h"
#include "tsgi_supervisor.h"

/* More than httpd's loop takes to notice that a child has ended. */
#define TRIAL apr_time_from_sec(2)

/* A child may see one half of a change: each half alone says something true enough. */
void tsgi_outage_begin(tsgi_supervisor_t *supervisor, unsigned code)
{
    tsgi_outage_t *outage = supervisor->generation->outage;
    __atomic_store_n(&outage->retry_at, supervisor->due, __ATOMIC_RELAXED);
    __atomic_store_n(&outage->code, code, __ATOMIC_RELEASE);
    supervisor->is_out = 1;
}

void tsgi_outage_end(tsgi_supervisor_t *supervisor)
{
    __atomic_store_n(&supervisor->generation->outage->code, 0, __ATOMIC_RELEASE);
    supervisor->is_out = 0;
}

apr_time_t tsgi_outage_tick(tsgi_supervisor_t *supervisor, apr_time_t now)
{
    apr_time_t trial_end = supervisor->started + TRIAL;
    if (!supervisor->is_out || supervisor->child.pid == 0) {
        return 0;
    }
    if (now < trial_end) {
        return trial_end;
    }
    tsgi_outage_end(supervisor);
    return 0;
}

unsigned tsgi_outage_get(const tsgi_outage_t *outage, apr_time_t *retry_at)
{
    unsigned code = __atomic_load_n(&outage->code, __ATOMIC_ACQUIRE);
    *retry_at = __atomic_load_n(&outage->retry_at, __ATOMIC_RELAXED);
    return code;
}
