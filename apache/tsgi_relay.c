/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_relay.h"
#include "tsgi_poller.h"
#include "tsgi_process.h"

#include "ap_mpm.h"
#include "apr_allocator.h"
#include "apr_strings.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Threads of one child that relay; each begins when it is first needed. */
#define POLLERS 2
/* After the last byte, the client has so long to end its half: httpd's SECONDS_TO_LINGER. */
#define LINGER apr_time_from_sec(2)
/*
 * Behind the suspend_connection hook httpd's thread still writes a word or two into the connection. Its
 * memory is given back when that has been seen, and so long after the hook at the earliest.
 */
#define LEAVE_AFTER apr_time_from_sec(1)
/* So long httpd lacks a place for a child, until an old one lets go of its tunnels. */
#define YIELD_AFTER apr_time_from_sec(5)
/* Below this an output of one piece could make httpd's core filter wait for the client. */
#define LEAST_THRESHOLD (64 * 1024 - 1)
/* httpd's, where AsyncRequestWorkerFactor is not set. */
#define DEFAULT_FACTOR 2
/* What a connection's allocator keeps of memory that large messages needed: it may rest for days. */
#define KEPT_FREE (32 * 1024)
/* For the request's pool. */
#define KEY "tsgi-relay"

struct tsgi_relay_t {
    server_rec *server; /* the main one, for its log */
    int is_stopping; /* under the lock: the child is to end when its connections have */
    int is_yielding; /* atomic: all tunnels end now */
    int limit;       /* of suspended connections; 0 = this MPM has none */
    int count;       /* atomic; of all that httpd counts */
    int tunnels;     /* atomic; of those that are open */
    apr_time_t crowded_since; /* atomic; 0 = it is not */
    unsigned turn;
    pthread_mutex_t lock; /* while pollers are started */
    apr_pool_t *pool;     /* under the lock */
    tsgi_poller_t *pollers[POLLERS];
};

typedef enum {
    PHASE_TUNNEL,    /* bytes both ways */
    PHASE_FLUSHING,  /* the request is over; its last bytes wait for the client */
    PHASE_LINGERING, /* this side has ended; the client's end is awaited */
    PHASE_LEAVING    /* closed; the memory waits for httpd's thread */
} phase_t;

/* One suspended connection. In its connection's pool. */
typedef struct {
    tsgi_watch_t watch; /* first: a watch is the relayed_t that it begins */
    tsgi_relay_t *relay;
    tsgi_poller_t *poller;
    conn_rec *c;
    tsgi_tunnel_t tunnel;
    phase_t phase;
    int fd;
    apr_interval_time_t timeout; /* of the server, for a client that takes nothing */
    apr_time_t suspended_at;
} relayed_t;

/* ---- the bounds --------------------------------------------------------------------- */

static double find_factor(const ap_directive_t *directive)
{
    double factor = -1;
    for (; directive != NULL && factor < 0; directive = directive->next) {
        if (strcasecmp(directive->directive, "AsyncRequestWorkerFactor") == 0) {
            factor = atof(directive->args);
        }
        else if (directive->first_child != NULL) {
            factor = find_factor(directive->first_child);
        }
    }
    return factor;
}

/* Half of the connections that event accepts while all of its threads are idle; and of the descriptors,
 * of which each takes two. */
static int suspended_limit(void)
{
    struct rlimit files;
    int is_async = 0, threads = 0;

    if (ap_mpm_query(AP_MPMQ_IS_ASYNC, &is_async) != APR_SUCCESS || !is_async ||
        ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS || threads < 1) {
        return 0;
    }
    const double found = find_factor(ap_conftree);
    double limit = threads * (1 + (found > 0 ? found : DEFAULT_FACTOR)) / 2;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && limit > (double)files.rlim_cur / 4) {
        limit = (double)files.rlim_cur / 4;
    }
    return limit < 1 ? 1 : limit > 1e6 ? 1000000 : (int)limit;
}

