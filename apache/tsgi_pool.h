/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_pool.h The connections of one Apache child to one slot that no request uses
 * now.
 *
 * READY ones have said HELLO, the last used first; PENDING ones are connected and wait
 * for it. Any thread of the child may call every function; the lock is held for a few
 * instructions only, never while something waits. Made at child_init, lives until the
 * process ends.
 */
#ifndef TSGI_POOL_H
#define TSGI_POOL_H

#include "tsgi_connection.h"
#include "tsgi_inquest.h"

/** How long a slot that refused or hung up is no candidate while there are others. */
#define TSGI_PENALTY (100 * 1000)

/** max_idle: most READY connections kept. @return NULL if there is no memory. */
tsgi_pool_t *tsgi_pool_create(int max_idle);
/**
 * Closes what is idle, now and whenever something is given back. The pool itself stays.
 */
void tsgi_pool_close(tsgi_pool_t *pool);

/** A connection that has said HELLO, or NULL. The caller owns it. */
tsgi_connection_t *tsgi_pool_take(tsgi_pool_t *pool);
/**
 * Gives a connection back that may be used again at once. now: about the current time.
 */
void tsgi_pool_give(tsgi_pool_t *pool, tsgi_connection_t *connection, apr_time_t now);
/** A connection whose HELLO has not come, or NULL. The caller owns it. */
tsgi_connection_t *tsgi_pool_take_pending(tsgi_pool_t *pool);
void tsgi_pool_give_pending(tsgi_pool_t *pool, tsgi_connection_t *connection);
/**
 * Closes the idle connections to one worker. A process that ends closes its sockets one
 * by one, and late: what is written to them meanwhile is lost, and would use up the tries
 * of a request.
 */
void tsgi_pool_forget(tsgi_pool_t *pool, uint32_t pid);

/** What is known about the death of the slot's last worker; see tsgi_inquest.h. */
tsgi_verdict_t *tsgi_pool_verdict(tsgi_pool_t *pool);

/** Hints for the choice of a slot: read without the lock, may be a moment old. */
typedef struct {
    int ready;    /**< READY connections */
    int is_alive; /**< the last thing heard from the slot was not its end */
    int is_penalised;
    apr_time_t served_at; /**< when it last answered a request or greeted, 0 = never */
} tsgi_pool_hints_t;
tsgi_pool_hints_t tsgi_pool_hints(const tsgi_pool_t *pool, apr_time_t now);
/** The slot has said HELLO, or has turned out to be away. */
void tsgi_pool_set_alive(tsgi_pool_t *pool, int is_alive);
/** The slot has just shown that it is awake. */
void tsgi_pool_note_sign(tsgi_pool_t *pool, apr_time_t now);
void tsgi_pool_penalise(tsgi_pool_t *pool, apr_time_t now);
/**
 * @return 1 once per `interval` for all threads together: whose turn it is to look at a
 * silent slot.
 */
int tsgi_pool_may_probe(tsgi_pool_t *pool, apr_time_t now, apr_time_t interval);
/** @return 1 once in 10 s: a complaint about the slot is worth a line in the log. */
int tsgi_pool_may_complain(tsgi_pool_t *pool, apr_time_t now);
/** A number that is different at every call, to spread equal loads. */
unsigned tsgi_pool_turn(tsgi_pool_t *pool);

#endif
