/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
/* Far from the numbers that the supervisor expects, so that a dup2() never overwrites its source. */
#define OUT_OF_THE_WAY 10
#define COMMAND_FD 3
#define LOG_FD 4

static apr_status_t shared_unmap(void *data)
{
    return munmap(data, TSGI_SPAWN_SHARED_SIZE) == 0 ? APR_SUCCESS : errno;
}

void *tsgi_spawn_shared(apr_pool_t *pool)
{
    void *memory = mmap(NULL, TSGI_SPAWN_SHARED_SIZE, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    apr_pool_cleanup_register(pool, memory, shared_unmap, apr_pool_cleanup_null);
    return memory;
}

const char *tsgi_spawn_step(int step)
{
    static const char *const names[TSGI_SPAWN_IDENTITY] = {
        [TSGI_SPAWN_OK] = "nothing failed",
        [TSGI_SPAWN_SESSION] = "setsid() failed",
        [TSGI_SPAWN_SIGNALS] = "signals could not be reset",
        [TSGI_SPAWN_DESCRIPTORS] = "file descriptors could not be prepared",
        [TSGI_SPAWN_LIMITS] = "rlimits could not be set",
        [TSGI_SPAWN_PRIORITY] = "cpu-priority could not be set",
        [TSGI_SPAWN_PRIVILEGES] = "no-new-privileges could not be set",
        [TSGI_SPAWN_PARENT] = "the Apache parent has gone meanwhile",
        [TSGI_SPAWN_DIRECTORY] = "chdir(\"/\") failed",
        [TSGI_SPAWN_EXEC] = "node could not be executed",
    };
    if (step >= TSGI_SPAWN_IDENTITY) {
        return tsgi_identity_step(step - TSGI_SPAWN_IDENTITY);
    }
    return step >= 0 ? names[step] : "unknown step";
}

/* child side: no malloc, no log */
void tsgi_spawn_close_from(int first)
{
    struct rlimit limit;
    if (syscall(SYS_close_range, (unsigned)first, ~0U, 0) == 0) {
        return;
    }
    /* Linux before 5.9. The limit may have been lowered while higher ones were open; httpd doesn't. */
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > 1048576) {
        limit.rlim_cur = 1048576;
    }
    for (int fd = first; fd < (int)limit.rlim_cur; fd++) {
        close(fd);
    }
}

/* child side: no malloc, no log */
static int signals_reset(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number < NSIG; number++) {
        if (number != SIGKILL && number != SIGSTOP) {
            /* Fails for the numbers that libc keeps for itself. */
            (void)sigaction(number, &action, NULL);
        }
    }
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL);
}

/* child side: no malloc, no log */
int tsgi_spawn_die_with_parent(int signal_number, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, signal_number) != 0) {
        return -1;
    }
    if (getppid() != parent) { /* It went before the line above. */
        errno = ESRCH;
        return -1;
    }
    return 0;
}

