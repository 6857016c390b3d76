/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_supervisor.h"
#include "tsgi_id.h"
#include "tsgi_slot.h"

#include "apr_general.h"
#include "apr_signal.h"
#include "apr_strings.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A supervisor that ends sooner than this after its start has died quickly. */
#define QUICK_DEATH apr_time_from_sec(10)
/* So many quick deaths in a row are no accident: requests do not wait for the next one. */
#define OUTAGE_DEATHS 3
#define BACKOFF_FIRST apr_time_from_msec(100)
#define BACKOFF_MAX apr_time_from_sec(30)
/* How long the parent waits for room in a command socket: while node boots, and later. */
#define SEND_AT_START apr_time_from_sec(5)
#define SEND_LATER apr_time_from_sec(1)
/* What a supervisor gets beyond its own time limits before it is killed. */
#define KILL_AFTER apr_time_from_sec(5)
#define KILL_AFTER_ON_EXIT apr_time_from_sec(1)
#define SEARCH_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define USUAL_UMASK 0022

/* ---- what is prepared once ------------------------------------------------------------- */

static apr_status_t descriptors_close(void *data)
{
    tsgi_supervisor_t *supervisor = data;
    int *const fds[] = {&supervisor->log_read, &supervisor->log_write,
                        &supervisor->command_fd};
    for (apr_size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (*fds[i] >= 0) {
            close(*fds[i]);
            *fds[i] = -1;
        }
    }
    return APR_SUCCESS;
}

/* The directory of node comes first, so that an app's own calls of node and npx find the same one. */
static const char *search_path(apr_pool_t *p, const char *node)
{
    const char *slash = strrchr(node, '/');
    if (slash == NULL || slash == node) {
        return SEARCH_PATH;
    }
    return apr_pstrcat(p, apr_pstrmemdup(p, node, (apr_size_t)(slash - node)),
                       ":" SEARCH_PATH, NULL);
}

static const char *or_default(const char *value, const char *fallback)
{
    return value != NULL && *value != '\0' ? value : fallback;
}

static const char *const *environment(apr_pool_t *p, const tsgi_group_t *group)
{
    const tsgi_identity_t *who = &group->identity;
    apr_array_header_t *list = apr_array_make(p, 8, sizeof(char *));
    const char *name = or_default(who->name, "nobody");
    APR_ARRAY_PUSH(list, const char *) =
        apr_pstrcat(p, "PATH=", search_path(p, group->node), NULL);
    APR_ARRAY_PUSH(list, const char *) =
        apr_pstrcat(p, "HOME=", or_default(who->home, "/"), NULL);
    APR_ARRAY_PUSH(list, const char *) = apr_pstrcat(p, "USER=", name, NULL);
    APR_ARRAY_PUSH(list, const char *) = apr_pstrcat(p, "LOGNAME=", name, NULL);
    APR_ARRAY_PUSH(list, const char *) =
        apr_pstrcat(p, "SHELL=", or_default(who->shell, "/bin/sh"), NULL);
    APR_ARRAY_PUSH(list, const char *) =
        apr_pstrcat(p, "LANG=", or_default(group->options.lang, "C.UTF-8"), NULL);
    if (group->options.locale != NULL) {
        APR_ARRAY_PUSH(list, const char *) =
            apr_pstrcat(p, "LC_ALL=", group->options.locale, NULL);
    }
    APR_ARRAY_PUSH(list, const char *) = NULL;
    return (const char *const *)list->elts;
}

