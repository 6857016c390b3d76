/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_pump.h The inside of an exchange, shared by the files that move it:
 * tsgi_exchange.c (workers one after the other), tsgi_pump.c (waiting and receiving),
 * tsgi_frames.c (what the worker says), tsgi_upload.c (what the client sends), tsgi_upgrade.c
 * (the client's descriptor), tsgi_tunnel.c (after 101) and tsgi_relay.c (tunnels without a thread
 * each). One thread at a time: that of the request, then, of a tunnel, that of its poller.
 * Nobody else includes this file.
 */
#ifndef TSGI_PUMP_H
#define TSGI_PUMP_H

#include "tsgi_balance.h"
#include "tsgi_body.h"
#include "tsgi_client.h"
#include "tsgi_connection.h"
#include "tsgi_error.h"
#include "tsgi_generation.h"
#include "tsgi_request.h"
#include "tsgi_response.h"

/** How far the worker has come with the request, as far as this side knows. */
typedef enum {
    TSGI_STATE_SENDING, /* the head is not written whole: the app cannot have seen it */
    TSGI_STATE_SENT,    /* the head is written whole; nothing has come back */
    TSGI_STATE_BEGUN,   /* the app has it */
    TSGI_STATE_PASSED, /* the worker has the client's descriptor: nothing can be answered */
    TSGI_STATE_HEAD,   /* the response head has come */
    TSGI_STATE_TUNNEL, /* it was 101: bytes both ways */
    TSGI_STATE_HALF    /* and the app has ended its half */
} tsgi_state_t;

/** What a step of the pump came to. */
typedef enum {
    TSGI_STEP_MORE,    /* go on */
    TSGI_STEP_WAIT,    /* nothing can be done before one of the two sides moves */
    TSGI_STEP_DONE,    /* the response is whole */
    TSGI_STEP_SWITCH,  /* the response is 101: the rest is a tunnel */
    TSGI_STEP_SUSPEND, /* a poller has the tunnel from now on */
    TSGI_STEP_AGAIN,   /* the app has not seen the request: another worker */
    TSGI_STEP_FAIL     /* x->error says why */
} tsgi_step_t;

enum {
    TSGI_PART_HEAD,
    TSGI_PART_FRAME,
    TSGI_PART_DATA,
    TSGI_PART_END = TSGI_PART_DATA + TSGI_PIECE_PARTS,
    TSGI_PART_COUNT
};

typedef struct {
    request_rec *r;
    const tsgi_route_t *route;
    tsgi_slots_t *slots;
    tsgi_client_t client;
    tsgi_head_t head;
    tsgi_body_t body;
    tsgi_reply_t reply;
    tsgi_error_t error;
    apr_time_t
        deadline; /* of the wait for a worker: queue-timeout; 0 = it never waited */
    int resends, stale;
    int deaths;        /* workers that ended with the request before they began it */
    unsigned dead_pid; /* the last of them */
    int is_sticky;     /* clients come back to their worker */
    int is_taken_back; /* from a worker that gave no sign: once per request */

    /* One attempt. */
    tsgi_lease_t lease;
    tsgi_state_t state;
    struct iovec parts[TSGI_PART_COUNT]; /* what is being written; empty ones are done */
    uint8_t frame[TSGI_FRAME_HEADER];
    apr_uint64_t written;
    int is_body_sent; /* BODY_END, or a head without body, is written or in parts */
    int is_broken;    /* writing failed: only what is queued can still be read */
    int is_lost;      /* the end of the connection was read */
    int is_leaving;   /* GOAWAY: the connection is not used again */
    int wants_write, wants_client; /* what the next wait is for, besides the worker */
    int has_more;       /* tsgi_upload_push() stopped before anything stopped it */
    uint32_t data_left; /* of the DATA frame whose header was consumed */
    int is_last_data;   /* that frame has FIN */
    char *spare;        /* memory for the next piece of body, or NULL */
    int informs;
    apr_size_t inform_bytes;
    unsigned rounds;        /* of the pump since the client was looked at */
    apr_time_t client_due;  /* when it is next; 0 = not planned yet */
    unsigned seen_passes;   /* reply.passes at that time */
    const char *log_prefix; /* of LOG lines of this attempt; NULL = none came */
    apr_time_t log_second;  /* which second log_lines counts */
    int log_lines;          /* LOG frames in that second */
    unsigned log_dropped;   /* LOG frames over the limit, not yet told */
    apr_time_t idle_since;  /* 0 = a byte of a body or a whole frame has moved since
                               anybody looked: one that drips is as good as silent */
    apr_time_t whole_since; /* the worker has read the whole request; 0 = not known */
} tsgi_exchange_t;

/* ---- tsgi_pump.c -------------------------------------------------------------------- */

/**
 * Moves request and response until nothing is left to do on this connection. Never
 * TSGI_STEP_MORE.
 */
