/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_places.h How many of Apache's threads one process group may hold at once, over all
 * children: `apache-threads`. A group that hangs keeps so many and no more, and what it leaves
 * serves files and other groups.
 *
 * A thread that finds no place waits for one, in the order of arrival, so that a burst on a group
 * that makes progress is smoothed out, not refused. It does so only where it is likely to get one
 * within TSGI_PLACES_ROUNDS times TSGI_PLACES_PATIENCE: no more may wait than places are left in that
 * time, as far as the last patience tells. Of a group that hangs none was left, so it holds no thread
 * beyond its places. Whoever waits asks the same question again after each round.
 *
 * Threads of HTTP/2 (connections with a master) are not the MPM's: they have places of their own, as
 * many again.
 */
#ifndef TSGI_PLACES_H
#define TSGI_PLACES_H

#include "tsgi_rows.h"

/** How long one waits for a place before asking whether to go on, and how often, at most. */
#define TSGI_PLACES_PATIENCE (40 * 1000)
#define TSGI_PLACES_ROUNDS 5

typedef enum { TSGI_PLACES_MPM, TSGI_PLACES_H2, TSGI_PLACES_KINDS } tsgi_places_kind_t;

/** Shared by the children: what those who find no place need to know. */
typedef struct {
    apr_uint32_t bell;    /**< futex: 0 = nobody sleeps; 1 = somebody may, wake one */
    apr_uint32_t allowed; /**< how many may wait */
    apr_uint32_t rate;    /**< places left in one patience; 0 = not known */
    apr_uint32_t before;  /**< places left until `since` */
    apr_int64_t since;    /**< tsgi_clock_now() when these were found; 0 = never */
} __attribute__((aligned(TSGI_CACHE_LINE))) tsgi_places_door_t;

typedef struct {
    tsgi_places_door_t *door;
    apr_uint64_t *counts; /**< [rows.count]: see tsgi_places.c */
    apr_uint64_t *mine;   /**< child only: the own one of them, or `spare` */
    apr_uint64_t spare;   /**< child only: of a child that found no free row */
} tsgi_places_room_t;

typedef struct {
    tsgi_rows_t rows;
    apr_uint32_t limit; /**< places of each kind; the parent sets it before it forks */
    tsgi_places_room_t rooms[TSGI_PLACES_KINDS];
} tsgi_places_t;

/**
 * Parent: maps the counters for so many children.
 * @return NULL, or what is wrong (id, sentence, remedy), from p
 */
const char *tsgi_places_create(apr_pool_t *p, tsgi_places_t *places, int children);
/** Parent: nobody uses them any more. Does nothing if there are none. */
void tsgi_places_destroy(tsgi_places_t *places);
/** child_init: the calling process counts from now on. */
void tsgi_places_claim(tsgi_places_t *places);
/** Parent: the child `pid` has gone, with all places it held. */
void tsgi_places_release(tsgi_places_t *places, pid_t pid);

/**
 * Takes a place for the calling thread; may wait for one. Any thread of a child.
 * @return 1, then tsgi_places_leave() gives it back; or 0: the group holds as many as it may.
 */
int tsgi_places_enter(tsgi_places_t *places, tsgi_places_kind_t kind);
void tsgi_places_leave(tsgi_places_t *places, tsgi_places_kind_t kind);

#endif
