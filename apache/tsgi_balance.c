/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_balance.h"
#include "tsgi_pool.h"

#include <errno.h>
#include <string.h>

/* A live worker greets within a turn of its loop. After this long another one with an
 * idle connection gets the request, though it has more in hand. */
#define GREETING_PATIENCE_MS 10
/* The same for one that has what the client needs. */
#define PREFERRED_PATIENCE_MS 1000
/* Connections to its former worker that wait for a greeting, most of them that are tried. */
#define MAX_CLOSED 8
/* A worker with requests in hand that has said nothing for so long may be stopped, or its loop
 * blocked: it gets another one only on a connection that it greets now. */
#define SILENCE (250 * 1000)
/* While somebody serves, silent slots are looked at this often. */
#define PROBE_INTERVAL (20 * 1000)
/* When a connect may be tried again: backlog full; worker hung up; nobody there. */
#define RETRY_FULL (10 * 1000)
#define RETRY_CLOSED (100 * 1000)
#define RETRY_UNAVAILABLE (500 * 1000)
/* Connections that other threads give back come into view this often. */
#define LOOK_AGAIN_MS 50
/* During an outage of the group, what a worker that lives all the same may take to greet. */
#define OUTAGE_PATIENCE_MS 20

/* ---- leases ------------------------------------------------------------------------- */

static tsgi_pool_t *slot_pool(const tsgi_slots_t *slots, int slot)
{
    return slots->slots[slot].pool;
}

static void lease_begin(tsgi_lease_t *lease, tsgi_slots_t *slots, int slot,
                        tsgi_connection_t *connection)
{
    lease->slots = slots;
    lease->slot = slot;
    lease->connection = connection;
    lease->is_admitted = 1;
    lease->is_counted = 1;
    tsgi_load_add(slots, slot);
}

void tsgi_lease_uncount(tsgi_lease_t *lease)
{
    if (lease->is_counted) {
        lease->is_counted = 0;
        tsgi_load_sub(lease->slots, lease->slot);
    }
}

void tsgi_lease_release(tsgi_lease_t *lease, apr_time_t now)
{
    tsgi_pool_t *pool = slot_pool(lease->slots, lease->slot);
    tsgi_lease_uncount(lease);
    tsgi_pool_note_sign(pool, now);
    tsgi_pool_give(pool, lease->connection, now);
    lease->connection = NULL;
}

void tsgi_lease_drop(tsgi_lease_t *lease)
{
    if (lease->connection != NULL) {
        tsgi_lease_uncount(lease);
        tsgi_connection_close(lease->connection);
        lease->connection = NULL;
    }
}

void tsgi_lease_drop_leaving(tsgi_lease_t *lease)
{
    if (lease->connection != NULL) {
        tsgi_pool_forget(slot_pool(lease->slots, lease->slot), lease->connection->pid);
        tsgi_lease_drop(lease);
    }
}

void tsgi_lease_drop_penalised(tsgi_lease_t *lease, apr_time_t now)
{
    if (lease->connection == NULL) {
        return;
    }
    tsgi_pool_t *pool = slot_pool(lease->slots, lease->slot);
    tsgi_pool_penalise(pool, now);
    tsgi_pool_set_alive(pool, 0);
    tsgi_pool_forget(pool, lease->connection->pid);
    tsgi_lease_drop(lease);
}

/* ---- the quick way ------------------------------------------------------------------ */

typedef struct {
    int slot; /* −1: none */
    apr_uint32_t load;
    apr_time_t served_at;
} candidate_t;

typedef struct {       /* what one look at all slots finds */
    candidate_t ready; /* of those with an idle connection */
    candidate_t alive; /* of those that speak but have none, or are doubtful */
} choice_t;

/* Penalised slots count as if they had much in hand: they are the last, but not
 * nobody. */
#define PENALTY_LOAD (1u << 20)

