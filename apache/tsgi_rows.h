/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_rows.h Memory that Apache's children share, with a row for each of them: a child
 * writes its own row only, and the parent clears the rows of those that have gone, however they
 * went. httpd's parent looks for its dead once a second; who would refuse a request for what they
 * hold looks itself, tsgi_rows_bury(). What the columns mean is the owner's affair (load counters,
 * places).
 *
 * Made by the parent, inherited by fork. Children can write to all of it, and the parent is root:
 * it follows no number out of this memory before it has been compared with the size of the map.
 */
#ifndef TSGI_ROWS_H
#define TSGI_ROWS_H

#include "tsgi_module.h"

#include "apr_pools.h"

#include <sys/types.h>

typedef struct {
    int count;
    apr_int64_t
        *looked_at;      /**< tsgi_clock_now() when somebody last looked for the dead */
    apr_uint32_t *used;  /**< rows that were ever claimed: no need to look beyond */
    apr_uint32_t *owner; /**< [count]: pid of the child that has the row, 0 = free */
    void *columns;       /**< the owner's, zeroed, at the begin of a cache line */
    apr_size_t size;     /**< of the mapping that begins at looked_at; 0 = none */
} tsgi_rows_t;

/** Sets what the columns hold for a row to nothing; the row is the caller's meanwhile. */
typedef void (*tsgi_rows_clear_t)(void *owner, int row);

/** Size of a cache line, or a multiple of it. */
#define TSGI_CACHE_LINE 64
/** How often tsgi_rows_bury() looks, in microseconds. */
#define TSGI_ROWS_LOOK (20 * 1000)

/**
 * Parent: maps the rows and `columns` bytes for the owner.
 * @return NULL, or what is wrong (id, sentence, remedy), from p
 */
const char *tsgi_rows_create(apr_pool_t *p, tsgi_rows_t *rows, int count,
                             apr_size_t columns);
/** Parent: nobody uses them any more. Does nothing if there are none. */
void tsgi_rows_destroy(tsgi_rows_t *rows);
/** child_init: @return the row of the calling process from now on, −1 if all are taken. */
int tsgi_rows_claim(tsgi_rows_t *rows);
/**
 * Parent: clears and frees the rows of the child `pid`, which has gone.
 * @param owner what clear is called with
 */
void tsgi_rows_release(tsgi_rows_t *rows, pid_t pid, tsgi_rows_clear_t clear,
                       void *owner);
/**
 * A child that lacks what others hold: does the same for those that have died and that the parent
 * has not found yet. Looks every TSGI_ROWS_LOOK only, whoever calls. Without pidfd_open(2)
 * (Linux 5.3) nobody is found.
 * @return 1 if a row has become free
 */
int tsgi_rows_bury(tsgi_rows_t *rows, tsgi_rows_clear_t clear, void *owner);

/** How many rows are worth a look; never more than count. Any process. */
static inline apr_uint32_t tsgi_rows_used(const tsgi_rows_t *rows)
{
    const apr_uint32_t used = __atomic_load_n(rows->used, __ATOMIC_RELAXED);
    return used < (apr_uint32_t)rows->count ? used : (apr_uint32_t)rows->count;
}

#endif
