/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_generation.h
 * The runtime of process groups: sockets, supervisors, log pipes, load counters. Outlives pconf.
 *
 * Owned by the Apache parent. Children inherit it by fork and only read it, but for the load
 * counters and tsgi_slot_t.pool, which are theirs. See docs/architecture.md.
 */
#ifndef TSGI_GENERATION_H
#define TSGI_GENERATION_H

#include "tsgi_clock.h"
#include "tsgi_config.h"
#include "tsgi_error.h"
#include "tsgi_outage.h"
#include "tsgi_places.h"
#include "tsgi_rows.h"
#include "../native/wire/tsgi_wire.h"
#include "ap_mpm.h"
#include "scoreboard.h"

typedef struct tsgi_pool_t
    tsgi_pool_t; /* tsgi_pool.h: connections of one child to one slot */

/** A listening socket of ours, with no name in any directory. Made by tsgi_socket_open(). */
typedef struct {
    int listen_fd; /**< parent only; −1 in children */
    int path_fd;   /**< O_PATH fd of the socket, kept by parent and children */
    char path[32]; /**< "/proc/self/fd/<path_fd>", what connect(2) is given */
} tsgi_socket_t;

/** One worker's place: a listening socket. */
typedef struct {
    int index; /**< 0..processes-1 */
    tsgi_socket_t socket;
    tsgi_pool_t *pool; /**< child only; made at the first use by tsgi_pool.c */
} tsgi_slot_t;

/** Load counters of an application group, in memory shared by Apache's children only. */
typedef struct {
    tsgi_rows_t rows;
    int columns; /**< one for each slot: requests in hand; TSGI_LOAD_WAITING, _RELAYS */
    apr_uint32_t *counts; /**< [columns * rows.count]: those of one slot lie together */
} tsgi_load_t;

/**
 * The slots of one application group with one list of scripts. Another list gets other slots: a worker
 * knows its own list only, and Apache's old children go on with the one that they know.
 */
struct tsgi_slots_t {
    apr_pool_t *pool; /**< its own */
    const char *name; /**< of the application group */
    tsgi_generation_t *generation;
    int nslots;
    tsgi_slot_t *slots;
    tsgi_load_t load;
    int row; /**< child only: its row in load, −1 = none (then counts are not shared) */
    apr_uint32_t
        *own; /**< child only: [load.columns] of a child that found no free row */

    /* The parent's: what the supervisor is told. */
    apr_array_header_t *scripts; /**< const char * */
    int pattern;
    tsgi_start_t start;
    int sent;    /**< the supervisor that runs now has the sockets */
    int seen;    /**< the configuration that is being put in force names it */
    int retired; /**< not in the configuration any more: goes with the old children */
    ap_generation_t
        retired_at; /**< children of httpd generations before this one still use it */
    tsgi_slots_t *next;
};

/**
 * RUNNING: in the configuration. RETIRING: no longer, but old Apache children may still use it; a
 * configuration that names it again makes it RUNNING again. DRAINING: its supervisor was told to finish.
 * DEAD: the supervisor has ended, or never ran; freed at the next occasion.
 */
typedef enum {
    TSGI_GEN_RUNNING,
    TSGI_GEN_RETIRING,
    TSGI_GEN_DRAINING,
    TSGI_GEN_DEAD
} tsgi_gen_state_t;

/** One configuration of a process group and its supervisor. In its own subpool of process->pool. */
struct tsgi_generation_t {
    apr_pool_t *pool;
    const char *group; /**< name of the process group */
    unsigned char id[TSGI_GENERATION_SIZE];
    unsigned char secret[TSGI_SECRET_SIZE];
    tsgi_gen_state_t state;
    apr_port_t port;           /**< of Apache: what PORT is to the apps */
    tsgi_slots_t *first_slots; /**< of all application groups, in order */
    /* Copies of options that the request path needs, in ms. */
    apr_int64_t connect_timeout, queue_timeout, socket_timeout;
    apr_int64_t request_timeout; /**< 0 = none */
    apr_int64_t concurrency;     /**< of one worker */
    apr_int64_t queue_size;      /**< requests of one application group */
    int sticky;                  /**< clients come back to their worker */
    tsgi_places_t places;        /**< of threads of Apache: apache-threads */
    tsgi_refusals_t refused;     /**< child only */
    uid_t uid;                   /**< the workers' */
    /** Where children ask the supervisor how a worker died; see tsgi_inquest.h. */
    tsgi_socket_t inquest;
    tsgi_outage_t *outage; /**< shared; never NULL */
    /* The rest is the parent's, see tsgi_generation.c */
    struct tsgi_supervisor_t *supervisor;
    server_rec *server; /**< whose log is the group's; of the configuration in force */
    int seen;           /**< the configuration that is being put in force names it */
    ap_generation_t
        retired_at; /**< children of httpd generations before this one still use it */
    apr_time_t retire_by; /**< drained then, whatever the children do */
    tsgi_generation_t *next;
};

/** Drain what retires after this time even if old Apache children live on. */
#define TSGI_DRAIN_TIMEOUT apr_time_from_sec(60)

/** An Apache child has started or ended. Takes a tsgi_process_t; other builds call it as well. */
void tsgi_generation_child_changed(void *process, long pid, int httpd_generation,
                                   int is_started);

/**
 * post_config: brings the runtime in line with the configuration: keeps, makes and retires
 * generations, sets tsgi_group_t.generation and tsgi_app_t.slots, starts supervisors and `tsgi: log`.
 * Failures of one group are logged and stand in tsgi_group_t.error (fatal only at the first start).
 */
int tsgi_generation_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                                server_rec *s);
/** child_init: closes what is the parent's, claims rows of the load counters. */
void tsgi_generation_child_init(apr_pool_t *pchild, server_rec *s);
/** child_status: zeroes rows of children that have gone; retires generations. */
void tsgi_generation_child_status(server_rec *s, pid_t pid, ap_generation_t gen, int slot,
                                  mpm_child_status status);
/**
 * monitor (parent; about every 10 s, the loops of httpd's MPMs call it no more often): drains what
 * retires, kills what drains too long. Respawns don't wait for it, see tsgi_timer.h.
 */
int tsgi_generation_monitor(apr_pool_t *p, server_rec *s);

/**
 * Whether a group's process runs already with another configuration than this one, its port apart. Parent,
 * while the configuration is checked.
 */
int tsgi_generation_is_changed(const tsgi_group_t *group);
/** The column of requests that wait for a slot: none has them in hand. */
#define TSGI_LOAD_WAITING(slots) ((slots)->nslots)
/** The column of upgraded connections that hold a thread of Apache. */
#define TSGI_LOAD_RELAYS(slots) ((slots)->nslots + 1)

/** Requests in hand of a slot: own row and all others. Any thread of a child. */
apr_uint32_t tsgi_load_get(const tsgi_slots_t *slots, int slot);
/** In hand of all slots, and waiting. Not for every request: it reads all the counters. */
apr_uint32_t tsgi_load_total(const tsgi_slots_t *slots);
/** Takes out those of children that died and that the parent has not missed yet. @return 1 if there was one. */
int tsgi_load_bury(tsgi_slots_t *slots);
/** One more, or one less, of the calling child's. */
void tsgi_load_add(tsgi_slots_t *slots, int slot);
void tsgi_load_sub(tsgi_slots_t *slots, int slot);

#endif