/* May the slot's worker be stopped, or its loop blocked? */
static int is_doubtful(const tsgi_slots_t *slots, int slot, apr_time_t served_at,
                       apr_time_t now)
{
    return slots->nslots > 1 && now - served_at > SILENCE &&
           tsgi_load_get(slots, slot) > 0;
}

/* The fewest in hand; of equals the one that served last: its caches are warm. */
static void consider(candidate_t *best, int slot, apr_uint32_t load, apr_time_t served_at)
{
    if (best->slot < 0 || load < best->load ||
        (load == best->load && served_at > best->served_at)) {
        *best = (candidate_t){slot, load, served_at};
    }
}

static choice_t look(const tsgi_slots_t *slots, apr_time_t now)
{
    choice_t choice = {.ready = {.slot = -1}, .alive = {.slot = -1}};
    const unsigned n = (unsigned)slots->nslots;
    const unsigned first = n > 1 ? tsgi_pool_turn(slot_pool(slots, 0)) % n : 0;

    for (unsigned i = 0; i < n; i++) {
        const int slot = (int)((first + i) % n);
        const tsgi_pool_hints_t hints = tsgi_pool_hints(slot_pool(slots, slot), now);
        if (hints.ready <= 0 && !hints.is_alive) {
            continue;
        }
        const apr_uint32_t load =
            tsgi_load_get(slots, slot) + (hints.is_penalised ? PENALTY_LOAD : 0);
        if (hints.ready > 0 && !is_doubtful(slots, slot, hints.served_at, now)) {
            consider(&choice.ready, slot, load, hints.served_at);
        }
        else { /* in turn: those who wait for its greeting are not counted */
            consider(&choice.alive, slot, load, 0);
        }
    }
    return choice;
}

static int take_ready(tsgi_slots_t *slots, int slot, tsgi_lease_t *lease)
{
    tsgi_connection_t *connection = tsgi_pool_take(slot_pool(slots, slot));
    if (connection == NULL) {
        return 0; /* another thread was faster */
    }
    lease_begin(lease, slots, slot, connection);
    return 1;
}

static void log_wrong_greeting(request_rec *r, tsgi_slots_t *slots, int slot,
                               const char *why)
{
    if (tsgi_pool_may_complain(slot_pool(slots, slot), tsgi_clock_now())) {
        ap_log_rerror(
            APLOG_MARK, APLOG_ERR, 0, r,
            TSGI_LOGNO(0185) "group %s, worker %d: wrong greeting: %s; its connection "
                             "is closed",
            slots->generation->group, slot, why);
    }
}

/* What the greeting of a connection said besides its kind. */
typedef struct {
    tsgi_unavailable_t unavailable;
    const char *why;
} answer_t;

/*
 * Reads the greeting of a PENDING connection and keeps the books of the slot. Afterwards
 * the connection belongs to the caller still if the answer is NONE or HELLO; else it is
 * closed.
 */
static tsgi_greeting_t greet(request_rec *r, tsgi_slots_t *slots, int slot,
                             tsgi_connection_t *connection, answer_t *answer)
{
    tsgi_pool_t *pool = slot_pool(slots, slot);
    answer->why = "";
    const tsgi_greeting_t greeting = tsgi_connection_greet(
        connection, slots->generation->id, &answer->unavailable, &answer->why);

    if (greeting == TSGI_GREETING_HELLO) {
        tsgi_pool_set_alive(pool, 1);
    }
    else if (greeting != TSGI_GREETING_NONE) {
        if (greeting == TSGI_GREETING_WRONG) {
            log_wrong_greeting(r, slots, slot, answer->why);
        }
        tsgi_pool_set_alive(pool, 0);
        tsgi_connection_close(connection);
    }
    return greeting;
}

/*
 * A connection whose greeting is still to come. A greeting that lies there already tells nothing
 * about a worker that is in doubt now: such a connection becomes a READY one.
 */
