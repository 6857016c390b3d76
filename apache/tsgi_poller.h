/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_poller.h A thread that waits for many pairs of descriptors at once. Apache children only.
 *
 * Any thread gives it a watch; from then on the watch is the poller's, whose thread alone calls
 * watch->serve(), first of all at once. A watch's memory is its owner's and stays valid until serve()
 * says TSGI_WATCH_GONE. Nothing that serve() does may wait, or all watches of the poller wait with it.
 */
#ifndef TSGI_POLLER_H
#define TSGI_POLLER_H

#include "tsgi_clock.h"
#include "tsgi_module.h"

#include <poll.h>

/** What is to become of a watch that was served. */
typedef enum {
    TSGI_WATCH_WAIT,  /**< until what fds ask for, or the deadline */
    TSGI_WATCH_AGAIN, /**< serve it again, others first */
    TSGI_WATCH_GONE   /**< nothing refers to it any more */
} tsgi_watch_result_t;

typedef struct tsgi_poller_t tsgi_poller_t;
typedef struct tsgi_watch_t tsgi_watch_t;

struct tsgi_watch_t {
    tsgi_watch_result_t (*serve)(tsgi_watch_t *watch);
    /** serve() sets fd (-1 = none) and events, and finds in revents what has happened since */
    struct pollfd fds[2];
    apr_time_t
        deadline; /**< tsgi_clock_now(): when it is served though nothing happened; 0 = never */
    int error; /**< errno, 0 = none: the kernel does not watch one of fds */
    /* The poller's: */
    struct pollfd known[2];       /**< what the kernel has been asked for */
    tsgi_watch_t *next;           /**< of those to be served, or to be taken in */
    int is_ready;                 /**< it is one of those */
    tsgi_watch_t *newer, *older;  /**< of all */
    tsgi_watch_t *sooner, *later; /**< of those with a deadline, in no order */
    int is_timed;
};

/**
 * Starts the thread.
 * @param pool for it alone; nobody else uses it at this time
 * @param tick called by its thread once a second while tsgi_poller_tick() asks for it;
 *        @return 1 to have all watches served
 * @return APR_SUCCESS, or why not
 */
apr_status_t tsgi_poller_start(apr_pool_t *pool, int (*tick)(void *data), void *data,
                               tsgi_poller_t **result);
/** Ends the thread, and waits for its end; watches are left as they are. */
void tsgi_poller_stop(tsgi_poller_t *poller);
/** From now on there are ticks. Any thread. */
void tsgi_poller_tick(tsgi_poller_t *poller);
/** Gives it a watch, whose serve, fds and deadline are set. Any thread. */
void tsgi_poller_add(tsgi_poller_t *poller, tsgi_watch_t *watch);
/**
 * serve() only, before it closes a descriptor or gives it away: the kernel is asked for nothing any
 * more; fds are -1, the deadline is 0.
 */
void tsgi_poller_forget(tsgi_poller_t *poller, tsgi_watch_t *watch);
/** serve() only, before it says TSGI_WATCH_GONE: the same, and nothing refers to it any more. */
void tsgi_poller_remove(tsgi_poller_t *poller, tsgi_watch_t *watch);

#endif
