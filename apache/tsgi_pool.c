/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_pool.h"

#include <pthread.h>
#include <stdlib.h>

/* A READY connection that nobody needed for so long is closed: peaks do not last. */
#define MAX_IDLE_TIME apr_time_from_sec(30)
#define COMPLAINT_INTERVAL apr_time_from_sec(10)
/* Buffers that one large head has grown are given back to the system. */
#define MAX_IDLE_BUFFER (64 * 1024)

struct tsgi_pool_t {
    pthread_mutex_t lock;
    tsgi_connection_t *newest, *oldest; /* READY */
    tsgi_connection_t *pending;         /* PENDING, linked by `older` */
    int ready, npending, max_idle;
    int is_closed;
    /* Below: written and read as relaxed atomics, with or without the lock. */
    int is_alive;
    apr_time_t penalty_end;
    apr_time_t served_at;
    apr_time_t next_probe, next_complaint;
    unsigned turn;
    tsgi_verdict_t verdict; /* has a lock of its own */
};

tsgi_pool_t *tsgi_pool_create(int max_idle)
{
    tsgi_pool_t *pool = calloc(1, sizeof(*pool));
    if (pool == NULL) {
        return NULL;
    }
    if (tsgi_verdict_init(&pool->verdict) != 0) {
        free(pool);
        return NULL;
    }
    if (pthread_mutex_init(&pool->lock, NULL) != 0) {
        free(pool);
        return NULL;
    }
    pool->max_idle = max_idle;
    return pool;
}

static void list_unlink(tsgi_pool_t *pool, tsgi_connection_t *connection)
{
    if (connection->newer != NULL) {
        connection->newer->older = connection->older;
    }
    else {
        pool->newest = connection->older;
    }
    if (connection->older != NULL) {
        connection->older->newer = connection->newer;
    }
    else {
        pool->oldest = connection->newer;
    }
    connection->newer = connection->older = NULL;
    __atomic_store_n(&pool->ready, pool->ready - 1, __ATOMIC_RELAXED);
}

static void list_push(tsgi_pool_t *pool, tsgi_connection_t *connection)
{
    connection->newer = NULL;
    connection->older = pool->newest;
    if (pool->newest != NULL) {
        pool->newest->newer = connection;
    }
    else {
        pool->oldest = connection;
    }
    pool->newest = connection;
    __atomic_store_n(&pool->ready, pool->ready + 1, __ATOMIC_RELAXED);
}

/* Closes a list that is linked by `older` and belongs to the caller. */
static void close_all(tsgi_connection_t *connection)
{
    while (connection != NULL) {
        tsgi_connection_t *next = connection->older;
        tsgi_connection_close(connection);
        connection = next;
    }
}

void tsgi_pool_close(tsgi_pool_t *pool)
{
    pthread_mutex_lock(&pool->lock);
    tsgi_connection_t *ready = pool->newest;
    tsgi_connection_t *pending = pool->pending;
    pool->newest = pool->oldest = pool->pending = NULL;
    __atomic_store_n(&pool->ready, 0, __ATOMIC_RELAXED);
    pool->npending = 0;
    pool->is_closed = 1;
    pthread_mutex_unlock(&pool->lock);
    close_all(ready);
    close_all(pending);
}

tsgi_connection_t *tsgi_pool_take(tsgi_pool_t *pool)
{
    pthread_mutex_lock(&pool->lock);
    tsgi_connection_t *connection = pool->newest;
    if (connection != NULL) {
        list_unlink(pool, connection);
    }
    pthread_mutex_unlock(&pool->lock);
    return connection;
}