static int enter(tsgi_relay_t *relay)
{
    if (__atomic_add_fetch(&relay->count, 1, __ATOMIC_SEQ_CST) <= relay->limit) {
        return 1;
    }
    __atomic_sub_fetch(&relay->count, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static void leave(tsgi_relay_t *relay)
{
    __atomic_sub_fetch(&relay->count, 1, __ATOMIC_SEQ_CST);
}

/* Nothing of the 101 has left: the client gets a 503 in its place. */
static tsgi_step_t refuse(tsgi_exchange_t *x, const char *detail)
{
    x->state = TSGI_STATE_HEAD;
    x->error.detail = detail;
    x->error.refusals = &x->slots->generation->refused;
    return tsgi_pump_fail(x, TSGI_FAIL_RELAYS);
}

static tsgi_step_t run_on_thread(tsgi_exchange_t *x)
{
    tsgi_slots_t *slots = x->slots;
    const apr_uint32_t half = slots->generation->places.limit / 2;
    const apr_uint32_t limit = half > 0 ? half : 1;
    tsgi_step_t step;

    tsgi_load_add(slots, TSGI_LOAD_RELAYS(slots));
    if (tsgi_load_get(slots, TSGI_LOAD_RELAYS(slots)) > limit) {
        step = refuse(x, apr_psprintf(x->r->pool,
                                      "they hold %u threads of Apache, half of "
                                      "apache-threads",
                                      limit));
    }
    else {
        tsgi_lease_uncount(&x->lease);
        step = tsgi_tunnel_run(x);
    }
    tsgi_load_sub(slots, TSGI_LOAD_RELAYS(slots));
    return step;
}

/* ---- the end of a connection -------------------------------------------------------- */

static tsgi_watch_result_t leave_connection(relayed_t *relayed)
{
    conn_rec *c = relayed->c;
    tsgi_relay_t *relay = relayed->relay;
    const apr_time_t now = tsgi_clock_now(), end = relayed->suspended_at + LEAVE_AFTER;

    if (now < end || __atomic_load_n(&c->sbh, __ATOMIC_ACQUIRE) != NULL) {
        relayed->watch.deadline = now < end ? end : now + LEAVE_AFTER;
        return TSGI_WATCH_WAIT;
    }
    tsgi_poller_remove(relayed->poller, &relayed->watch);
    /* httpd counts a connection out by its state, which the request's end has changed. */
    c->cs->state = CONN_STATE_SUSPENDED;
    apr_pool_destroy(c->pool); /* and with it *relayed */
    leave(relay);
    return TSGI_WATCH_GONE;
}

static tsgi_watch_result_t close_connection(relayed_t *relayed)
{
    tsgi_poller_forget(relayed->poller, &relayed->watch);
    (void)apr_socket_close(ap_get_conn_socket(relayed->c));
    relayed->phase = PHASE_LEAVING;
    return leave_connection(relayed);
}

static void wait_for_client(relayed_t *relayed, short events)
{
    relayed->watch.fds[1] = (struct pollfd){.fd = relayed->fd, .events = events};
}

/* What the client still sends is read, so that nothing resets the connection before it has read
 * what was sent to it. */
static tsgi_watch_result_t linger(relayed_t *relayed)
{
    char dropped[4096];
    const ssize_t n = recv(relayed->fd, dropped, sizeof(dropped), MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
        relayed->watch.error != 0 || tsgi_clock_now() >= relayed->watch.deadline) {
        return close_connection(relayed);
    }
    wait_for_client(relayed, POLLIN);
    return TSGI_WATCH_WAIT;
}

static tsgi_watch_result_t begin_linger(relayed_t *relayed)
{
    conn_rec *c = relayed->c;

    /* The filters' last words, TLS's close_notify among them, leave now or never. */
    if (ap_start_lingering_close(c) != 0) {
        return close_connection(relayed);
    }
    relayed->phase = PHASE_LINGERING;
    relayed->watch.deadline = tsgi_clock_now() + LINGER;
    return linger(relayed);
}

static tsgi_watch_result_t flush(relayed_t *relayed)
{
    conn_rec *c = relayed->c;

    if (c->aborted || !c->data_in_output_filters || relayed->watch.error != 0 ||
        tsgi_clock_now() >= relayed->watch.deadline ||
        tsgi_tunnel_push(c) != APR_SUCCESS || !c->data_in_output_filters) {
        return begin_linger(relayed);
    }
    wait_for_client(relayed, POLLOUT);
    return TSGI_WATCH_WAIT;
}

/* ---- an old child ------------------------------------------------------------------- */

/* Threads of a child that wait for work. */
static int count_idle(int child, int threads)
{
    int idle = 0;
    for (int i = 0; i < threads; i++) {
        idle += ap_scoreboard_image->servers[child][i].status == SERVER_READY;
    }
    return idle;
}

/*
 * Whether httpd needs another child and has no place for it, and this one is of the oldest generation.
 * A child whose tunnels live on holds its place; with ServerLimit places taken, in the end nothing
 * would be served any more but what the old children have.
 */
static int is_crowded(void)
{
    const ap_generation_t running = ap_scoreboard_image->global->running_generation;
    const ap_generation_t own = tsgi_process_generation();
    int places = 0, threads = 0, wanted = 0, spare = 0, serving = 0, idle = 0;

    if (ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &places) != APR_SUCCESS ||
        ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS ||
        ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &wanted) != APR_SUCCESS ||
        ap_mpm_query(AP_MPMQ_MIN_SPARE_THREADS, &spare) != APR_SUCCESS) {
        return 0;
    }
    for (int i = 0; i < places; i++) {
        const process_score *child = &ap_scoreboard_image->parent[i];
        if (child->pid == 0) {
            return 0;
        }
        if (child->generation < own) {
            return 0; /* an older one goes first */
        }
        if (child->generation == running && !child->quiescing) {
            serving++;
            idle += count_idle(i, threads);
        }
    }
    return serving < wanted && idle < (spare > 0 ? spare : 1);
}

