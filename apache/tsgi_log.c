/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_log.h"
#include "tsgi_log_reader.h"
#include "tsgi_process.h"
#include "tsgi_spawn.h"
#include "tsgi_supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* The kernel's default holds 16 packets only. */
#define PIPE_SIZE (1024 * 1024)
#define PIPE_SIZE_MODEST (256 * 1024)
#define QUICK_DEATH apr_time_from_sec(10)

/*
 * One process. Its registration outlives the moment when the next one takes over: a child that
 * nobody has registered makes httpd log "long lost child came home".
 */
struct tsgi_log_run_t {
    tsgi_process_t *process;
    apr_pool_t *pool;
    apr_proc_t child;
    apr_time_t started;
};

apr_status_t tsgi_log_pipe(int *read_fd, int *write_fd)
{
    int ends[2];
    if (pipe2(ends, O_DIRECT | O_NONBLOCK | O_CLOEXEC) != 0) {
        return errno;
    }
    /* Best effort: beyond the user's limit of pipe memory it stays as it is. */
    if (fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE) < 0) {
        (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE_MODEST);
    }
    *read_fd = ends[0];
    *write_fd = ends[1];
    return APR_SUCCESS;
}

static void plan(tsgi_log_t *log, apr_interval_time_t lived, int status)
{
    apr_interval_time_t wait;
    log->quick_deaths = lived < QUICK_DEATH ? log->quick_deaths + 1 : 1;
    wait = tsgi_supervisor_backoff(log->quick_deaths);
    log->due = tsgi_clock_now() + wait;
    ap_log_error(APLOG_MARK, tsgi_process_is_stopping() ? APLOG_INFO : APLOG_WARNING, 0,
                 log->server,
                 TSGI_LOGNO(0071) "the log process ended unexpectedly (exit status "
                                  "or signal %d); the apps' log lines wait in their "
                                  "pipes until another one runs, "
                                  "in %.1f s",
                 status, (double)wait / (double)APR_USEC_PER_SEC);
}

static void run_died(int reason, void *data, int status)
{
    tsgi_log_run_t *run = data;
    tsgi_process_t *process = run->process;
    apr_time_t started = run->started;
    int current = process->log.run == run;

    if (reason != APR_OC_REASON_DEATH && reason != APR_OC_REASON_LOST) {
        return;
    }
    apr_pool_destroy(run->pool); /* Unregisters it, too. */
    if (!current) {
        return; /* Its successor has long been reading. */
    }
    process->log.run = NULL;
    plan(&process->log, tsgi_clock_now() - started, status);
    if (!tsgi_process_is_stopping()) {
        tsgi_generation_tick(process);
    }
}

apr_status_t tsgi_log_start(tsgi_process_t *process, server_rec *s)
{
    tsgi_log_t *log = &process->log;
    tsgi_log_run_t *before = log->run;
    tsgi_log_run_t *run;
    apr_pool_t *pool;
    pid_t parent = getpid();
    pid_t pid;

    log->server = s;
    log->due = 0;
    pid = tsgi_spawn_role("tsgi: log", SIGTERM);
    if (pid == 0) {
        tsgi_log_reader_main(process, s, parent);
    }
    if (pid < 0) {
        apr_status_t rv = errno;
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                     TSGI_LOGNO(0070) "the log process could not be forked; %s. Give "
                                      "httpd more processes",
                     before != NULL ? "the one of the former configuration goes on"
                                    : "the apps' log lines wait, next try within 10 s");
        if (before == NULL) {
            log->due = tsgi_clock_now() + tsgi_supervisor_backoff(9);
        }
        return rv;
    }
    apr_pool_create(&pool, process->pool);
    apr_pool_tag(pool, "tsgi_log");
    run = apr_pcalloc(pool, sizeof(*run));
    run->process = process;
    run->pool = pool;
    run->child.pid = pid;
    run->started = tsgi_clock_now();
    log->run = run;
    apr_proc_other_child_register(&run->child, run_died, run, NULL, pool);
    if (before != NULL) {
        kill(before->child.pid, SIGTERM);
    }
    return APR_SUCCESS;
}

void tsgi_log_end(tsgi_process_t *process)
{
    tsgi_log_run_t *run = process->log.run;
    process->log.run = NULL;
    process->log.due = 0;
    if (run != NULL) {
        kill(run->child.pid, SIGTERM);
    }
}

apr_time_t tsgi_log_tick(tsgi_process_t *process, apr_time_t now)
{
    if (process->log.due != 0 && now >= process->log.due && process->log.server != NULL) {
        (void)tsgi_log_start(process, process->log.server);
    }
    return process->log.due;
}

void tsgi_log_stop(tsgi_process_t *process)
{
    tsgi_log_run_t *run = process->log.run;
    apr_time_t deadline = tsgi_clock_now() + apr_time_from_sec(1);
    pid_t got;
    if (run == NULL) {
        return;
    }
    process->log.run = NULL;
    kill(run->child.pid, SIGTERM);
    while ((got = waitpid(run->child.pid, NULL, WNOHANG)) == 0 &&
           tsgi_clock_now() < deadline) {
        apr_sleep(apr_time_from_msec(10));
    }
    if (got == 0) {
        kill(run->child.pid, SIGKILL);
        while (waitpid(run->child.pid, NULL, 0) < 0 && errno == EINTR) {
            /* again */
        }
    }
    apr_pool_destroy(run->pool);
}
