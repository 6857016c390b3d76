/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The cap on the threads that a group holds: rows of children, places, and who may wait for one. */
#include "../../apache/tsgi_places.h"
/* No thread of a test gives up since the machine was slow. */
#undef TSGI_PLACES_ROUNDS
#define TSGI_PLACES_ROUNDS 1000

#include "../../apache/tsgi_places.c"
#include "../../apache/tsgi_rows.c"

#include "apr_general.h"

#include "tap.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

module tsgi_module; /* only its address is asked for */

#define PATIENCE TSGI_PLACES_PATIENCE
#define DAY apr_time_from_sec(86400)

static apr_pool_t *pool;
static tsgi_places_t places;
static tsgi_places_room_t *room;

static void begin(apr_uint32_t limit, int children)
{
    CHECK(tsgi_places_create(pool, &places, children) == NULL);
    places.limit = limit;
    tsgi_places_claim(&places);
    room = &places.rooms[TSGI_PLACES_MPM];
}

static void end(void)
{
    tsgi_places_destroy(&places);
}

static int enter(void)
{
    return tsgi_places_enter(&places, TSGI_PLACES_MPM);
}

static void leave(void)
{
    tsgi_places_leave(&places, TSGI_PLACES_MPM);
}

static sums_t now(void)
{
    return look(&places, room);
}

static void pause_briefly(void)
{
    const struct timespec time = {0, 1000000};
    (void)nanosleep(&time, NULL);
}

/* ---- places --------------------------------------------------------------------------- */

static void test_limit(void)
{
    begin(3, 4);
    CHECK(enter() && enter() && enter());
    CHECK(!enter());
    CHECK(now().held == 3 && now().waiting == 0);
    leave();
    CHECK(enter());
    CHECK(!enter());
    end();
}

static void test_kinds(void)
{
    begin(1, 4);
    CHECK(enter());
    CHECK(tsgi_places_enter(&places, TSGI_PLACES_H2));
    CHECK(!tsgi_places_enter(&places, TSGI_PLACES_H2));
    tsgi_places_leave(&places, TSGI_PLACES_H2);
    CHECK(now().held == 1);
    CHECK(look(&places, &places.rooms[TSGI_PLACES_H2]).held == 0);
    end();
}

static void test_no_row(void)
{
    begin(1, 1);
    places.rows.owner[0] = 1; /* somebody else's */
    tsgi_places_claim(&places);
    CHECK(room->mine == &room->spare);
    CHECK(enter());
    CHECK(!enter());
    leave();
    CHECK(now().held == 0);
    end();
}

/* ---- who may wait --------------------------------------------------------------------- */

static void test_allowed(void)
{
    tsgi_places_door_t door = {0};
    CHECK(allowed(&door, 0, DAY) == UINT_MAX);                 /* nothing is known yet */
    CHECK(allowed(&door, 90, DAY + PATIENCE - 1) == UINT_MAX); /* not yet time to look */
    CHECK(allowed(&door, 100, DAY + PATIENCE) == 100 * TSGI_PLACES_ROUNDS);
    CHECK(allowed(&door, 110, DAY + 2 * PATIENCE) ==
          50 * TSGI_PLACES_ROUNDS); /* 10 came: a worse stretch */
    CHECK(allowed(&door, 120, DAY + 3 * PATIENCE) == 25 * TSGI_PLACES_ROUNDS);
    CHECK(allowed(&door, 200, DAY + 4 * PATIENCE) == 80 * TSGI_PLACES_ROUNDS);
    CHECK(allowed(&door, 200, DAY + 5 * PATIENCE) == 0); /* it hangs */
    CHECK(allowed(&door, 201, DAY + 6 * PATIENCE) == 1 * TSGI_PLACES_ROUNDS);
}

static void test_allowed_after_rest(void)
{
    tsgi_places_door_t door = {0};
    (void)allowed(&door, 1000, DAY);
    CHECK(allowed(&door, 1000, 2 * DAY) == 0); /* it has hung all the time */
    CHECK(allowed(&door, 1001, 3 * DAY) == UINT_MAX);
    CHECK(allowed(&door, 1001, 3 * DAY + PATIENCE) == 0);
    /* The count of places goes round. */
    door.before = UINT_MAX;
    CHECK(allowed(&door, 9, 3 * DAY + 2 * PATIENCE) == 10 * TSGI_PLACES_ROUNDS);
}

