/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_rows.h"
#include "tsgi_clock.h"

#include "apr_strings.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *tsgi_rows_create(apr_pool_t *p, tsgi_rows_t *rows, int count,
                             apr_size_t columns)
{
    const apr_size_t words = 1 + (apr_size_t)count;
    const apr_size_t offset = APR_ALIGN(
        sizeof(apr_int64_t) + words * sizeof(apr_uint32_t), (apr_size_t)TSGI_CACHE_LINE);
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
    rows->looked_at = (apr_int64_t *)(void *)memory;
    rows->used = (apr_uint32_t *)(void *)(memory + sizeof(apr_int64_t));
    rows->owner = rows->used + 1;
    rows->columns = memory + offset;
    return NULL;
}

void tsgi_rows_destroy(tsgi_rows_t *rows)
{
    if (rows->size != 0) {
        (void)munmap(rows->looked_at, rows->size);
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

/*
 * Who changes the owner of a row has it: parent and children may both find that it has died, and a
 * new child claims it as soon as it is free. Should that process die in the middle, the row is one of
 * its own for whoever releases those.
 */
static int give_back(tsgi_rows_t *rows, int row, apr_uint32_t owner,
                     tsgi_rows_clear_t clear, void *baton)
{
    if (!__atomic_compare_exchange_n(&rows->owner[row], &owner, (apr_uint32_t)getpid(), 0,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        return 0;
    }
    clear(baton, row);
    __atomic_store_n(&rows->owner[row], 0, __ATOMIC_RELEASE);
    return 1;
}

void tsgi_rows_release(tsgi_rows_t *rows, pid_t pid, tsgi_rows_clear_t clear, void *owner)
{
    const int used = (int)tsgi_rows_used(rows);
    for (int row = 0; row < used; row++) {
        (void)give_back(rows, row, (apr_uint32_t)pid, clear, owner);
    }
}

/* Also of a process that is a zombie: its parent has not asked for it yet. */
static int has_ended(apr_uint32_t pid)
{
    struct pollfd ended = {.events = POLLIN};
    ended.fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (ended.fd < 0) {
        return errno == ESRCH;
    }
    const int rc = poll(&ended, 1, 0);
    close(ended.fd);
    return rc == 1 && (ended.revents & POLLIN) != 0;
}

int tsgi_rows_bury(tsgi_rows_t *rows, tsgi_rows_clear_t clear, void *owner)
{
    const apr_uint32_t self = (apr_uint32_t)getpid();
    const int used = (int)tsgi_rows_used(rows);
    const apr_time_t now = tsgi_clock_now();
    apr_int64_t looked_at = __atomic_load_n(rows->looked_at, __ATOMIC_RELAXED);
    int is_any = 0;

    if ((apr_uint64_t)now - (apr_uint64_t)looked_at < TSGI_ROWS_LOOK ||
        !__atomic_compare_exchange_n(rows->looked_at, &looked_at, now, 0,
                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        return 0;
    }
    for (int row = 0; row < used; row++) {
        const apr_uint32_t pid = __atomic_load_n(&rows->owner[row], __ATOMIC_ACQUIRE);
        if (pid != 0 && pid != self && has_ended(pid)) {
            is_any |= give_back(rows, row, pid, clear, owner);
        }
    }
    return is_any;
}
