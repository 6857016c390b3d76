/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_identity.h
 * Who a process group runs as: names resolved at configuration time, privileges dropped after fork.
 */
#ifndef TSGI_IDENTITY_H
#define TSGI_IDENTITY_H

#include "tsgi_config.h"

/** Most supplementary groups of a process group's user: what the check after the drop can hold. */
#define TSGI_IDENTITY_MAX_GROUPS 1024

/** Where tsgi_identity_assume() failed; tsgi_identity_step() names them for messages. */
typedef enum {
    TSGI_IDENTITY_OK = 0,
    TSGI_IDENTITY_IS_ROOT, /**< asked for uid 0 or gid 0: refused before anything is changed */
    TSGI_IDENTITY_SETGROUPS,    /**< setgroups() failed */
    TSGI_IDENTITY_SETRESGID,    /**< setresgid() failed */
    TSGI_IDENTITY_SETRESUID,    /**< setresuid() failed */
    TSGI_IDENTITY_WRONG_IDS,    /**< uid or gid are not what was set */
    TSGI_IDENTITY_WRONG_GROUPS, /**< supplementary groups are not what was set */
    TSGI_IDENTITY_REGAINED,     /**< root could be had back */
    TSGI_IDENTITY_STEPS         /**< one more than the last step */
} tsgi_identity_step_t;

/**
 * Resolves user=, group=, supplementary-groups= and socket-user= through NSS. Apache's parent, while
 * the configuration is checked; nothing needs NSS after that.
 *
 * As root: uid 0 and gid 0 are refused, also among the supplementary groups. Not as root: user= and
 * group= must be oneself, and the groups stay as they are (`out->ngroups` is 0 then).
 *
 * @param p   everything in *out is allocated from it (pconf)
 * @param out filled in; undefined when an error is returned
 * @return NULL, or an English sentence with the remedy, without id and without the group's name
 */
const char *tsgi_identity_resolve(apr_pool_t *p, const tsgi_options_t *options,
                                  tsgi_identity_t *out);

/**
 * Becomes that identity for good: setgroups, setresgid, setresuid, each checked; then verifies all
 * ids and that root cannot be had back. Async-signal-safe: called between fork and exec, by a child
 * that must _exit() when the result is not TSGI_IDENTITY_OK. errno is that of the failing call.
 */
int tsgi_identity_assume(const tsgi_identity_t *identity);

/** @return what failed, for a log line ("setgroups() failed"); also for numbers out of range. */
const char *tsgi_identity_step(int step);

#endif