static tsgi_connection_t *open_pending(request_rec *r, tsgi_slots_t *slots, int slot,
                                       int *error)
{
    tsgi_pool_t *pool = slot_pool(slots, slot);
    tsgi_connection_t *connection = tsgi_pool_take_pending(pool);

    while (connection != NULL) {
        const apr_time_t now = tsgi_clock_now();
        answer_t answer;
        if (!is_doubtful(slots, slot, tsgi_pool_hints(pool, now).served_at, now)) {
            return connection;
        }
        const tsgi_greeting_t greeting = greet(r, slots, slot, connection, &answer);
        if (greeting == TSGI_GREETING_NONE) {
            return connection;
        }
        if (greeting == TSGI_GREETING_HELLO) {
            tsgi_pool_give(pool, connection, now);
        }
        connection = tsgi_pool_take_pending(pool);
    }
    return tsgi_connection_open(slots->slots[slot].socket.path, error);
}

/* A new connection to a slot that is known to speak: its HELLO is a turn of the
 * worker's loop away. @return what came; with HELLO the lease has begun. */
static tsgi_greeting_t take_alive(request_rec *r, tsgi_client_t *client,
                                  tsgi_slots_t *slots, int slot, int patience_ms,
                                  tsgi_lease_t *lease)
{
    struct pollfd fds[2];
    answer_t answer;
    int error;
    tsgi_connection_t *connection = open_pending(r, slots, slot, &error);

    if (connection == NULL) {
        tsgi_pool_penalise(slot_pool(slots, slot), tsgi_clock_now());
        return TSGI_GREETING_NONE;
    }
    fds[0] = (struct pollfd){.fd = connection->fd, .events = POLLIN};
    (void)tsgi_client_wait(client, fds, 1, patience_ms, 0);
    const tsgi_greeting_t greeting = greet(r, slots, slot, connection, &answer);
    if (greeting == TSGI_GREETING_HELLO) {
        tsgi_pool_note_sign(slot_pool(slots, slot), tsgi_clock_now());
        lease_begin(lease, slots, slot, connection);
    }
    else if (greeting == TSGI_GREETING_NONE) {
        tsgi_pool_give_pending(slot_pool(slots, slot), connection);
        tsgi_pool_penalise(slot_pool(slots, slot), tsgi_clock_now());
    }
    return greeting;
}

/*
 * The worker that the client had before, though it has more in hand than others, or is busy for a
 * moment, or has just been replaced: other children may know it already, and have told clients of it.
 * Connections to the former one are found closed.
 */
static int take_preferred(request_rec *r, tsgi_client_t *client, tsgi_slots_t *slots,
                          apr_time_t now, tsgi_lease_t *lease)
{
    const int slot = lease->preferred;
    if (slot < 0 || lease->is_spent) {
        return 0;
    }
    const tsgi_pool_hints_t hints = tsgi_pool_hints(slot_pool(slots, slot), now);
    if (hints.ready > 0 && !is_doubtful(slots, slot, hints.served_at, now) &&
        take_ready(slots, slot, lease)) {
        return 1;
    }
    tsgi_greeting_t greeting = TSGI_GREETING_CLOSED;
    for (int i = 0; greeting == TSGI_GREETING_CLOSED && i < MAX_CLOSED; i++) {
        greeting = take_alive(r, client, slots, slot, PREFERRED_PATIENCE_MS, lease);
    }
    return greeting == TSGI_GREETING_HELLO;
}

/* Lets silent slots become candidates again, though others can serve: asks them now
 * and then. */
static void probe_silent(request_rec *r, tsgi_slots_t *slots, apr_time_t now)
{
    for (int slot = 0; slot < slots->nslots; slot++) {
        tsgi_pool_t *pool = slot_pool(slots, slot);
        const tsgi_pool_hints_t hints = tsgi_pool_hints(pool, now);
        if (hints.is_alive || hints.ready > 0 ||
            !tsgi_pool_may_probe(pool, now, PROBE_INTERVAL)) {
            continue;
        }
        answer_t answer;
        int error;
        tsgi_connection_t *connection = open_pending(r, slots, slot, &error);
        if (connection == NULL) {
            continue;
        }
        const tsgi_greeting_t greeting = greet(r, slots, slot, connection, &answer);
        if (greeting == TSGI_GREETING_HELLO) {
            tsgi_pool_give(pool, connection, now);
        }
        else if (greeting == TSGI_GREETING_NONE) {
            tsgi_pool_give_pending(pool, connection);
        }
    }
}