/* It has been so for a while: children that start are not idle at once. */
static int is_crowded_for_long(tsgi_relay_t *relay)
{
    const apr_time_t now = tsgi_clock_now();
    const apr_time_t since = __atomic_load_n(&relay->crowded_since, __ATOMIC_RELAXED);

    if (!is_crowded()) {
        __atomic_store_n(&relay->crowded_since, 0, __ATOMIC_RELAXED);
        return 0;
    }
    if (since == 0) {
        __atomic_store_n(&relay->crowded_since, now, __ATOMIC_RELAXED);
    }
    return since != 0 && now - since >= YIELD_AFTER;
}

/* Of each poller once a second, when the child is to end. @return 1: all tunnels end. */
static int on_tick(void *data)
{
    tsgi_relay_t *relay = data;

    if (__atomic_load_n(&relay->is_yielding, __ATOMIC_RELAXED)) {
        return 1;
    }
    const int tunnels = __atomic_load_n(&relay->tunnels, __ATOMIC_RELAXED);
    if (tunnels == 0 || !is_crowded_for_long(relay) ||
        __atomic_exchange_n(&relay->is_yielding, 1, __ATOMIC_RELAXED)) {
        return 0;
    }
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, relay->server,
                 TSGI_LOGNO(0232) "this child of an earlier restart ends its relayed "
                                  "connections (%d): all places for children are taken; "
                                  "raise ServerLimit",
                 tunnels);
    return 1;
}

void tsgi_relay_child_stopping(apr_pool_t *pchild, int graceful)
{
    tsgi_process_t *process = tsgi_process_get();

    if (!graceful || process == NULL || process->relay == NULL) {
        return;
    }
    tsgi_relay_t *relay = process->relay;
    pthread_mutex_lock(&relay->lock);
    relay->is_stopping = 1; /* pollers that start from now on tick, too */
    for (int i = 0; i < POLLERS; i++) {
        if (relay->pollers[i] != NULL) {
            tsgi_poller_tick(relay->pollers[i]);
        }
    }
    pthread_mutex_unlock(&relay->lock);
}

/* ---- a tunnel in a poller ----------------------------------------------------------- */

/* httpd destroys the request though no poller has it: the worker hears of it. */
static apr_status_t on_request_gone(void *data)
{
    relayed_t *relayed = data;
    tsgi_lease_drop(&relayed->tunnel.x->lease);
    __atomic_sub_fetch(&relayed->relay->tunnels, 1, __ATOMIC_SEQ_CST);
    leave(relayed->relay);
    return APR_SUCCESS;
}