static void spec_prepare(apr_pool_t *p, tsgi_spawn_t *spec, const tsgi_group_t *group,
                         const char *directory)
{
    const tsgi_options_t *o = &group->options;
    const char **argv = apr_pcalloc(p, 4 * sizeof(char *));

    spec->node = apr_pstrdup(p, group->node);
    argv[0] = spec->node;
    argv[1] = apr_pstrcat(p, directory, "/supervisor.cjs", NULL);
    argv[2] = apr_pstrdup(p, group->name);
    spec->argv = argv;
    spec->envp = environment(p, group);
    spec->identity = group->identity;
    spec->identity.groups = NULL;
    if (group->identity.ngroups > 0) {
        spec->identity.groups =
            apr_pmemdup(p, group->identity.groups,
                        sizeof(gid_t) * (apr_size_t)group->identity.ngroups);
    }
    spec->identity.name = apr_pstrdup(p, group->identity.name);
    spec->identity.home = apr_pstrdup(p, group->identity.home);
    spec->identity.shell = apr_pstrdup(p, group->identity.shell);
    spec->umask = o->umask == TSGI_UNSET ? USUAL_UMASK : (mode_t)o->umask;
    spec->cpu_priority = o->cpu_priority;
    spec->limit_files = o->limit_files;
    spec->limit_processes = o->limit_processes;
    spec->no_new_privileges = o->no_new_privileges != 0;
}

static void add_list(tsgi_message_t *message, const char *key,
                     const apr_array_header_t *list)
{
    for (int i = 0; list != NULL && i < list->nelts; i++) {
        tsgi_message_add_pair(message, key, APR_ARRAY_IDX(list, i, const char *));
    }
}

static void add_if_set(tsgi_message_t *message, const char *key, apr_int64_t value)
{
    if (value != TSGI_UNSET) {
        tsgi_message_add_number(message, key, value);
    }
}

/* What decides when a worker that serves well is replaced all the same. */
static void add_recycling(tsgi_message_t *message, const tsgi_options_t *o)
{
    add_if_set(message, "maximum-requests", o->maximum_requests);
    add_if_set(message, "restart-interval", o->restart_interval);
    add_if_set(message, "inactivity-timeout", o->inactivity_timeout);
    add_if_set(message, "memory-limit", o->memory_limit);
    add_if_set(message, "cpu-time-limit", o->cpu_time_limit);
    add_if_set(message, "jitter", o->jitter);
}

static apr_int64_t eviction_timeout(const tsgi_options_t *o)
{
    return o->eviction_timeout != TSGI_UNSET ? o->eviction_timeout : o->graceful_timeout;
}

static void message_prepare(tsgi_supervisor_t *supervisor, const tsgi_group_t *group)
{
    tsgi_generation_t *generation = supervisor->generation;
    apr_pool_t *p = generation->pool;
    tsgi_message_t *message = &supervisor->group_message;
    const tsgi_options_t *o = &group->options;

    tsgi_message_begin(message, p, "group");
    tsgi_message_add(message, group->name);
    tsgi_message_add(message, tsgi_id_hex(p, generation->id, TSGI_GENERATION_SIZE));
    tsgi_message_add(message, tsgi_id_hex(p, generation->secret, TSGI_SECRET_SIZE));
    tsgi_message_add_number(message, "processes", o->processes);
    tsgi_message_add_number(message, "concurrency", o->concurrency);
    tsgi_message_add_number(message, "max-upgrades", o->max_upgrades);
    tsgi_message_add_number(message, "upgrade-idle-timeout", o->upgrade_idle_timeout);
    tsgi_message_add_number(message, "peer-uid", group->identity.socket_uid);
    tsgi_message_add_pair(message, "home", o->home);
    tsgi_message_add_pair(message, "node", group->node);
    tsgi_message_add_pair(message, "display-name", o->display_name);
    tsgi_message_add_number(message, "startup-timeout", o->startup_timeout);
    tsgi_message_add_number(message, "graceful-timeout", o->graceful_timeout);
    tsgi_message_add_number(message, "eviction-timeout", eviction_timeout(o));
    tsgi_message_add_number(message, "deadlock-timeout", o->deadlock_timeout);
    tsgi_message_add_number(message, "shutdown-timeout", o->shutdown_timeout);
    tsgi_message_add_pair(message, "start",
                          o->start == TSGI_START_ON_DEMAND ? "on-demand" : "boot");
    tsgi_message_add_pair(message, "inspect", o->inspect);
    tsgi_message_add_pair(message, "env-file", o->env_file);
    tsgi_message_add_pair(message, "lang", o->lang);
    tsgi_message_add_pair(message, "locale", o->locale);
    tsgi_message_add(message,
                     apr_psprintf(p, "umask=%04o", (unsigned)supervisor->spec.umask));
    tsgi_message_add_number(message, "implicit", group->implicit != 0);
    tsgi_message_add_pair(message, "script-root", o->script_root);
    tsgi_message_add_pair(message, "script-reloading",
                          group->script_reloading ? "on" : "off");
    tsgi_message_add_pair(message, "listen", o->listen);
    tsgi_message_add_number(message, "port", generation->port);
    tsgi_message_add_pair(message, "ready",
                          o->ready == TSGI_READY_MESSAGE ? "message" : "listen");
    tsgi_message_add_pair(message, "reload",
                          o->reload == TSGI_RELOAD_ALL ? "all" : "rolling");
    add_list(message, "watch", o->watch);
    add_recycling(message, o);
    add_list(message, "node-arg", o->node_args);
    add_list(message, "script-arg", o->script_args);
    add_list(message, "env", o->env);
}