/* ---- waiting ------------------------------------------------------------------------ */

/* Why a slot is not worth waiting for. */
typedef enum {
    AWAY_NOT,
    AWAY_CONNECT,     /* nobody listens */
    AWAY_FULL,        /* the backlog has been full for connect-timeout */
    AWAY_WRONG,       /* it does not speak the wire */
    AWAY_UNAVAILABLE, /* the supervisor has no worker for it */
    AWAY_COUNT
} away_t;

/* One slot in the eyes of a thread that waits. */
typedef struct {
    tsgi_connection_t *connection; /* PENDING, ours meanwhile */
    apr_time_t retry_at;           /* without a connection: when to try again */
    apr_time_t full_since;         /* first EAGAIN of connect(), 0 = none */
    away_t away;
    answer_t answer;
    int error; /* AWAY_CONNECT, AWAY_FULL: errno */
} seat_t;

typedef struct {
    request_rec *r;
    tsgi_slots_t *slots;
    seat_t *seats;
    struct pollfd *fds; /* room for nslots + the client */
    int *fd_slots;      /* which slot fds[i] belongs to */
    tsgi_error_t *error;
} waiting_t;

static void seat_connect(waiting_t *w, int slot, apr_time_t now)
{
    seat_t *seat = &w->seats[slot];
    int error = 0;

    seat->connection = open_pending(w->r, w->slots, slot, &error);
    if (seat->connection != NULL) {
        seat->full_since = 0;
        seat->away = AWAY_NOT;
        return;
    }
    seat->error = error;
    seat->away = AWAY_CONNECT;
    seat->retry_at = now + RETRY_CLOSED;
    if (error == EAGAIN) {
        seat->full_since = seat->full_since != 0 ? seat->full_since : now;
        seat->retry_at = now + RETRY_FULL;
        const apr_interval_time_t limit =
            apr_time_from_msec(w->slots->generation->connect_timeout);
        seat->away = now - seat->full_since <= limit ? AWAY_NOT : AWAY_FULL;
    }
}

/* @return 1 if the slot has said HELLO, 0 otherwise; the seat's books are kept. */
static int seat_listen(waiting_t *w, int slot, apr_time_t now)
{
    seat_t *seat = &w->seats[slot];
    switch (greet(w->r, w->slots, slot, seat->connection, &seat->answer)) {
    case TSGI_GREETING_HELLO:
        tsgi_pool_note_sign(slot_pool(w->slots, slot), now);
        return 1;
    case TSGI_GREETING_NONE:
        return 0;
    case TSGI_GREETING_UNAVAILABLE:
        seat->away = AWAY_UNAVAILABLE;
        seat->retry_at = now + RETRY_UNAVAILABLE;
        break;
    case TSGI_GREETING_WRONG:
        seat->away = AWAY_WRONG;
        seat->retry_at = now + RETRY_UNAVAILABLE;
        break;
    case TSGI_GREETING_CLOSED:
        seat->retry_at = now + RETRY_CLOSED;
        break;
    }
    seat->connection = NULL;
    return 0;
}