static tsgi_watch_result_t end_tunnel(relayed_t *relayed, tsgi_step_t step)
{
    tsgi_exchange_t *x = relayed->tunnel.x;
    request_rec *r = x->r;

    tsgi_poller_forget(relayed->poller, &relayed->watch);
    apr_pool_cleanup_kill(r->pool, relayed, on_request_gone);
    __atomic_sub_fetch(&relayed->relay->tunnels, 1, __ATOMIC_SEQ_CST);
    (void)tsgi_exchange_finish(x, step);
    ap_finalize_request_protocol(r);
    ap_process_request_after_handler(r); /* logs it; r and x are gone */
    relayed->phase = PHASE_FLUSHING;
    relayed->watch.deadline = tsgi_clock_now() + relayed->timeout;
    return flush(relayed);
}

static tsgi_watch_result_t move(relayed_t *relayed)
{
    tsgi_watch_t *watch = &relayed->watch;
    tsgi_tunnel_t *tunnel = &relayed->tunnel;
    tsgi_step_t step;

    if (watch->error != 0) {
        tunnel->x->error.os_error = watch->error;
        step = tsgi_pump_fail(tunnel->x, TSGI_FAIL_UPGRADE);
    }
    else if (__atomic_load_n(&relayed->relay->is_yielding, __ATOMIC_RELAXED)) {
        step = tsgi_pump_fail(tunnel->x, TSGI_FAIL_UPGRADE);
    }
    else {
        step = tsgi_tunnel_note(tunnel, watch->fds);
    }
    if (step == TSGI_STEP_MORE) {
        step = tsgi_tunnel_move(tunnel);
    }
    if (step != TSGI_STEP_MORE && step != TSGI_STEP_WAIT) {
        return end_tunnel(relayed, step);
    }
    tsgi_tunnel_wants(tunnel, watch->fds);
    watch->deadline = tsgi_tunnel_deadline(tunnel);
    return step == TSGI_STEP_MORE ? TSGI_WATCH_AGAIN : TSGI_WATCH_WAIT;
}

static tsgi_watch_result_t serve(tsgi_watch_t *watch)
{
    relayed_t *relayed = (relayed_t *)(void *)watch;

    switch (relayed->phase) {
    case PHASE_TUNNEL:
        return move(relayed);
    case PHASE_FLUSHING:
        return flush(relayed);
    case PHASE_LINGERING:
        return linger(relayed);
    case PHASE_LEAVING:
        break;
    }
    return leave_connection(relayed);
}

void tsgi_relay_suspended(conn_rec *c, request_rec *r)
{
    void *data = NULL;

    if (r == NULL || c->cs == NULL || c->cs->state != CONN_STATE_SUSPENDED ||
        apr_pool_userdata_get(&data, KEY, r->pool) != APR_SUCCESS || data == NULL) {
        return;
    }
    relayed_t *relayed = data;
    relayed->suspended_at = tsgi_clock_now();
    tsgi_poller_add(relayed->poller, &relayed->watch);
}

/* ---- the beginning ------------------------------------------------------------------ */

/* @return NULL if no thread can be had. */
static tsgi_poller_t *pick_poller(tsgi_relay_t *relay, request_rec *r)
{
    const unsigned turn = __atomic_fetch_add(&relay->turn, 1, __ATOMIC_RELAXED);
    tsgi_poller_t **place = &relay->pollers[turn % POLLERS];
    apr_status_t rv = APR_SUCCESS;

    pthread_mutex_lock(&relay->lock);
    if (*place == NULL) {
        rv = tsgi_poller_start(relay->pool, on_tick, relay, place);
        if (*place != NULL && relay->is_stopping) {
            tsgi_poller_tick(*place);
        }
    }
    tsgi_poller_t *poller = *place;
    pthread_mutex_unlock(&relay->lock);
    if (poller == NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, rv, r,
                      TSGI_LOGNO(0231) "a thread that relays upgraded connections could "
                                       "not be started; this one holds a thread of its "
                                       "own");
    }
    return poller;
}