const char *tsgi_supervisor_create(apr_pool_t *p, tsgi_process_t *process,
                                   tsgi_generation_t *generation,
                                   const tsgi_group_t *group)
{
    tsgi_supervisor_t *supervisor = apr_pcalloc(generation->pool, sizeof(*supervisor));
    apr_status_t rv;

    supervisor->generation = generation;
    supervisor->process = process;
    supervisor->log_read = supervisor->log_write = supervisor->command_fd = -1;
    supervisor->eviction_timeout = eviction_timeout(&group->options);
    supervisor->shutdown_timeout = group->options.shutdown_timeout;
    generation->supervisor = supervisor;
    apr_pool_cleanup_register(generation->pool, supervisor, descriptors_close,
                              apr_pool_cleanup_null);

    rv = tsgi_log_pipe(&supervisor->log_read, &supervisor->log_write);
    if (rv != APR_SUCCESS) {
        return apr_psprintf(
            p,
            TSGI_LOGNO(0055) "no log pipe can be made: %s; give httpd more "
                             "file descriptors (ulimit -n)",
            strerror(rv));
    }
    supervisor->failure = tsgi_spawn_shared(generation->pool);
    generation->outage = tsgi_spawn_shared(generation->pool);
    if (supervisor->failure == NULL || generation->outage == NULL) {
        return apr_psprintf(
            p,
            TSGI_LOGNO(0079) "no shared memory: %s; give the machine more "
                             "memory",
            strerror(errno));
    }
    rv = apr_generate_random_bytes(generation->secret, sizeof(generation->secret));
    if (rv != APR_SUCCESS) {
        return apr_psprintf(
            p,
            TSGI_LOGNO(0056) "the system gave no random bytes for the group's "
                             "secret: %s; look for a missing /dev/urandom",
            strerror(rv));
    }
    spec_prepare(generation->pool, &supervisor->spec, group, process->directory);
    message_prepare(supervisor, group);
    if (supervisor->group_message.too_long) {
        return apr_psprintf(
            p,
            TSGI_LOGNO(0058) "its options have more than %d bytes together; "
                             "put the env= into an env-file=",
            TSGI_COMMAND_MAX);
    }
    return NULL;
}

/* ---- death and back-off ------------------------------------------------------------------ */

apr_interval_time_t tsgi_supervisor_backoff(int deaths)
{
    if (deaths <= 1) {
        return 0;
    }
    if (deaths > 9) {
        return BACKOFF_MAX;
    }
    return BACKOFF_FIRST << (deaths - 1);
}

/*
 * The MPMs' loops decode the status of waitpid(2) and pass on either the exit status or the number of
 * the signal, without saying which (ap_wait_or_timeout()).
 */
const char *tsgi_supervisor_how(apr_pool_t *p, int status)
{
    if (status > 0 && status < NSIG) {
        return apr_psprintf(p, "exit status %d, or signal %d (%s)", status, status,
                            apr_signal_description_get(status));
    }
    return apr_psprintf(p, "exit status %d", status);
}

