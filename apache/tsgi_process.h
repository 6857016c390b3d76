/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_process.h
 * The one state of the Apache parent: everything of ours that outlives a configuration.
 *
 * It lives in s->process->pool. The pointer is a static of the module, which stays mapped over
 * restarts (linked with -z nodelete). Children inherit it by fork and only read it; what is the
 * parent's (command sockets, listening sockets) is closed in every process that is forked from it.
 */
#ifndef TSGI_PROCESS_H
#define TSGI_PROCESS_H

#include "tsgi_generation.h"
#include "tsgi_log.h"
#include "tsgi_timer.h"
#include "apr_thread_proc.h"

typedef struct tsgi_relay_t tsgi_relay_t; /* tsgi_relay.c */

/** Living Apache children of one httpd generation. */
typedef struct {
    ap_generation_t generation;
    int count;
} tsgi_children_t;

/** What builds of the module know of each other. */
typedef struct tsgi_build_t tsgi_build_t;

typedef struct tsgi_process_t {
    apr_pool_t *pool;      /**< s->process->pool */
    pid_t pid;             /**< of the Apache parent */
    const char *directory; /**< where mod_tsgi.so, supervisor.cjs and the rest lie */
    tsgi_generation_t *generations; /**< all that are not freed yet, newest first */
    apr_array_header_t *children;   /**< tsgi_children_t */
    tsgi_build_t *build;            /**< this one */
    tsgi_log_t log;
    tsgi_timer_t timer;
    tsgi_relay_t *relay;    /**< child only; NULL = there is none */
    apr_time_t shutdown_at; /**< when all supervisors were told to end; 0 = not yet */
} tsgi_process_t;

/** @return the state, or NULL before the first post_config. Any process. */
tsgi_process_t *tsgi_process_get(void);

/**
 * Makes the state, or finds it again after a restart. Another build of the module that ran meanwhile
 * retires. Parent, post_config only.
 * @return NULL after a message if the module's own files cannot be found.
 */
tsgi_process_t *tsgi_process_open(server_rec *s);

/** child_status, for the builds of the module that this one has taken over from. */
void tsgi_process_tell_formers(const tsgi_process_t *process, pid_t pid,
                               ap_generation_t generation, int is_started);

/** @return 1 in the Apache parent (and in the one process of `httpd -X`), 0 in what it forked. */
int tsgi_process_is_parent(const tsgi_process_t *process);

/** @return 1 while httpd stops or restarts: nothing is to be started from a callback then. */
int tsgi_process_is_stopping(void);

/**
 * @return 1 once it is certain that httpd exits: tsgi_process_is_stopping(), and it is no restart.
 * It is known as soon as httpd begins to end its children, long before its pools are destroyed.
 */
int tsgi_process_is_exiting(void);

/** @return httpd's own generation number: each restart increments it. */
ap_generation_t tsgi_process_generation(void);

/**
 * @return the most Apache children there can be at once, with those that finish after a graceful
 * restart; a few more may be (old children that live on for long). When the MPM is configured.
 */
int tsgi_process_most_children(void);
/** @return how many threads of the MPM serve at most: MaxRequestWorkers. */
int tsgi_process_most_threads(void);

/** child_status: counts an Apache child in or out. */
void tsgi_process_count(tsgi_process_t *process, ap_generation_t generation, int change);

/** @return 1 if Apache children of httpd generations before `generation` are still alive. */
int tsgi_process_has_older(const tsgi_process_t *process, ap_generation_t generation);

/**
 * Registers a child process of ours with httpd's parent loop, which reaps it and calls `died` with
 * APR_OC_REASON_DEATH (or LOST). *pool is a subpool of `parent` for the registration: made here, the
 * one of the process before it (if *pool is not NULL) destroyed.
 */
void tsgi_process_watch(apr_pool_t *parent, apr_proc_t *child, apr_pool_t **pool,
                        void (*died)(int reason, void *data, int status), void *data);

/**
 * The soft limit of open files, raised up to the hard one when `needed` more may not fit.
 * @return 1 if they fit; else 0 and *limit is what there is.
 */
int tsgi_process_reserve(int needed, int *limit);

#endif