/*
 * Only where httpd's event MPM runs the request itself, as the client's one: around a subrequest or
 * behind an internal redirect others wait for the handler's end, on HTTP/2 a thread of mod_http2.
 */
static int is_suspendable(const tsgi_relay_t *relay, const tsgi_exchange_t *x)
{
    const request_rec *r = x->r;
    const conn_rec *c = r->connection;
    const core_server_config *core =
        ap_get_core_module_config(c->base_server->module_config);

    return relay != NULL && relay->limit > 0 && r->main == NULL && r->prev == NULL &&
           c->master == NULL && c->cs != NULL && !c->clogging_input_filters &&
           x->client.fd >= 0 && core->flush_max_threshold >= LEAST_THRESHOLD;
}

static tsgi_step_t suspend(tsgi_relay_t *relay, tsgi_poller_t *poller, tsgi_exchange_t *x)
{
    request_rec *r = x->r;
    conn_rec *c = r->connection;
    relayed_t *relayed = apr_pcalloc(c->pool, sizeof(*relayed));

    relayed->watch.serve = serve;
    relayed->watch.fds[0].fd = relayed->watch.fds[1].fd = -1;
    relayed->relay = relay;
    relayed->poller = poller;
    relayed->c = c;
    relayed->fd = x->client.fd;
    relayed->timeout = r->server->timeout;
    tsgi_lease_uncount(&x->lease);
    tsgi_tunnel_begin(&relayed->tunnel, x);
    if (c->aborted) {
        leave(relay);
        return tsgi_pump_fail(x, TSGI_FAIL_CLIENT); /* httpd would not suspend it */
    }
    /* %h of the access log: a poller that asked the DNS would hold up all others. */
    (void)ap_get_useragent_host(r, REMOTE_NAME, NULL);
    /* Whatever a filter flushes (TLS, when keys are updated) leaves now, or the client is given up. */
    (void)apr_socket_timeout_set(ap_get_conn_socket(c), 0);
    tsgi_connection_trim(x->lease.connection);
    apr_allocator_max_free_set(apr_pool_allocator_get(c->pool), KEPT_FREE);
    __atomic_add_fetch(&relay->tunnels, 1, __ATOMIC_SEQ_CST);
    apr_pool_userdata_setn(relayed, KEY, NULL, r->pool);
    apr_pool_cleanup_register(r->pool, relayed, on_request_gone, apr_pool_cleanup_null);
    return TSGI_STEP_SUSPEND;
}

tsgi_step_t tsgi_relay_run(tsgi_exchange_t *x)
{
    tsgi_relay_t *relay = tsgi_process_get()->relay;

    if (!is_suspendable(relay, x)) {
        return run_on_thread(x);
    }
    if (!enter(relay)) {
        return refuse(x, apr_psprintf(x->r->pool,
                                      "this Apache child relays %d, half of the "
                                      "connections or a quarter of the descriptors that "
                                      "it may have",
                                      relay->limit));
    }
    tsgi_poller_t *poller = pick_poller(relay, x->r);
    if (poller == NULL) {
        leave(relay);
        return run_on_thread(x);
    }
    return suspend(relay, poller, x);
}

/* ---- life --------------------------------------------------------------------------- */

/* Before any of the child's pools goes. After a graceful end there are no tunnels any more. */
static apr_status_t stop_pollers(void *data)
{
    tsgi_relay_t *relay = data;
    for (int i = 0; i < POLLERS; i++) {
        if (relay->pollers[i] != NULL) {
            tsgi_poller_stop(relay->pollers[i]);
            relay->pollers[i] = NULL;
        }
    }
    return APR_SUCCESS;
}

void tsgi_relay_child_init(apr_pool_t *pchild, server_rec *s)
{
    tsgi_process_t *process = tsgi_process_get();
    if (process == NULL) {
        return;
    }
    tsgi_relay_t *relay = apr_pcalloc(pchild, sizeof(*relay));
    if (pthread_mutex_init(&relay->lock, NULL) != 0) {
        return; /* threads relay */
    }
    relay->server = s;
    relay->limit = suspended_limit();
    apr_pool_create(&relay->pool, pchild);
    apr_pool_pre_cleanup_register(pchild, relay, stop_pollers);
    process->relay = relay;
}
