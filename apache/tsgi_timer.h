/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_timer.h
 * A timer for the Apache parent, whose loop offers none finer than 10 s (ap_hook_monitor).
 *
 * It is a child process that sleeps and exits: httpd's loop reaps it within a second and calls us.
 * There is one at most, and only while a supervisor waits for its next start.
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

/** Ends the timer's process and reaps it. Parent only, on exit. */
void tsgi_timer_stop(struct tsgi_process_t *process);

#endif