/* Its process group, which it leads; before its setsid() there is only itself. */
static void supervisor_kill(const tsgi_supervisor_t *supervisor)
{
    pid_t pid = supervisor->child.pid;
    if (pid > 0 && kill(-pid, SIGKILL) != 0) {
        kill(pid, SIGKILL);
    }
}

static void log_death(const tsgi_supervisor_t *supervisor, pid_t pid, int status,
                      apr_interval_time_t wait)
{
    const tsgi_generation_t *generation = supervisor->generation;
    const tsgi_spawn_failure_t *failure = supervisor->failure;
    apr_pool_t *p = supervisor->watch_pool;
    const char *next = wait == 0 ? "another is started at once"
                                 : apr_psprintf(p, "next try in %.1f s",
                                                (double)wait / (double)APR_USEC_PER_SEC);
    if (failure->step != TSGI_SPAWN_OK) {
        ap_log_error(
            APLOG_MARK, APLOG_ERR, failure->error, generation->server,
            TSGI_LOGNO(0063) "group %s: the supervisor could not be started as user %s: "
                             "%s (node %s); %s",
            generation->group, or_default(supervisor->spec.identity.name, "?"),
            tsgi_spawn_step(failure->step), supervisor->spec.node, next);
        return;
    }
    /* While httpd stops, somebody may have ended all of its processes (systemd's control-group). */
    ap_log_error(
        APLOG_MARK, tsgi_process_is_stopping() ? APLOG_INFO : APLOG_WARNING, 0,
        generation->server,
        TSGI_LOGNO(0062) "group %s: the supervisor (pid %ld) ended unexpectedly, %s; "
                         "its workers end too; %s",
        generation->group, (long)pid, tsgi_supervisor_how(p, status), next);
}

static void command_close(tsgi_supervisor_t *supervisor)
{
    if (supervisor->command_fd >= 0) {
        close(supervisor->command_fd);
        supervisor->command_fd = -1;
    }
}

/* It has gone, whether it was told to or not; plans the next start where there is one. */
static void note_death(tsgi_supervisor_t *supervisor, pid_t pid, int status)
{
    tsgi_generation_t *generation = supervisor->generation;
    apr_time_t now = tsgi_clock_now();
    apr_interval_time_t wait;

    supervisor->child.pid = 0;
    supervisor->is_successor = 1;
    command_close(supervisor);
    if (supervisor->process->shutdown_at != 0) {
        return; /* As it was told. */
    }
    if (generation->state == TSGI_GEN_DRAINING) {
        generation->state = TSGI_GEN_DEAD;
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, generation->server,
                     TSGI_LOGNO(0068) "group %s: the supervisor of the former "
                                      "configuration (pid %ld) has ended",
                     generation->group, (long)pid);
        return;
    }
    supervisor->quick_deaths =
        now - supervisor->started < QUICK_DEATH ? supervisor->quick_deaths + 1 : 1;
    wait = tsgi_supervisor_backoff(supervisor->quick_deaths);
    supervisor->due = now + wait;
    log_death(supervisor, pid, status, wait);
    if (supervisor->failure->step != TSGI_SPAWN_OK) {
        tsgi_outage_begin(supervisor, 63);
    }
    else if (supervisor->quick_deaths >= OUTAGE_DEATHS) {
        tsgi_outage_begin(supervisor, 62);
    }
}

/* ---- commands ---------------------------------------------------------------------------- */

/* A supervisor that takes no message is of no use: it is killed, its death starts another. */
static apr_status_t command(tsgi_supervisor_t *supervisor, const tsgi_message_t *message,
                            const int *fds, int nfds, apr_interval_time_t patience)
{
    apr_status_t rv;
    if (supervisor->command_fd < 0) {
        return APR_EBADF;
    }
    rv = tsgi_command_send(supervisor->command_fd, message, fds, nfds,
                           tsgi_clock_now() + patience);
    if (rv == APR_SUCCESS || rv == APR_ENAMETOOLONG) {
        return rv;
    }
    /* EPIPE: it has ended, and its death is about to be noticed and told. */
    if (!APR_STATUS_IS_EPIPE(rv) && rv != ECONNRESET && rv != ECONNREFUSED) {
        ap_log_error(
            APLOG_MARK, APLOG_ERR, rv, supervisor->generation->server,
            TSGI_LOGNO(0064) "group %s: the supervisor (pid %ld) takes no messages and "
                             "is killed; look for a machine that is overloaded, or a "
                             "stopped process",
            supervisor->generation->group, (long)supervisor->child.pid);
        supervisor_kill(supervisor);
    }
    command_close(supervisor);
    return rv;
}