/* child side: no malloc, no log */
static int descriptors_prepare(int command_fd, int log_fd)
{
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int null_high = null_fd < 0 ? -1 : fcntl(null_fd, F_DUPFD, OUT_OF_THE_WAY);
    int command = fcntl(command_fd, F_DUPFD, OUT_OF_THE_WAY);
    int log = fcntl(log_fd, F_DUPFD, OUT_OF_THE_WAY);
    if (null_high < 0 || command < 0 || log < 0) {
        return -1;
    }
    if (dup2(null_high, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 ||
        dup2(command, COMMAND_FD) < 0 || dup2(log, LOG_FD) < 0) {
        return -1;
    }
    tsgi_spawn_close_from(LOG_FD + 1);
    return 0;
}

/* child side: no malloc, no log. Both limits: the app may lower its own, never raise it again. */
static int limit_set(int resource, apr_int64_t value)
{
    struct rlimit limit = {.rlim_cur = (rlim_t)value, .rlim_max = (rlim_t)value};
    struct rlimit now;
    if (value == TSGI_UNSET) {
        return 0;
    }
    if (setrlimit(resource, &limit) == 0) {
        return 0;
    }
    /* Not root: the hard limit cannot be raised, but what is below it can be had. */
    if (getrlimit(resource, &now) != 0 || limit.rlim_cur > now.rlim_max) {
        errno = EPERM;
        return -1;
    }
    limit.rlim_max = limit.rlim_cur;
    return setrlimit(resource, &limit);
}

/* child side: no malloc, no log. @return the step that failed; errno is set. */
static int child_prepare(const tsgi_spawn_t *spec, int command_fd, int log_fd,
                         pid_t parent)
{
    int step;
    if (setsid() < 0) {
        return TSGI_SPAWN_SESSION;
    }
    if (signals_reset() != 0) {
        return TSGI_SPAWN_SIGNALS;
    }
    if (descriptors_prepare(command_fd, log_fd) != 0) {
        return TSGI_SPAWN_DESCRIPTORS;
    }
    umask(spec->umask);
    if (limit_set(RLIMIT_NOFILE, spec->limit_files) != 0 ||
        limit_set(RLIMIT_NPROC, spec->limit_processes) != 0) {
        return TSGI_SPAWN_LIMITS;
    }
    if (spec->cpu_priority != 0 &&
        setpriority(PRIO_PROCESS, 0, (int)spec->cpu_priority) != 0) {
        return TSGI_SPAWN_PRIORITY;
    }
    step = tsgi_identity_assume(&spec->identity);
    if (step != TSGI_IDENTITY_OK) {
        return TSGI_SPAWN_IDENTITY + step;
    }
    if (spec->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return TSGI_SPAWN_PRIVILEGES;
    }
    /* The change of user has cleared the death signal, so it comes after it. */
    if (tsgi_spawn_die_with_parent(SIGTERM, parent) != 0) {
        return TSGI_SPAWN_PARENT;
    }
    return chdir("/") == 0 ? TSGI_SPAWN_OK : TSGI_SPAWN_DIRECTORY;
}

/*
 * fork() with all signals blocked until the child has given up httpd's handlers, which would act on
 * the parent's state.
 */
static pid_t fork_quietly(sigset_t *before)
{
    sigset_t all;
    pid_t pid;
    int error;
    sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, before) != 0) {
        return -1;
    }
    pid = fork();
    if (pid != 0) {
        error = errno;
        (void)sigprocmask(SIG_SETMASK, before, NULL);
        errno = error;
    }
    return pid;
}

pid_t tsgi_spawn_supervisor(const tsgi_spawn_t *spec, int command_fd, int log_fd,
                            tsgi_spawn_failure_t *failure)
{
    sigset_t before;
    pid_t parent = getpid();
    pid_t pid;
    int step;

    failure->step = TSGI_SPAWN_OK;
    failure->error = 0;
    pid = fork_quietly(&before);
    if (pid != 0) {
        return pid;
    }
    step = child_prepare(spec, command_fd, log_fd, parent);
    if (step == TSGI_SPAWN_OK) {
        execve(spec->node, (char *const *)(uintptr_t)spec->argv,
               (char *const *)(uintptr_t)spec->envp);
        step = TSGI_SPAWN_EXEC;
    }
    failure->error = errno;
    failure->step = step;
    _exit(TSGI_SPAWN_EXIT + step);
}

pid_t tsgi_spawn_role(const char *name, int death_signal)
{
    sigset_t before;
    pid_t parent = getpid();
    pid_t pid = fork_quietly(&before);
    if (pid != 0) {
        return pid;
    }
    if (setsid() < 0 || signals_reset() != 0 ||
        tsgi_spawn_die_with_parent(death_signal, parent) != 0) {
        _exit(TSGI_SPAWN_EXIT);
    }
    (void)prctl(PR_SET_NAME, name, 0, 0, 0);
    return 0;
}
