/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_timer.h"
#include "tsgi_process.h"
#include "tsgi_spawn.h"
#include "tsgi_supervisor.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void timer_over(int reason, void *data, int status)
{
    tsgi_process_t *process = data;
    if (reason != APR_OC_REASON_DEATH && reason != APR_OC_REASON_LOST) {
        return;
    }
    apr_proc_other_child_unregister(data);
    process->timer.child.pid = 0;
    if (!tsgi_process_is_stopping()) {
        tsgi_generation_tick(process);
    }
}

/* child side: no malloc, no log */
static void __attribute__((noreturn)) sleep_and_exit(apr_interval_time_t duration)
{
    struct timespec left = {.tv_sec = (time_t)apr_time_sec(duration),
                            .tv_nsec = (long)apr_time_usec(duration) * 1000};
    tsgi_spawn_close_from(0);
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
        /* goes on with what is left */
    }
    _exit(0);
}

apr_time_t tsgi_timer_earlier(apr_time_t one, apr_time_t other)
{
    if (one == 0 || other == 0) {
        return one != 0 ? one : other;
    }
    return one < other ? one : other;
}

void tsgi_timer_arm(tsgi_process_t *process, apr_time_t due)
{
    tsgi_timer_t *timer = &process->timer;
    apr_interval_time_t duration = due - tsgi_clock_now();
    pid_t pid;

    if (timer->child.pid != 0) {
        if (timer->due > due) {
            /* Its end brings us to tsgi_generation_tick(), which arms the new one. */
            timer->due = due;
            kill(timer->child.pid, SIGKILL);
        }
        return;
    }
    if (duration < 0) {
        duration = 0;
    }
    pid = tsgi_spawn_role("tsgi: timer", SIGKILL);
    if (pid == 0) {
        sleep_and_exit(duration);
    }
    if (pid < 0) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, errno, process->log.server,
                     TSGI_LOGNO(0077) "no process could be forked for a timer; what "
                                      "waits for a new start comes "
                                      "up to 10 s later");
        return;
    }
    timer->child.pid = pid;
    timer->due = due;
    tsgi_process_watch(process->pool, &timer->child, &timer->pool, timer_over, process);
}

void tsgi_timer_stop(tsgi_process_t *process)
{
    pid_t pid = process->timer.child.pid;
    if (pid == 0) {
        return;
    }
    process->timer.child.pid = 0;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        /* again */
    }
}
