/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_supervisor.h
 * The supervisor of a generation as the Apache parent sees it: start, commands, death, new start.
 *
 * All functions are the parent's, main thread, unless they say otherwise. What they need has been
 * copied into the generation's pool when it was made: no configuration is needed to start again.
 */
#ifndef TSGI_SUPERVISOR_H
#define TSGI_SUPERVISOR_H

#include "tsgi_command.h"
#include "tsgi_generation.h"
#include "tsgi_process.h"
#include "tsgi_spawn.h"

typedef struct tsgi_supervisor_t {
    tsgi_generation_t *generation;
    tsgi_process_t *process;
    tsgi_spawn_t spec;
    tsgi_message_t group_message;                   /**< the first message: `group` */
    apr_int64_t eviction_timeout, shutdown_timeout; /**< ms */
    int log_read, log_write;                        /**< the group's log pipe */
    tsgi_spawn_failure_t *failure;

    apr_proc_t child;       /**< pid 0: none runs */
    apr_pool_t *watch_pool; /**< of its registration */
    int command_fd;         /**< −1: none */
    apr_time_t started;
    apr_time_t due; /**< start it then; 0 = not planned */
    int is_out;     /**< an outage is on; the shared memory is for the children only */
    apr_time_t kill_at; /**< it was told to finish: SIGKILL then; 0 = it was not told */
    int is_successor;   /**< one of this generation has run before it */
    int quick_deaths;   /**< in a row, each within 10 s of its start */
} tsgi_supervisor_t;

/**
 * Prepares the supervisor of a new generation: log pipe, secret, messages, how it is spawned.
 * Everything is released with generation->pool.
 * @return NULL, or what is wrong (id, sentence, remedy), from p
 */
const char *tsgi_supervisor_create(apr_pool_t *p, tsgi_process_t *process,
                                   tsgi_generation_t *generation,
                                   const tsgi_group_t *group);

/** Starts it and sends it everything; a failure is logged and tried again after a back-off. */
void tsgi_supervisor_start(tsgi_supervisor_t *supervisor);

/** Sends the list of application groups, if it runs; it has changed. */
void tsgi_supervisor_send_apps(tsgi_supervisor_t *supervisor);

/** Tells it to finish what is in hand and to exit; it is killed when that takes too long. */
void tsgi_supervisor_drain(tsgi_supervisor_t *supervisor);

/** Does what is due. @return when it has to be called again, 0 = never. */
apr_time_t tsgi_supervisor_tick(tsgi_supervisor_t *supervisor, apr_time_t now);

/** On exit of httpd: `shutdown` to all, waits for them, kills what is left. */
void tsgi_supervisor_shutdown_all(tsgi_process_t *process);

/** In a child of fork(): closes the command socket. Async-signal-safe; NULL does nothing. */
void tsgi_supervisor_forget(tsgi_supervisor_t *supervisor);

/** child_init: closes what else a child of Apache has no use for (the log pipe). */
void tsgi_supervisor_leave(tsgi_supervisor_t *supervisor);

/** When to try again after the nth death in a row: at once, then 200 ms, 400 ms … 30 s. */
apr_interval_time_t tsgi_supervisor_backoff(int deaths);

/** How a child ended, in words, from p. status is what httpd's MPMs pass on (see the .c file). */
const char *tsgi_supervisor_how(apr_pool_t *p, int status);

/**
 * Walks over all generations: starts, drains, kills and frees what is due, arms the timer.
 * Parent, not while httpd stops or restarts. Implemented in tsgi_generation.c.
 */
void tsgi_generation_tick(tsgi_process_t *process);
/** Another build of the module has taken over: as if no configuration named any of them. */
void tsgi_generation_retire_all(tsgi_process_t *process);

#endif