static apr_status_t tell(tsgi_supervisor_t *supervisor, const char *verb,
                         apr_interval_time_t patience)
{
    tsgi_message_t message;
    apr_pool_t *p;
    apr_status_t rv;
    apr_pool_create(&p, supervisor->process->pool);
    tsgi_message_begin(&message, p, verb);
    rv = command(supervisor, &message, NULL, 0, patience);
    apr_pool_destroy(p);
    return rv;
}

/* The first messages: what the group is, and whether there was a supervisor before this one. */
static apr_status_t send_group(tsgi_supervisor_t *supervisor)
{
    apr_status_t rv =
        command(supervisor, &supervisor->group_message,
                &supervisor->generation->inquest.listen_fd, 1, SEND_AT_START);
    if (rv == APR_SUCCESS && supervisor->is_successor) {
        rv = tell(supervisor, "successor", SEND_AT_START);
    }
    return rv;
}

static apr_status_t send_app(tsgi_supervisor_t *supervisor, tsgi_slots_t *slots,
                             apr_pool_t *p, apr_interval_time_t patience)
{
    tsgi_message_t message;
    int fds[TSGI_SLOTS_MAX];
    apr_status_t rv;

    tsgi_message_begin(&message, p, "app");
    tsgi_message_add(&message, slots->name);
    tsgi_message_add(&message, apr_itoa(p, slots->nslots));
    tsgi_message_add(&message,
                     slots->start == TSGI_START_ON_DEMAND ? "on-demand" : "boot");
    tsgi_message_add(&message, slots->pattern ? "pattern" : "exact");
    for (int i = 0; i < slots->scripts->nelts; i++) {
        tsgi_message_add(&message, APR_ARRAY_IDX(slots->scripts, i, const char *));
    }
    for (int i = 0; i < slots->nslots; i++) {
        fds[i] = slots->slots[i].socket.listen_fd;
    }
    rv = command(supervisor, &message, fds, slots->sent ? 0 : slots->nslots, patience);
    if (rv == APR_SUCCESS) {
        slots->sent = 1;
    }
    else if (rv == APR_ENAMETOOLONG) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, supervisor->generation->server,
                     TSGI_LOGNO(0060) "group %s: the paths of the %d scripts of "
                                      "application group \"%s\" have "
                                      "more than %d bytes together, it is not served; "
                                      "split it into several "
                                      "application groups, or use TSGIScriptAliasMatch",
                     supervisor->generation->group, slots->scripts->nelts, slots->name,
                     TSGI_COMMAND_MAX);
        rv = APR_SUCCESS; /* The others can be served. */
    }
    return rv;
}

static void send_apps(tsgi_supervisor_t *supervisor, apr_interval_time_t patience)
{
    tsgi_message_t end;
    apr_pool_t *p;
    apr_status_t rv = APR_SUCCESS;

    apr_pool_create(&p, supervisor->process->pool);
    for (tsgi_slots_t *slots = supervisor->generation->first_slots;
         slots != NULL && rv == APR_SUCCESS; slots = slots->next) {
        rv = send_app(supervisor, slots, p, patience);
    }
    if (rv == APR_SUCCESS) {
        tsgi_message_begin(&end, p, "apps-end");
        (void)command(supervisor, &end, NULL, 0, patience);
    }
    apr_pool_destroy(p);
}

void tsgi_supervisor_send_apps(tsgi_supervisor_t *supervisor)
{
    if (supervisor->child.pid != 0 && supervisor->command_fd >= 0) {
        send_apps(supervisor, SEND_LATER);
    }
}