static void test_hang(void)
{
    begin(1, 4);
    CHECK(enter());
    const apr_time_t start = tsgi_clock_now();
    CHECK(!enter()); /* The first learns that nothing moves, */
    CHECK(tsgi_clock_now() - start >= PATIENCE);
    CHECK(room->door->allowed == 0);
    room->door->bell = 0;
    CHECK(!enter()); /* the next know it: whoever waits sets the bell. */
    CHECK(room->door->bell == 0);
    end();
}

/* ---- waiting -------------------------------------------------------------------------- */

typedef struct {
    pthread_t thread;
    volatile pid_t tid;
    int is_taken;
    int position;
} waiter_t;

static int positions;

static void *wait_main(void *data)
{
    waiter_t *waiter = data;
    waiter->tid = (pid_t)syscall(SYS_gettid);
    waiter->is_taken = enter();
    waiter->position = ++positions;
    if (waiter->is_taken) {
        leave();
    }
    return NULL;
}

static int is_asleep(pid_t tid)
{
    char path[64], text[256] = "";
    apr_snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return 0;
    }
    const size_t n = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    const char *state = n > 0 ? strrchr(text, ')') : NULL;
    return state != NULL && state[1] == ' ' && state[2] == 'S';
}

/* Starts a thread that waits, and sees it asleep. */
static void waiter_start(waiter_t *waiter, apr_uint32_t waiting)
{
    waiter->tid = 0;
    CHECK(pthread_create(&waiter->thread, NULL, wait_main, waiter) == 0);
    for (int i = 0; i < 10000 && (now().waiting < waiting || !is_asleep(waiter->tid));
         i++) {
        pause_briefly();
    }
}

/* Nobody is refused in this test for a machine that is slow. */
static void be_patient(void)
{
    room->door->since = tsgi_clock_now() + DAY;
    room->door->allowed = UINT_MAX;
}

static void test_order(void)
{
    waiter_t waiters[3];
    begin(1, 4);
    be_patient();
    positions = 0;
    CHECK(enter());
    for (int i = 0; i < 3; i++) {
        waiter_start(&waiters[i], (apr_uint32_t)i + 1);
    }
    leave();
    for (int i = 0; i < 3; i++) {
        CHECK(pthread_join(waiters[i].thread, NULL) == 0);
        CHECK(waiters[i].is_taken);
        CHECK(waiters[i].position == i + 1);
    }
    CHECK(now().held == 0 && now().waiting == 0 && now().left == 4);
    end();
}

static void test_no_overtaking(void)
{
    waiter_t waiter;
    begin(2, 4);
    be_patient();
    CHECK(enter() && enter());
    waiter_start(&waiter, 1);
    /* As if the place had become free, and who waits for it had not woken yet. */
    count(room, LEFT - HELD);
    room->door->allowed = 0;
    CHECK(!enter());
    leave();
    CHECK(pthread_join(waiter.thread, NULL) == 0);
    CHECK(waiter.is_taken);
    end();
}

/* ---- children ------------------------------------------------------------------------- */

#define CROWD 4
#define TURNS 5000

typedef struct {
    apr_uint32_t inside, most, served;
} tally_t;

static tally_t *tally;