/* All slots are away: says why. @return 0 if there is still hope. */
static int all_away(waiting_t *w)
{
    const seat_t *examples[AWAY_COUNT] = {NULL};
    for (int slot = 0; slot < w->slots->nslots; slot++) {
        const seat_t *seat = &w->seats[slot];
        if (seat->away == AWAY_NOT) {
            return 0;
        }
        examples[seat->away] = seat;
    }
    if (examples[AWAY_UNAVAILABLE] != NULL) {
        const tsgi_unavailable_t *unavailable =
            &examples[AWAY_UNAVAILABLE]->answer.unavailable;
        w->error->kind = TSGI_FAIL_UNAVAILABLE;
        w->error->code = unavailable->code;
        w->error->retry_after = unavailable->retry_after;
    }
    else if (examples[AWAY_WRONG] != NULL) {
        w->error->kind = TSGI_FAIL_PROTOCOL;
        w->error->detail = examples[AWAY_WRONG]->answer.why;
    }
    else if (examples[AWAY_FULL] != NULL) {
        w->error->kind = TSGI_FAIL_BACKLOG;
    }
    else {
        w->error->kind = TSGI_FAIL_CONNECT;
        w->error->os_error = examples[AWAY_CONNECT]->error;
    }
    return 1;
}

/* @return 1 if the group has an outage: a worker may live on, but none comes for those who wait. */
static int is_out(waiting_t *w)
{
    apr_time_t retry_at;
    const unsigned code = tsgi_outage_get(w->slots->generation->outage, &retry_at);
    if (code == 0) {
        return 0;
    }
    const apr_time_t left = retry_at - tsgi_clock_now();
    w->error->kind = TSGI_FAIL_UNAVAILABLE;
    w->error->code = (int)code;
    w->error->retry_after = left > 0 ? (int)apr_time_sec(left + APR_USEC_PER_SEC - 1) : 1;
    return 1;
}

/* Connects where it is time to. @return how many entries of fds are set. */
static nfds_t prepare_fds(waiting_t *w, apr_time_t now)
{
    nfds_t n = 0;
    for (int slot = 0; slot < w->slots->nslots; slot++) {
        seat_t *seat = &w->seats[slot];
        if (seat->connection == NULL && now >= seat->retry_at) {
            seat_connect(w, slot, now);
        }
        if (seat->connection != NULL) {
            w->fds[n] = (struct pollfd){.fd = seat->connection->fd, .events = POLLIN};
            w->fd_slots[n] = slot;
            n++;
        }
    }
    return n;
}

/* Reads all greetings that came; the least loaded of the slots is leased, the others
 * become READY. */
static int hear(waiting_t *w, nfds_t n, tsgi_lease_t *lease)
{
    const apr_time_t now = tsgi_clock_now();
    int best = -1;
    apr_uint32_t best_load = 0;

    for (nfds_t i = 0; i < n; i++) {
        const int slot = w->fd_slots[i];
        if (w->fds[i].revents == 0 || !seat_listen(w, slot, now)) {
            continue;
        }
        const apr_uint32_t load = tsgi_load_get(w->slots, slot);
        const int loser = best >= 0 && load >= best_load ? slot : best;
        if (loser >= 0) {
            tsgi_pool_give(slot_pool(w->slots, loser), w->seats[loser].connection, now);
            w->seats[loser].connection = NULL;
        }
        if (loser != slot) {
            best = slot;
            best_load = load;
        }
    }
    if (best < 0) {
        return 0;
    }
    lease_begin(lease, w->slots, best, w->seats[best].connection);
    w->seats[best].connection = NULL;
    return 1;
}

