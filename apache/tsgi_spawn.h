/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_spawn.h
 * From the Apache parent to another program or role: fork, and what happens before exec.
 *
 * Everything here that says "child side" runs between fork and exec and is async-signal-safe: it
 * uses what the parent has prepared, allocates nothing, logs nothing, looks up no names.
 */
#ifndef TSGI_SPAWN_H
#define TSGI_SPAWN_H

#include "tsgi_config.h"
#include "tsgi_identity.h"

/** How a supervisor is started; prepared once per generation, in its pool. */
typedef struct {
    const char *node;
    const char *const *argv;
    const char *const *envp;
    tsgi_identity_t identity; /**< a copy; its groups too */
    mode_t umask;
    apr_int64_t cpu_priority;                 /**< 0 = as Apache's own */
    apr_int64_t limit_files, limit_processes; /**< TSGI_UNSET = inherited */
    int no_new_privileges;
} tsgi_spawn_t;

/** What the child was doing when it could not go on; its exit status is TSGI_SPAWN_EXIT + this. */
typedef enum {
    TSGI_SPAWN_OK = 0,
    TSGI_SPAWN_SESSION,     /**< setsid() */
    TSGI_SPAWN_SIGNALS,     /**< signals back to default */
    TSGI_SPAWN_DESCRIPTORS, /**< file descriptors 0 to 4 */
    TSGI_SPAWN_LIMITS,      /**< setrlimit() */
    TSGI_SPAWN_PRIORITY,    /**< setpriority() */
    TSGI_SPAWN_PRIVILEGES,  /**< PR_SET_NO_NEW_PRIVS */
    TSGI_SPAWN_PARENT,      /**< PR_SET_PDEATHSIG, or the parent has gone */
    TSGI_SPAWN_DIRECTORY,   /**< chdir("/") */
    TSGI_SPAWN_EXEC,        /**< execve() */
    TSGI_SPAWN_IDENTITY     /**< + tsgi_identity_step_t: the change of user */
} tsgi_spawn_step_t;

#define TSGI_SPAWN_EXIT 120

/**
 * Where the child leaves what went wrong. In memory shared by parent and child (tsgi_spawn_shared()),
 * so that the parent learns errno without waiting for the exec; exec takes the child's mapping away.
 */
typedef struct {
    int step;  /**< tsgi_spawn_step_t */
    int error; /**< errno */
} tsgi_spawn_failure_t;

/** What tsgi_spawn_shared() gives; the kernel gives whole pages anyhow. */
#define TSGI_SPAWN_SHARED_SIZE 4096

/**
 * @return zeroed memory that this process shares with those it forks from now on, unmapped with the
 * pool; NULL: no memory, see errno.
 */
void *tsgi_spawn_shared(apr_pool_t *pool);

/** @return what the step was, for a log line. */
const char *tsgi_spawn_step(int step);

/**
 * Starts node as the group's user. Descriptors of the new process: 0 /dev/null, 1, 2 and 4 the log
 * pipe, 3 the command socket, nothing else.
 * @param command_fd the supervisor's end; stays open in the parent, who closes it
 * @return pid, or -1 and errno. That something failed after fork is told by its exit status.
 */
pid_t tsgi_spawn_supervisor(const tsgi_spawn_t *spec, int command_fd, int log_fd,
                            tsgi_spawn_failure_t *failure);

/**
 * fork() for a role of our own (log, timer): the child comes back with 0, in its own session, all
 * signals at default and unblocked, and gets death_signal when the parent ends; or it has ended.
 */
pid_t tsgi_spawn_role(const char *name, int death_signal);

/**
 * Child side: a signal when `parent` ends. To be asked for again after each change of user, which
 * clears it. @return 0, or -1 and errno (ESRCH: it has gone already).
 */
int tsgi_spawn_die_with_parent(int signal_number, pid_t parent);

/** Child side: closes every descriptor from `first` on. */
void tsgi_spawn_close_from(int first);

#endif
