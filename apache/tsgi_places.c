/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_places.h"
#include "tsgi_clock.h"

#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * One word for each child, which that child alone changes, in one atomic step: threads that hold a
 * place (16 bits), threads that wait for one (16 bits), and places left so far (32 bits, modulo).
 */
#define HELD ((apr_uint64_t)1)
#define WAITING ((apr_uint64_t)1 << 16)
#define LEFT ((apr_uint64_t)1 << 32)
#define FIELD_MASK 0xffffu

typedef struct {
    apr_uint32_t held, waiting, left;
} sums_t;

/* ---- counting ----------------------------------------------------------------------- */

static void sums_add(sums_t *sums, const apr_uint64_t *count)
{
    const apr_uint64_t word = __atomic_load_n(count, __ATOMIC_SEQ_CST);
    sums->held += (apr_uint32_t)word & FIELD_MASK;
    sums->waiting += (apr_uint32_t)(word / WAITING) & FIELD_MASK;
    sums->left += (apr_uint32_t)(word / LEFT);
}

static sums_t look(const tsgi_places_t *places, const tsgi_places_room_t *room)
{
    const apr_uint32_t rows = tsgi_rows_used(&places->rows);
    sums_t sums = {0, 0, 0};
    for (apr_uint32_t row = 0; row < rows; row++) {
        sums_add(&sums, &room->counts[row]);
    }
    if (room->mine == &room->spare) {
        sums_add(&sums, room->mine);
    }
    return sums;
}

static void count(tsgi_places_room_t *room, apr_uint64_t change)
{
    __atomic_fetch_add(room->mine, change, __ATOMIC_SEQ_CST);
}

/* ---- the bell ----------------------------------------------------------------------- */

static long wake(tsgi_places_door_t *door, int threads)
{
    return syscall(SYS_futex, &door->bell, FUTEX_WAKE, threads, NULL, NULL, 0);
}

/*
 * A place has become free: it is that of the first who sleeps. Costs a system call only if somebody
 * waits. If nobody sleeps the bell goes back to 0, which keeps those awake who were about to; and
 * whoever fell asleep meanwhile is woken after all.
 */
static void ring(tsgi_places_door_t *door)
{
    if (__atomic_load_n(&door->bell, __ATOMIC_SEQ_CST) != 0 && wake(door, 1) == 0) {
        __atomic_store_n(&door->bell, 0, __ATOMIC_SEQ_CST);
        (void)wake(door, INT_MAX);
    }
}

/* Sleeps at the end of the kernel's queue, unless the bell went to 0. */
static void sleep_until_rung(tsgi_places_door_t *door, apr_interval_time_t duration)
{
    const struct timespec timeout = {.tv_sec = 0, .tv_nsec = (long)duration * 1000};
    (void)syscall(SYS_futex, &door->bell, FUTEX_WAIT, 1, &timeout, NULL, 0);
}

/* ---- how many may wait -------------------------------------------------------------- */

/*
 * As many as get a place within all rounds of the patience, by how many were left in one: whoever
 * is refused comes again at once, and would take the app the processor time that it needs. A worse
 * stretch counts by half, since a machine that is busy gives a group no time for as long; but where no
 * place was left at all, nobody waits. It is found anew whenever somebody finds no place and the
 * time is over. Where nobody did for longer, nothing is known but whether any was left.
 */
static apr_uint32_t allowed(tsgi_places_door_t *door, apr_uint32_t left, apr_time_t now)
{
    apr_int64_t since = __atomic_load_n(&door->since, __ATOMIC_ACQUIRE);
    const apr_int64_t elapsed = now - since;

    if (elapsed < TSGI_PLACES_PATIENCE ||
        !__atomic_compare_exchange_n(&door->since, &since, now, 0, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED)) {
        return __atomic_load_n(&door->allowed, __ATOMIC_RELAXED);
    }
    const apr_uint32_t came =
        left - __atomic_exchange_n(&door->before, left, __ATOMIC_RELAXED);
    const apr_uint32_t half = __atomic_load_n(&door->rate, __ATOMIC_RELAXED) / 2;
    apr_uint32_t rate = 0, result = 0;
    if (since == 0 || (came > 0 && elapsed >= 2 * TSGI_PLACES_PATIENCE)) {
        result = UINT_MAX;
    }
    else if (came > 0) {
        rate = came > half ? came : half;
        result =
            rate < UINT_MAX / TSGI_PLACES_ROUNDS ? rate * TSGI_PLACES_ROUNDS : UINT_MAX;
    }
    __atomic_store_n(&door->rate, rate, __ATOMIC_RELAXED);
    __atomic_store_n(&door->allowed, result, __ATOMIC_RELAXED);
    return result;
}

/* ---- children that have gone -------------------------------------------------------- */

static void clear_row(void *owner, int row)
{
    tsgi_places_t *places = owner;
    for (int kind = 0; kind < TSGI_PLACES_KINDS; kind++) {
        tsgi_places_room_t *room = &places->rooms[kind];
        /* What was left stays: the sum must not go back. */
        __atomic_and_fetch(&room->counts[row], ~(LEFT - 1), __ATOMIC_SEQ_CST);
        __atomic_store_n(&room->door->bell, 0, __ATOMIC_SEQ_CST);
        (void)wake(room->door, INT_MAX);
    }
}