/* Tells it to come to its end. One that somebody has stopped could not hear it. */
static void end(tsgi_supervisor_t *supervisor, const char *verb,
                apr_interval_time_t patience)
{
    kill(supervisor->child.pid, SIGCONT);
    (void)tell(supervisor, verb, patience);
}

/*
 * Tells all of them to end, once. That is as soon as httpd begins to end its own children: those wait
 * for requests that only the workers can finish.
 */
static void shutdown_begin(tsgi_process_t *process)
{
    if (process->shutdown_at != 0) {
        return;
    }
    process->shutdown_at = tsgi_clock_now();
    for (tsgi_generation_t *g = process->generations; g != NULL; g = g->next) {
        if (g->supervisor->child.pid != 0) {
            end(g->supervisor, "shutdown", 0);
        }
    }
}

static void supervisor_died(int reason, void *data, int status)
{
    tsgi_supervisor_t *supervisor = data;
    pid_t pid = supervisor->child.pid;

    /* RESTART comes while httpd stops or restarts, UNREGISTER from ourselves: it is alive. */
    if (reason == APR_OC_REASON_RESTART && tsgi_process_is_exiting()) {
        shutdown_begin(supervisor->process);
    }
    if ((reason != APR_OC_REASON_DEATH && reason != APR_OC_REASON_LOST) || pid == 0) {
        return;
    }
    apr_proc_other_child_unregister(data);
    note_death(supervisor, pid, status);
    if (!tsgi_process_is_stopping()) {
        tsgi_generation_tick(supervisor->process);
    }
}

/* ---- start and end ------------------------------------------------------------------------ */

static void start_failed(tsgi_supervisor_t *supervisor, apr_status_t rv, const char *what)
{
    apr_interval_time_t wait;
    /* Never at once: what has failed is a resource that the machine lacks. */
    if (++supervisor->quick_deaths < 2) {
        supervisor->quick_deaths = 2;
    }
    wait = tsgi_supervisor_backoff(supervisor->quick_deaths);
    supervisor->due = tsgi_clock_now() + wait;
    tsgi_outage_begin(supervisor, 65);
    ap_log_error(APLOG_MARK, APLOG_ERR, rv, supervisor->generation->server,
                 TSGI_LOGNO(0065) "group %s: no supervisor can be started: %s; give "
                                  "httpd more processes and file "
                                  "descriptors. Next try in %.1f s",
                 supervisor->generation->group, what,
                 (double)wait / (double)APR_USEC_PER_SEC);
}

void tsgi_supervisor_start(tsgi_supervisor_t *supervisor)
{
    tsgi_generation_t *generation = supervisor->generation;
    int child_fd;
    pid_t pid;
    apr_status_t rv;

    if (supervisor->child.pid != 0) {
        return;
    }
    supervisor->due = 0;
    command_close(supervisor);
    rv = tsgi_command_open(&supervisor->command_fd, &child_fd);
    if (rv != APR_SUCCESS) {
        start_failed(supervisor, rv, "socketpair");
        return;
    }
    supervisor->started = tsgi_clock_now();
    pid = tsgi_spawn_supervisor(&supervisor->spec, child_fd, supervisor->log_write,
                                supervisor->failure);
    rv = pid < 0 ? errno : APR_SUCCESS;
    close(child_fd);
    if (rv != APR_SUCCESS) {
        command_close(supervisor);
        start_failed(supervisor, rv, "fork");
        return;
    }
    supervisor->child.pid = pid;
    tsgi_process_watch(generation->pool, &supervisor->child, &supervisor->watch_pool,
                       supervisor_died, supervisor);
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, generation->server,
                 TSGI_LOGNO(0061) "group %s: supervisor started (pid %ld)",
                 generation->group, (long)pid);

    for (tsgi_slots_t *slots = generation->first_slots; slots != NULL;
         slots = slots->next) {
        slots->sent = 0;
    }
    if (send_group(supervisor) == APR_SUCCESS) {
        send_apps(supervisor, SEND_AT_START);
    }
}