tsgi_step_t tsgi_pump_run(tsgi_exchange_t *x);
/** Notes the failure; the first one counts. @return TSGI_STEP_FAIL. */
tsgi_step_t tsgi_pump_fail(tsgi_exchange_t *x, tsgi_failure_t kind);
/** For a failure of the output filters. @return TSGI_STEP_FAIL. */
tsgi_step_t tsgi_pump_fail_output(tsgi_exchange_t *x, apr_status_t rv);
/**
 * Receives once, without waiting, for somebody who waits himself. *is_quiet: nothing was there.
 * @return TSGI_STEP_DONE: the worker has ended a tunnel both ways.
 */
tsgi_step_t tsgi_pump_receive(tsgi_exchange_t *x, int *is_quiet);
/** Gives back memory that is kept for the next piece of a response body. */
void tsgi_pump_free_spare(tsgi_exchange_t *x);
/** @return 1 if the worker must send STARTED before it calls the app. */
int tsgi_pump_needs_started(const tsgi_exchange_t *x);

/* ---- tsgi_frames.c ------------------------------------------------------------------ */

/** Acts on everything that has been received. @return TSGI_STEP_MORE: that was all. */
tsgi_step_t tsgi_frames_take(tsgi_exchange_t *x);
/** Tells, once, how many LOG frames were not logged. */
void tsgi_frames_log_dropped(tsgi_exchange_t *x);
/** After body bytes were passed on. @return TSGI_STEP_DONE if nothing more is wanted. */
tsgi_step_t tsgi_frames_after_data(tsgi_exchange_t *x);

/* ---- tsgi_upgrade.c ----------------------------------------------------------------- */

/**
 * The worker has asked for the client's descriptor: sends it, and lets go of httpd's own.
 * @return TSGI_STEP_MORE: its answer follows, for the access log only.
 */
tsgi_step_t tsgi_upgrade_pass(tsgi_exchange_t *x);

/* ---- tsgi_tunnel.c ------------------------------------------------------------------ */

/** How a client's end of a half and its output can be seen and told. */
typedef enum {
    TSGI_TUNNEL_SOCKET, /* plain: poll(), shutdown() */
    TSGI_TUNNEL_TLS,    /* a socket; TLS cannot end one half alone */
    TSGI_TUNNEL_STREAM  /* of HTTP/2: a pipe that tells of input, or nothing */
} tsgi_tunnel_kind_t;

typedef struct {
    tsgi_exchange_t *x;
    conn_rec *c;
    tsgi_tunnel_kind_t kind;
    int fd;                   /* to poll for the client; -1 = none */
    int is_worker_silent;     /* its socket has ended and is not polled */
    int is_half_told;         /* the client knows that the app has ended its half */
    apr_time_t stalled_since; /* the client takes nothing; 0 = it does */
} tsgi_tunnel_t;

/** Sends the head 101, then bytes both ways until the end. Never TSGI_STEP_MORE. */
tsgi_step_t tsgi_tunnel_run(tsgi_exchange_t *x);
/** Sends the head 101; the rest is move, wants and note, by turns, until move or note ends it. */
void tsgi_tunnel_begin(tsgi_tunnel_t *t, tsgi_exchange_t *x);
/**
 * Moves bytes both ways, without waiting, as far as both sides take them.
 * @return MORE: call again, others first; WAIT: until what tsgi_tunnel_wants() says; DONE, FAIL.
 */
tsgi_step_t tsgi_tunnel_move(tsgi_tunnel_t *t);
/** What to poll for: [0] the worker, [1] the client; fd -1 = nothing. */
void tsgi_tunnel_wants(const tsgi_tunnel_t *t, struct pollfd fds[2]);
/** When the wait is over though nothing moved: a client takes nothing; 0 = never. */
apr_time_t tsgi_tunnel_deadline(const tsgi_tunnel_t *t);
/** After a wait, with what it found in revents. @return MORE: move; FAIL: the client is given up. */
tsgi_step_t tsgi_tunnel_note(tsgi_tunnel_t *t, const struct pollfd fds[2]);
/** Writes what httpd's core filter holds, as far as the client takes it now. */
apr_status_t tsgi_tunnel_push(conn_rec *c);

/* ---- tsgi_exchange.c ---------------------------------------------------------------- */

/**
 * The end of an exchange: gives the worker's connection back, reports what went wrong, ends the
 * response. @return what the handler returns.
 */
int tsgi_exchange_finish(tsgi_exchange_t *x, tsgi_step_t step);

/* ---- tsgi_upload.c ------------------------------------------------------------------ */

/** Writes as much as the worker takes now; reads from the client what is there now. */
tsgi_step_t tsgi_upload_push(tsgi_exchange_t *x);
/** @return 1 if everything that was to be written has been. */
int tsgi_upload_is_idle(const tsgi_exchange_t *x);
/** Forgets what is to be written. */
void tsgi_upload_clear(tsgi_exchange_t *x);

#endif