void tsgi_places_release(tsgi_places_t *places, pid_t pid)
{
    tsgi_rows_release(&places->rows, pid, clear_row, places);
}

/* ---- a place ------------------------------------------------------------------------ */

/*
 * Counts first and looks then: of two who race for the last place, at least one sees both. If both
 * do, both step back, and the later one rings for whoever waits.
 */
static int take(tsgi_places_t *places, tsgi_places_room_t *room)
{
    count(room, HELD);
    if (look(places, room).held <= places->limit) {
        return 1;
    }
    count(room, -HELD);
    ring(room->door);
    return 0;
}

/* One patience long. @return 1 with a place. */
static int wait_a_while(tsgi_places_t *places, tsgi_places_room_t *room, apr_time_t end)
{
    for (;;) {
        __atomic_store_n(&room->door->bell, 1, __ATOMIC_SEQ_CST);
        /* One who is counted as waiting: places below the limit with all of them are for anyone. */
        const sums_t sums = look(places, room);
        if (sums.held + sums.waiting <= places->limit && take(places, room)) {
            return 1;
        }
        const apr_interval_time_t left = end - tsgi_clock_now();
        if (left > 0) {
            sleep_until_rung(room->door, left);
        }
        /* Rung for this thread, or too late for more. */
        if (look(places, room).held < places->limit && take(places, room)) {
            return 1;
        }
        if (left <= 0) {
            return 0;
        }
    }
}

/* Whether the patience is well spent, with so many ahead. */
static int is_worth_it(const tsgi_places_room_t *room, const sums_t *sums,
                       apr_uint32_t ahead, apr_time_t now)
{
    return ahead < allowed(room->door, sums->left, now);
}

static int wait_for_place(tsgi_places_t *places, tsgi_places_room_t *room)
{
    const sums_t first = look(places, room);
    apr_time_t now = tsgi_clock_now();
    int is_taken = 0;

    if (!is_worth_it(room, &first, first.waiting, now)) {
        return 0;
    }
    count(room, WAITING);
    for (int round = 1;; round++) {
        is_taken = wait_a_while(places, room, now + TSGI_PLACES_PATIENCE);
        if (is_taken || round == TSGI_PLACES_ROUNDS) {
            break;
        }
        (void)tsgi_rows_bury(&places->rows, clear_row, places);
        const sums_t sums = look(places, room);
        const apr_uint32_t came = sums.left - first.left;
        const apr_uint32_t ahead = first.waiting > came ? first.waiting - came : 0;
        now = tsgi_clock_now();
        if (!is_worth_it(room, &sums, ahead, now)) {
            break;
        }
    }
    count(room, -WAITING);
    return is_taken;
}

int tsgi_places_enter(tsgi_places_t *places, tsgi_places_kind_t kind)
{
    tsgi_places_room_t *room = &places->rooms[kind];
    const sums_t sums = look(places, room);

    /* What is free is for those who wait already. */
    if (sums.held + sums.waiting < places->limit && take(places, room)) {
        return 1;
    }
    if (tsgi_rows_bury(&places->rows, clear_row, places) && take(places, room)) {
        return 1;
    }
    return wait_for_place(places, room);
}

void tsgi_places_leave(tsgi_places_t *places, tsgi_places_kind_t kind)
{
    tsgi_places_room_t *room = &places->rooms[kind];
    count(room, LEFT - HELD);
    ring(room->door);
}

/* ---- life --------------------------------------------------------------------------- */

const char *tsgi_places_create(apr_pool_t *p, tsgi_places_t *places, int children)
{
    const apr_size_t size = APR_ALIGN(sizeof(tsgi_places_door_t) +
                                          (apr_size_t)children * sizeof(apr_uint64_t),
                                      (apr_size_t)TSGI_CACHE_LINE);
    const char *problem =
        tsgi_rows_create(p, &places->rows, children, TSGI_PLACES_KINDS * size);

    for (int kind = 0; kind < TSGI_PLACES_KINDS && problem == NULL; kind++) {
        tsgi_places_room_t *room = &places->rooms[kind];
        char *begin = (char *)places->rows.columns + (apr_size_t)kind * size;
        room->door = (tsgi_places_door_t *)(void *)begin;
        room->counts = (apr_uint64_t *)(void *)(begin + sizeof(tsgi_places_door_t));
        room->mine = &room->spare;
    }
    return problem;
}

void tsgi_places_destroy(tsgi_places_t *places)
{
    tsgi_rows_destroy(&places->rows);
}

void tsgi_places_claim(tsgi_places_t *places)
{
    const int row = tsgi_rows_claim(&places->rows);
    for (int kind = 0; kind < TSGI_PLACES_KINDS; kind++) {
        tsgi_places_room_t *room = &places->rooms[kind];
        room->spare = 0;
        room->mine = row >= 0 ? &room->counts[row] : &room->spare;
    }
}