static int wait_loop(waiting_t *w, tsgi_client_t *client, apr_time_t deadline,
                     tsgi_lease_t *lease)
{
    for (;;) {
        const apr_time_t now = tsgi_clock_now();
        const choice_t choice = look(w->slots, now);
        if (choice.ready.slot >= 0 && take_ready(w->slots, choice.ready.slot, lease)) {
            return 1;
        }
        const nfds_t n = prepare_fds(w, now);
        const int out = is_out(w);
        if (all_away(w)) {
            return 0;
        }
        if (now >= deadline) {
            w->error->kind = TSGI_FAIL_QUEUE;
            return 0;
        }
        apr_time_t left = (deadline - now + 999) / 1000;
        left = left < LOOK_AGAIN_MS ? left : LOOK_AGAIN_MS;
        if (out && left > OUTAGE_PATIENCE_MS) {
            left = OUTAGE_PATIENCE_MS;
        }
        if (n < (nfds_t)w->slots->nslots && left > RETRY_FULL / 1000) {
            left = RETRY_FULL / 1000;
        }
        if (tsgi_client_wait(client, w->fds, n, (int)left, 0) == TSGI_WAIT_GONE) {
            w->error->kind = TSGI_FAIL_CLIENT;
            return 0;
        }
        if (hear(w, n, lease)) {
            return 1;
        }
        if (out || all_away(w)) {
            return 0;
        }
    }
}

static int wait_for_hello(request_rec *r, tsgi_client_t *client, tsgi_slots_t *slots,
                          apr_time_t *deadline, tsgi_lease_t *lease, tsgi_error_t *error)
{
    const apr_size_t n = (apr_size_t)slots->nslots;
    waiting_t w = {.r = r, .slots = slots, .error = error};
    w.seats = apr_pcalloc(r->pool, n * sizeof(*w.seats));
    w.fds = apr_pcalloc(r->pool, (n + 1) * sizeof(*w.fds));
    w.fd_slots = apr_pcalloc(r->pool, n * sizeof(*w.fd_slots));

    if (*deadline == 0) {
        *deadline =
            tsgi_clock_now() + apr_time_from_msec(slots->generation->queue_timeout);
    }
    const int is_leased = wait_loop(&w, client, *deadline, lease);
    for (int slot = 0; slot < slots->nslots; slot++) {
        if (w.seats[slot].connection != NULL) {
            tsgi_pool_give_pending(slot_pool(slots, slot), w.seats[slot].connection);
        }
    }
    return is_leased;
}

/* ---- taking back -------------------------------------------------------------------- */

int tsgi_balance_has_better(const tsgi_slots_t *slots, int slot, apr_time_t since)
{
    const apr_time_t now = tsgi_clock_now();
    const apr_uint32_t own = tsgi_load_get(slots, slot);
    const int is_silent = tsgi_pool_hints(slot_pool(slots, slot), now).served_at <= since;

    for (int i = 0; i < slots->nslots; i++) {
        const tsgi_pool_hints_t hints = tsgi_pool_hints(slot_pool(slots, i), now);
        if (i == slot || hints.ready <= 0 || hints.is_penalised) {
            continue;
        }
        if (tsgi_load_get(slots, i) < own || (is_silent && hints.served_at > since)) {
            return 1;
        }
    }
    return 0;
}

/* ---- the queue ---------------------------------------------------------------------- */

/*
 * What waits is what no worker has begun with: requests without a worker, and those that a worker
 * leaves unread since it has `concurrency` in hand. Those of children that have died do not count.
 * @return 1 if more wait than may.
 */
static int is_overfull(tsgi_slots_t *slots)
{
    const tsgi_generation_t *generation = slots->generation;
    const apr_int64_t most =
        generation->concurrency * slots->nslots + generation->queue_size;
    return tsgi_load_total(slots) > most &&
           !(tsgi_load_bury(slots) && tsgi_load_total(slots) <= most);
}

static int refuse(const tsgi_slots_t *slots, tsgi_error_t *error)
{
    error->kind = TSGI_FAIL_FULL;
    error->refusals = &slots->generation->refused;
    return 0;
}

/* Counts first and looks then, so that a crowd does not slip in together. @return 0: refused. */
static int queue_enter(tsgi_slots_t *slots, const tsgi_lease_t *lease,
                       tsgi_error_t *error)
{
    tsgi_load_add(slots, TSGI_LOAD_WAITING(slots));
    if (lease->is_admitted || !is_overfull(slots)) {
        return 1;
    }
    tsgi_load_sub(slots, TSGI_LOAD_WAITING(slots));
    return refuse(slots, error);
}

