/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_log.h
 * The logs of apps: a pipe per generation, and the process `tsgi: log` that reads them all.
 *
 * No app ever holds Apache's own log file (it could truncate it), and no app waits for a log that is
 * slow. The process is forked by the parent at every (re)start, with the configuration just read, so
 * that its lines go where the virtual host's ErrorLog says. It runs as Apache's User.
 */
#ifndef TSGI_LOG_H
#define TSGI_LOG_H

#include "httpd.h"
#include "apr_pools.h"
#include "apr_thread_proc.h"

struct tsgi_process_t;

/** Most bytes of one packet, header of the first record included (PIPE_BUF). */
#define TSGI_LOG_PACKET 4096
/** Most bytes of one line of the log; what is longer is cut. httpd's own limit is about this. */
#define TSGI_LOG_LINE 8192

typedef struct tsgi_log_run_t tsgi_log_run_t;

typedef struct {
    tsgi_log_run_t *run; /**< the process that reads now; NULL: none runs */
    apr_time_t due;      /**< start it then; 0 = not planned */
    int quick_deaths;
    server_rec *server; /**< main server of the configuration in force */
} tsgi_log_t;

/**
 * A log pipe in packet mode: one write of at most TSGI_LOG_PACKET bytes is one read. Both ends are
 * CLOEXEC and non-blocking; the caller owns them.
 */
apr_status_t tsgi_log_pipe(int *read_fd, int *write_fd);

/**
 * Forks `tsgi: log` for the configuration of main server s, then ends the one before it, which
 * still empties what it has read. Parent, post_config (after the generations) and after its death.
 */
apr_status_t tsgi_log_start(struct tsgi_process_t *process, server_rec *s);

/** No configuration needs it any more: it ends in its own time. Parent. */
void tsgi_log_end(struct tsgi_process_t *process);

/** Starts it again if its back-off is over. @return when it is to be started, 0 = not planned. */
apr_time_t tsgi_log_tick(struct tsgi_process_t *process, apr_time_t now);

/** Ends it: SIGTERM, at most a second for emptying the pipes, SIGKILL. Parent, on exit. */
void tsgi_log_stop(struct tsgi_process_t *process);

#endif