static void *crowd_main(void *data)
{
    (void)data;
    for (int i = 0; i < TURNS; i++) {
        if (!enter()) {
            continue;
        }
        const apr_uint32_t inside =
            __atomic_add_fetch(&tally->inside, 1, __ATOMIC_SEQ_CST);
        if (inside > __atomic_load_n(&tally->most, __ATOMIC_SEQ_CST)) {
            __atomic_store_n(&tally->most, inside, __ATOMIC_SEQ_CST);
        }
        (void)sched_yield();
        __atomic_fetch_add(&tally->served, 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_sub(&tally->inside, 1, __ATOMIC_SEQ_CST);
        leave();
    }
    return NULL;
}

static void crowd(void)
{
    pthread_t threads[CROWD];
    tsgi_places_claim(&places);
    for (int i = 0; i < CROWD; i++) {
        CHECK(pthread_create(&threads[i], NULL, crowd_main, NULL) == 0);
    }
    for (int i = 0; i < CROWD; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

static void test_crowd(void)
{
    pid_t children[2];
    int status;
    begin(3, 4);
    tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    CHECK(tally != MAP_FAILED);
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            crowd();
            _exit(tap_failures > 0);
        }
    }
    for (int i = 0; i < 2; i++) {
        CHECK(waitpid(children[i], &status, 0) == children[i] && status == 0);
    }
    CHECK(tally->most <= 3);
    CHECK(tally->served > TURNS);
    CHECK(now().held == 0 && now().waiting == 0);
    CHECK(now().left >= tally->served);
    CHECK(munmap(tally, sizeof(*tally)) == 0);
    end();
}

/* A child that holds both places. */
static pid_t fork_holder(void)
{
    int ready[2];
    char byte = 0;
    CHECK(pipe(ready) == 0);
    const pid_t pid = fork();
    if (pid == 0) {
        tsgi_places_claim(&places);
        byte = (char)(enter() && enter());
        (void)!write(ready[1], &byte, 1);
        for (;;) {
            pause();
        }
    }
    CHECK(read(ready[0], &byte, 1) == 1 && byte == 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    return pid;
}

static int has_row(pid_t pid)
{
    for (int row = 0; row < places.rows.count; row++) {
        if (places.rows.owner[row] == (apr_uint32_t)pid) {
            return 1;
        }
    }
    return 0;
}

static void test_killed_child(void)
{
    int status;
    begin(2, 4);
    const pid_t pid = fork_holder();
    CHECK(!enter());
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
    const apr_uint32_t left = now().left;
    tsgi_places_release(&places, pid);
    CHECK(now().held == 0 && now().left == left);
    CHECK(enter() && enter());
    CHECK(!has_row(pid));
    end();
}

static void test_zombie(void)
{
    siginfo_t info;
    int status;
    begin(2, 4);
    const pid_t pid = fork_holder();
    CHECK(kill(pid, SIGKILL) == 0);
    CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) ==
          0); /* nobody asks for it */
    *places.rows.looked_at = 0;
    CHECK(enter() && enter());
    CHECK(!has_row(pid));
    CHECK(waitpid(pid, &status, 0) == pid);
    end();
}

static void test_hostile_rows(void)
{
    begin(2, 4);
    *places.rows.used = UINT_MAX; /* a child can write what it likes */
    CHECK(tsgi_rows_used(&places.rows) == 4);
    tsgi_places_release(&places, 1);
    places.rows.owner[1] = UINT_MAX;
    places.rows.owner[2] = 1; /* lives */
    *places.rows.looked_at = INT64_MIN;
    CHECK(!tsgi_rows_bury(&places.rows, clear_row, &places));
    CHECK(places.rows.owner[1] == UINT_MAX && places.rows.owner[2] == 1);
    end();
}

int main(void)
{
    static const tap_test_t tests[] = {
        {"as many as the limit get a place, and one more when one was left", test_limit},
        {"HTTP/2's threads have places of their own", test_kinds},
        {"a child that found no row counts for itself", test_no_row},
        {"as many may wait as will get a place in time", test_allowed},
        {"after a rest only a hang is known", test_allowed_after_rest},
        {"of a group that hangs only the first one waits", test_hang},
        {"those who wait get their places in the order of arrival", test_order},
        {"who comes later leaves a free place to those who wait", test_no_overtaking},
        {"never more than the limit are inside, over threads and processes", test_crowd},
        {"the places of a child that nobody has missed come back, too", test_zombie},
        {"the places of a child that was killed come back", test_killed_child},
        {"numbers of a child lead nowhere beyond the map", test_hostile_rows},
    };
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, NULL) != APR_SUCCESS) {
        return 1;
    }
    const int rc = tap_run(tests, sizeof(tests) / sizeof(tests[0]));
    apr_pool_destroy(pool);
    apr_terminate();
    return rc;
}
