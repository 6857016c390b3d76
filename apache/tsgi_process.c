/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_process.h"
#include "tsgi_slot.h"
#include "tsgi_supervisor.h"

#include "ap_mpm.h"
#include "apr_strings.h"
#include "http_core.h"
#include "unixd.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/*
 * What different builds of the module in one httpd know of each other; the latest is the head of a list
 * in httpd's retained data. Its layout stays as it is for ever: one build reads what another has written.
 */
struct tsgi_build_t {
    tsgi_build_t *former;
    /* These are the build's own. */
    void (*retire)(void *process);
    void (*child_changed)(void *process, long pid, int generation, int is_started);
    void *process;
    const char *version;
};

static const char builds_key[] = "mod_tsgi:builds";

static tsgi_process_t *the_process;

tsgi_process_t *tsgi_process_get(void)
{
    return the_process;
}

int tsgi_process_is_parent(const tsgi_process_t *process)
{
    return process->pid == getpid();
}

/*
 * Runs in every child of fork(), whoever called it: other modules' daemons (mod_cgid's) live on when
 * httpd is killed, and a command socket that they hold open would keep supervisors from seeing it.
 * Async-signal-safe.
 */
static void forget_in_child(void)
{
    if (the_process == NULL) {
        return;
    }
    for (tsgi_generation_t *g = the_process->generations; g != NULL; g = g->next) {
        tsgi_supervisor_forget(g->supervisor);
        tsgi_slots_forget_all(g);
    }
}

/*
 * Another build of the module takes over (LoadModule names another file since the last restart). No
 * configuration is read into this one any more, so it must not know a server_rec any longer; from
 * here on it sees its supervisors end, hears of Apache's children from the one that has taken over, and
 * is there when httpd exits.
 */
static void retire(void *data)
{
    tsgi_process_t *process = data;
    process->log.server = NULL;
    tsgi_generation_retire_all(process);
}

void tsgi_process_tell_formers(const tsgi_process_t *process, pid_t pid,
                               ap_generation_t generation, int is_started)
{
    for (tsgi_build_t *build = process->build->former; build != NULL;
         build = build->former) {
        build->child_changed(build->process, pid, generation, is_started);
    }
}

static apr_status_t on_exit_of_httpd(void *data)
{
    tsgi_process_t *process = data;
    if (tsgi_process_is_parent(process)) {
        tsgi_timer_stop(process);
        tsgi_supervisor_shutdown_all(process);
        tsgi_log_stop(process);
    }
    return APR_SUCCESS;
}

/* This build becomes the head of the list: for the first time, or again. */
static void take_over(tsgi_process_t *process, server_rec *s)
{
    tsgi_build_t **latest = ap_retained_data_get(builds_key);
    if (latest == NULL) {
        latest = ap_retained_data_create(builds_key, sizeof(tsgi_build_t *));
    }
    if (*latest == process->build) {
        return;
    }
    if (*latest != NULL) {
        ap_log_error(
            APLOG_MARK, APLOG_NOTICE, 0, s,
            TSGI_LOGNO(0076) "mod_tsgi " TSGI_VERSION
                             " takes over from mod_tsgi %s at this restart; the "
                             "old one stays in memory until httpd is stopped and started",
            (*latest)->version);
        (*latest)->retire((*latest)->process);
    }
    for (tsgi_build_t **link = latest; *link != NULL; link = &(*link)->former) {
        if (*link == process->build) {
            *link = process->build->former;
            break;
        }
    }
    process->build->former = *latest;
    *latest = process->build;
}

static tsgi_build_t *build_new(tsgi_process_t *process)
{
    tsgi_build_t *build = apr_pcalloc(process->pool, sizeof(*build));
    build->retire = retire;
    build->child_changed = tsgi_generation_child_changed;
    build->process = process;
    build->version = apr_pstrdup(process->pool, TSGI_VERSION);
    return build;
}

/* The directory of this very file; NULL and a message if it cannot be told. */
static const char *own_directory(apr_pool_t *p, server_rec *s)
{
    Dl_info info;
    char resolved[PATH_MAX];
    char *slash;
    if (dladdr(&the_process, &info) == 0 || info.dli_fname == NULL ||
        realpath(info.dli_fname, resolved) == NULL) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, s,
                     TSGI_LOGNO(0075) "the file mod_tsgi.so was loaded from cannot be "
                                      "found any more; install "
                                      "mod_tsgi again, then stop and start httpd");
        return NULL;
    }
    slash = strrchr(resolved, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    return apr_pstrdup(p, resolved);
}