void tsgi_supervisor_drain(tsgi_supervisor_t *supervisor)
{
    tsgi_generation_t *generation = supervisor->generation;
    supervisor->due = 0;
    if (supervisor->child.pid == 0) {
        generation->state = TSGI_GEN_DEAD;
        return;
    }
    generation->state = TSGI_GEN_DRAINING;
    supervisor->kill_at =
        tsgi_clock_now() + apr_time_from_msec(supervisor->eviction_timeout) + KILL_AFTER;
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, generation->server,
                 TSGI_LOGNO(0067) "group %s: the supervisor of the former configuration "
                                  "(pid %ld) finishes what "
                                  "is in hand",
                 generation->group, (long)supervisor->child.pid);
    end(supervisor, "drain", SEND_LATER);
}

static void kill_late(tsgi_supervisor_t *supervisor)
{
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, supervisor->generation->server,
                 TSGI_LOGNO(0066) "group %s: the supervisor (pid %ld) did not end in "
                                  "time and is killed",
                 supervisor->generation->group, (long)supervisor->child.pid);
    supervisor_kill(supervisor);
}

apr_time_t tsgi_supervisor_tick(tsgi_supervisor_t *supervisor, apr_time_t now)
{
    if (supervisor->kill_at != 0 && now >= supervisor->kill_at &&
        supervisor->child.pid != 0) {
        supervisor->kill_at = 0;
        kill_late(supervisor);
    }
    if (supervisor->due != 0 && now >= supervisor->due) {
        tsgi_supervisor_start(supervisor);
    }
    return tsgi_timer_earlier(
        supervisor->due,
        tsgi_timer_earlier(supervisor->kill_at, tsgi_outage_tick(supervisor, now)));
}

/* @return 1 if it has ended. httpd's loop is over: nobody else waits for it. */
static int reap(tsgi_supervisor_t *supervisor)
{
    pid_t pid = supervisor->child.pid;
    pid_t got;
    if (pid == 0) {
        return 1;
    }
    got = waitpid(pid, NULL, WNOHANG);
    if (got == pid || (got < 0 && errno == ECHILD)) {
        supervisor->child.pid = 0;
        apr_proc_other_child_unregister(supervisor);
        return 1;
    }
    return 0;
}

static int reap_all(tsgi_process_t *process)
{
    int left = 0;
    for (tsgi_generation_t *g = process->generations; g != NULL; g = g->next) {
        left += !reap(g->supervisor);
    }
    return left;
}

static int wait_for_all(tsgi_process_t *process, apr_time_t deadline)
{
    int left;
    while ((left = reap_all(process)) > 0 && tsgi_clock_now() < deadline) {
        apr_sleep(apr_time_from_msec(10));
    }
    return left;
}

void tsgi_supervisor_shutdown_all(tsgi_process_t *process)
{
    apr_int64_t longest = 0;
    apr_time_t deadline;

    shutdown_begin(process);
    for (tsgi_generation_t *g = process->generations; g != NULL; g = g->next) {
        if (!reap(g->supervisor) && g->supervisor->shutdown_timeout > longest) {
            longest = g->supervisor->shutdown_timeout;
        }
    }
    deadline = process->shutdown_at + apr_time_from_msec(longest) + KILL_AFTER_ON_EXIT;
    if (wait_for_all(process, deadline) == 0) {
        return;
    }
    for (tsgi_generation_t *g = process->generations; g != NULL; g = g->next) {
        if (g->supervisor->child.pid != 0) {
            kill_late(g->supervisor);
        }
    }
    (void)wait_for_all(process, tsgi_clock_now() + KILL_AFTER_ON_EXIT);
}

void tsgi_supervisor_forget(tsgi_supervisor_t *supervisor)
{
    if (supervisor != NULL && supervisor->command_fd >= 0) {
        close(supervisor->command_fd);
        supervisor->command_fd = -1;
    }
}

void tsgi_supervisor_leave(tsgi_supervisor_t *supervisor)
{
    (void)descriptors_close(supervisor);
}