void tsgi_pool_give(tsgi_pool_t *pool, tsgi_connection_t *connection, apr_time_t now)
{
    tsgi_connection_t *surplus = NULL;

    if (connection->in_size > MAX_IDLE_BUFFER || connection->out_size > MAX_IDLE_BUFFER) {
        tsgi_connection_close(connection);
        return;
    }
    connection->idle_since = now;
    pthread_mutex_lock(&pool->lock);
    if (pool->is_closed) {
        surplus = connection;
        surplus->older = NULL;
    }
    else {
        list_push(pool, connection);
        tsgi_connection_t *oldest = pool->oldest;
        if (pool->ready > pool->max_idle || now - oldest->idle_since > MAX_IDLE_TIME) {
            list_unlink(pool, oldest);
            surplus = oldest;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    tsgi_connection_close(surplus);
}

tsgi_connection_t *tsgi_pool_take_pending(tsgi_pool_t *pool)
{
    pthread_mutex_lock(&pool->lock);
    tsgi_connection_t *connection = pool->pending;
    if (connection != NULL) {
        pool->pending = connection->older;
        connection->older = NULL;
        pool->npending--;
    }
    pthread_mutex_unlock(&pool->lock);
    return connection;
}

void tsgi_pool_give_pending(tsgi_pool_t *pool, tsgi_connection_t *connection)
{
    pthread_mutex_lock(&pool->lock);
    const int is_kept = !pool->is_closed && pool->npending < pool->max_idle;
    if (is_kept) {
        connection->older = pool->pending;
        pool->pending = connection;
        pool->npending++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!is_kept) {
        tsgi_connection_close(connection);
    }
}

void tsgi_pool_forget(tsgi_pool_t *pool, uint32_t pid)
{
    tsgi_connection_t *forgotten = NULL;

    pthread_mutex_lock(&pool->lock);
    tsgi_connection_t *connection = pool->newest;
    while (connection != NULL) {
        tsgi_connection_t *next = connection->older;
        if (connection->pid == pid) {
            list_unlink(pool, connection);
            connection->older = forgotten;
            forgotten = connection;
        }
        connection = next;
    }
    pthread_mutex_unlock(&pool->lock);
    close_all(forgotten);
}

tsgi_verdict_t *tsgi_pool_verdict(tsgi_pool_t *pool)
{
    return &pool->verdict;
}

/* ---- hints -------------------------------------------------------------------------- */

tsgi_pool_hints_t tsgi_pool_hints(const tsgi_pool_t *pool, apr_time_t now)
{
    tsgi_pool_hints_t hints;
    hints.ready = __atomic_load_n(&pool->ready, __ATOMIC_RELAXED);
    hints.is_alive = __atomic_load_n(&pool->is_alive, __ATOMIC_RELAXED);
    hints.is_penalised = __atomic_load_n(&pool->penalty_end, __ATOMIC_RELAXED) > now;
    hints.served_at = __atomic_load_n(&pool->served_at, __ATOMIC_RELAXED);
    return hints;
}

void tsgi_pool_set_alive(tsgi_pool_t *pool, int is_alive)
{
    __atomic_store_n(&pool->is_alive, is_alive, __ATOMIC_RELAXED);
}

void tsgi_pool_note_sign(tsgi_pool_t *pool, apr_time_t now)
{
    __atomic_store_n(&pool->served_at, now, __ATOMIC_RELAXED);
}

void tsgi_pool_penalise(tsgi_pool_t *pool, apr_time_t now)
{
    __atomic_store_n(&pool->penalty_end, now + TSGI_PENALTY, __ATOMIC_RELAXED);
}

/* @return 1 for one thread only when *due has been reached. */
static int is_my_turn(apr_time_t *due, apr_time_t now, apr_time_t interval)
{
    apr_time_t next = __atomic_load_n(due, __ATOMIC_RELAXED);
    return next <= now && __atomic_compare_exchange_n(due, &next, now + interval, 0,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

int tsgi_pool_may_probe(tsgi_pool_t *pool, apr_time_t now, apr_time_t interval)
{
    return is_my_turn(&pool->next_probe, now, interval);
}

int tsgi_pool_may_complain(tsgi_pool_t *pool, apr_time_t now)
{
    return is_my_turn(&pool->next_complaint, now, COMPLAINT_INTERVAL);
}

unsigned tsgi_pool_turn(tsgi_pool_t *pool)
{
    return __atomic_fetch_add(&pool->turn, 1, __ATOMIC_RELAXED);
}
