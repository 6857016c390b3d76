/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_timer.h
 * A timer for the Apache parent, whose loop offers none finer than 10 s (ap_hook_monitor).
 *
 * It is a child process that sleeps and exits: httpd's loop reaps it within a second and calls us.
 * There is one at most, and only while something waits: a start after a back-off, the end of an old
 * generation, the end of a supervisor that was told to finish.
 */
#ifndef TSGI_TIMER_H
#define TSGI_TIMER_H

#include "apr_pools.h"
#include "apr_thread_proc.h"
#include "apr_time.h"

struct tsgi_process_t;

typedef struct {
    apr_proc_t child; /**< pid 0: none runs */
    apr_pool_t *pool; /**< of its registration */
    apr_time_t due;   /**< when it ends */
} tsgi_timer_t;

/**
 * Asks for tsgi_generation_tick() at `due`, or earlier. A timer that would end later is replaced.
 * If no process can be had, the monitor hook does the work within 10 s. Parent only.
 */
void tsgi_timer_arm(struct tsgi_process_t *process, apr_time_t due);

/** @return the earlier of two times of which 0 means never. */
apr_time_t tsgi_timer_earlier(apr_time_t one, apr_time_t other);

/** Ends the timer's process and reaps it. Parent only, on exit. */
void tsgi_timer_stop(struct tsgi_process_t *process);

#endif