static void queue_leave(tsgi_slots_t *slots)
{
    tsgi_load_sub(slots, TSGI_LOAD_WAITING(slots));
}

/*
 * Of a crowd that found the same worker free, those beyond its `concurrency` are the queue's; and
 * who overtakes those that wait already must find a place behind them.
 */
static int may_stay(tsgi_lease_t *lease, tsgi_error_t *error)
{
    tsgi_slots_t *slots = lease->slots;
    const apr_uint32_t load = tsgi_load_get(slots, TSGI_LOAD_WAITING(slots)) +
                              tsgi_load_get(slots, lease->slot);
    if (load <= slots->generation->concurrency || !is_overfull(slots)) {
        return 1;
    }
    tsgi_lease_release(lease, tsgi_clock_now());
    return refuse(slots, error);
}

/* ---- the choice --------------------------------------------------------------------- */

/* Those who look at the same moment see the same slot: who then finds others there looks again. */
static int take_uncrowded(tsgi_slots_t *slots, const candidate_t *chosen, apr_time_t now,
                          tsgi_lease_t *lease)
{
    const int is_admitted = lease->is_admitted;
    if (!take_ready(slots, chosen->slot, lease)) {
        return 0;
    }
    if (slots->nslots == 1 || tsgi_load_get(slots, chosen->slot) <= chosen->load + 1) {
        return 1;
    }
    tsgi_lease_uncount(lease);
    tsgi_pool_give(slot_pool(slots, chosen->slot), lease->connection, now);
    lease->connection = NULL;
    lease->is_admitted = is_admitted;
    const choice_t again = look(slots, now);
    return again.ready.slot >= 0 && take_ready(slots, again.ready.slot, lease);
}

static int choose(request_rec *r, tsgi_client_t *client, tsgi_slots_t *slots,
                  apr_time_t now, const choice_t *choice, tsgi_lease_t *lease)
{
    const candidate_t *ready = &choice->ready, *alive = &choice->alive;
    const int is_ready_best =
        ready->slot >= 0 && (alive->slot < 0 || ready->load <= alive->load);

    if (is_ready_best && take_uncrowded(slots, ready, now, lease)) {
        return 1;
    }
    if (alive->slot >= 0 && !is_ready_best &&
        take_alive(r, client, slots, alive->slot, GREETING_PATIENCE_MS, lease) ==
            TSGI_GREETING_HELLO) {
        return 1;
    }
    return ready->slot >= 0 && take_ready(slots, ready->slot, lease);
}

/* Whether a worker is there that would begin with one more at once. */
static int has_room(const tsgi_slots_t *slots, const choice_t *choice)
{
    const apr_int64_t concurrency = slots->generation->concurrency;
    return (choice->ready.slot >= 0 && choice->ready.load < concurrency) ||
           (choice->alive.slot >= 0 && choice->alive.load < concurrency);
}

int tsgi_balance_acquire(request_rec *r, tsgi_client_t *client, tsgi_slots_t *slots,
                         apr_time_t now, apr_time_t *deadline, tsgi_lease_t *lease,
                         tsgi_error_t *error)
{
    const choice_t choice = look(slots, now);
    const int is_new = !lease->is_admitted;
    const int is_direct = has_room(slots, &choice);

    lease->connection = NULL;
    if (slots->nslots > 1 && choice.ready.slot >= 0) {
        probe_silent(r, slots, now);
    }
    if (take_preferred(r, client, slots, now, lease)) {
        return !is_new || may_stay(lease, error);
    }
    if (is_direct && choose(r, client, slots, now, &choice, lease)) {
        return !is_new || may_stay(lease, error);
    }
    if (!queue_enter(slots, lease, error)) {
        return 0;
    }
    const int is_leased = (!is_direct && choose(r, client, slots, now, &choice, lease)) ||
                          wait_for_hello(r, client, slots, deadline, lease, error);
    queue_leave(slots);
    return is_leased;
}
