/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_rows.h"

#include "apr_strings.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char *tsgi_rows_create(apr_pool_t *p, tsgi_rows_t *rows, int count,
                             apr_size_t columns)
{
    const apr_size_t words = 1 + (apr_size_t)count;
    const apr_size_t offset =
        APR_ALIGN(words * sizeof(apr_uint32_t), (apr_size_t)TSGI_CACHE_LINE);
    char *memory = mmap(NULL, offset + columns, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    memset(rows, 0, sizeof(*rows));
    if (memory == MAP_FAILED) {
        return apr_psprintf(
            p,
            TSGI_LOGNO(0054) "no shared memory for %" APR_SIZE_T_FMT
                             " bytes of load counters: %s; lower ServerLimit "
                             "or processes=, or give the machine more memory",
            offset + columns, strerror(errno));
    }
    rows->count = count;
    rows->size = offset + columns;
    rows->used = (apr_uint32_t *)(void *)memory;
    rows->owner = rows->used + 1;
    rows->columns = memory + offset;
    return NULL;
}

void tsgi_rows_destroy(tsgi_rows_t *rows)
{
    if (rows->size != 0) {
        (void)munmap(rows->used, rows->size);
        rows->size = 0;
    }
}

/* "used" only grows: the largest row that was ever claimed, plus one. */
static void note_used(tsgi_rows_t *rows, apr_uint32_t used)
{
    apr_uint32_t now = __atomic_load_n(rows->used, __ATOMIC_RELAXED);
    while (now < used &&
           !__atomic_compare_exchange_n(rows->used, &now, used, 0, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED)) {
        /* now holds the new value */
    }
}

int tsgi_rows_claim(tsgi_rows_t *rows)
{
    const apr_uint32_t pid = (apr_uint32_t)getpid();
    for (int row = 0; row < rows->count; row++) {
        apr_uint32_t nobody = 0;
        if (__atomic_compare_exchange_n(&rows->owner[row], &nobody, pid, 0,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            note_used(rows, (apr_uint32_t)row + 1);
            return row;
        }
    }
    return -1;
}

int tsgi_rows_find(const tsgi_rows_t *rows, pid_t pid, int from)
{
    const int used = (int)tsgi_rows_used(rows);
    for (int row = from; row < used; row++) {
        if (__atomic_load_n(&rows->owner[row], __ATOMIC_ACQUIRE) == (apr_uint32_t)pid) {
            return row;
        }
    }
    return -1;
}

void tsgi_rows_free(tsgi_rows_t *rows, int row)
{
    __atomic_store_n(&rows->owner[row], 0, __ATOMIC_RELEASE);
}