static tsgi_process_t *process_new(server_rec *s)
{
    apr_pool_t *pool = s->process->pool;
    tsgi_process_t *process;
    const char *directory;

    directory = own_directory(pool, s);
    if (directory == NULL) {
        return NULL;
    }
    process = apr_pcalloc(pool, sizeof(*process));
    process->pool = pool;
    process->pid = getpid();
    process->directory = directory;
    process->children = apr_array_make(pool, 4, sizeof(tsgi_children_t));
    process->build = build_new(process);
    the_process = process;
    if (pthread_atfork(NULL, NULL, forget_in_child) != 0) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     TSGI_LOGNO(0078) "no memory for a fork handler; daemons of other "
                                      "modules may hold mod_tsgi's sockets open");
    }
    /* Before all cleanups of httpd's pools, while logs and configuration are still there. */
    apr_pool_pre_cleanup_register(pool, process, on_exit_of_httpd);
    return process;
}

tsgi_process_t *tsgi_process_open(server_rec *s)
{
    tsgi_process_t *process = the_process != NULL ? the_process : process_new(s);
    if (process != NULL) {
        take_over(process, s);
    }
    return process;
}

int tsgi_process_is_stopping(void)
{
    int state;
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_RUN_MPM) {
        return 1;
    }
    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS &&
           state == AP_MPMQ_STOPPING;
}

int tsgi_process_is_exiting(void)
{
    const ap_unixd_mpm_retained_data *mpm;
    if (ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_RUN_MPM) {
        return ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_EXITING;
    }
    /* An MPM that does not use this never says STOPPING here, and the pools' end must do. */
    mpm = ap_unixd_mpm_get_retained_data();
    return mpm != NULL && mpm->mpm_state == AP_MPMQ_STOPPING && !mpm->restart_pending;
}

ap_generation_t tsgi_process_generation(void)
{
    int generation;
    if (ap_mpm_query(AP_MPMQ_GENERATION, &generation) != APR_SUCCESS) {
        return 0; /* Then no child is ever older, and what retires is drained at once. */
    }
    return generation;
}

static int mpm_number(int code, int otherwise)
{
    int number = 0;
    return ap_mpm_query(code, &number) == APR_SUCCESS && number > 0 ? number : otherwise;
}

int tsgi_process_most_children(void)
{
    return 2 * mpm_number(AP_MPMQ_HARD_LIMIT_DAEMONS, 256);
}

int tsgi_process_most_threads(void)
{
    return mpm_number(AP_MPMQ_MAX_DAEMONS, 1) * mpm_number(AP_MPMQ_MAX_THREADS, 1);
}

void tsgi_process_count(tsgi_process_t *process, ap_generation_t generation, int change)
{
    tsgi_children_t *entries = (tsgi_children_t *)process->children->elts;
    tsgi_children_t *entry = NULL;
    for (int i = 0; i < process->children->nelts; i++) {
        if (entries[i].generation == generation) {
            entry = &entries[i];
            break;
        }
    }
    if (entry == NULL) {
        if (change < 0) {
            return; /* It began before the module was loaded. */
        }
        entry = apr_array_push(process->children);
        entry->generation = generation;
        entry->count = 0;
    }
    entry->count += change;
    if (entry->count <= 0) {
        *entry =
            ((tsgi_children_t *)process->children->elts)[process->children->nelts - 1];
        apr_array_pop(process->children);
    }
}

int tsgi_process_has_older(const tsgi_process_t *process, ap_generation_t generation)
{
    const tsgi_children_t *entries = (const tsgi_children_t *)process->children->elts;
    for (int i = 0; i < process->children->nelts; i++) {
        if (entries[i].generation < generation) {
            return 1;
        }
    }
    return 0;
}

void tsgi_process_watch(apr_pool_t *parent, apr_proc_t *child, apr_pool_t **pool,
                        void (*died)(int reason, void *data, int status), void *data)
{
    if (*pool != NULL) {
        apr_pool_destroy(*pool);
    }
    apr_pool_create(pool, parent);
    apr_pool_tag(*pool, "tsgi_watch");
    apr_proc_other_child_register(child, died, data, NULL, *pool);
}

int tsgi_process_reserve(int needed, int *limit)
{
    struct rlimit now;
    int lowest =
        dup(STDERR_FILENO); /* The lowest free number tells about how many are open. */
    rlim_t wanted;

    *limit = 0;
    if (lowest >= 0) {
        close(lowest);
    }
    if (getrlimit(RLIMIT_NOFILE, &now) != 0) {
        return 1; /* Whatever it is, the call that opens too many will say so. */
    }
    *limit = (int)now.rlim_cur;
    wanted = (rlim_t)(lowest < 0 ? 64 : lowest) + (rlim_t)needed;
    if (wanted <= now.rlim_cur) {
        return 1;
    }
    if (wanted > now.rlim_max) {
        *limit = (int)now.rlim_max;
        return 0;
    }
    now.rlim_cur = wanted;
    return setrlimit(RLIMIT_NOFILE, &now) == 0;
}
