/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_generation.h"
#include "tsgi_id.h"
#include "tsgi_log.h"
#include "tsgi_port.h"
#include "tsgi_process.h"
#include "tsgi_slot.h"
#include "tsgi_supervisor.h"

#include "apr_strings.h"
#include "http_core.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Descriptors that the parent keeps per generation, and while it starts one. */
#define FDS_PER_GENERATION 10

/* One run of post_config. */
typedef struct {
    tsgi_process_t *process;
    apr_pool_t *pconf;
    apr_pool_t *p; /* ptemp */
    server_rec *main_server;
    tsgi_global_conf_t *conf;
    int directory_fd; /* −1: not opened yet */
    ap_generation_t httpd_generation;
} pass_t;

/* ---- a generation ---------------------------------------------------------------------- */

static void generation_unlink(tsgi_process_t *process, tsgi_generation_t *generation)
{
    tsgi_generation_t **link = &process->generations;
    while (*link != NULL && *link != generation) {
        link = &(*link)->next;
    }
    if (*link == generation) {
        *link = generation->next;
    }
}

/* Only when its supervisor has ended, or never ran. */
static void generation_free(tsgi_process_t *process, tsgi_generation_t *generation)
{
    generation_unlink(process, generation);
    while (generation->first_slots != NULL) {
        tsgi_slots_destroy(generation->first_slots);
    }
    tsgi_socket_close(&generation->inquest);
    tsgi_places_destroy(&generation->places);
    apr_pool_destroy(generation->pool);
}

static tsgi_generation_t *generation_find(const tsgi_process_t *process,
                                          const unsigned char id[TSGI_GENERATION_SIZE],
                                          const char *group)
{
    for (tsgi_generation_t *g = process->generations; g != NULL; g = g->next) {
        if ((g->state == TSGI_GEN_RUNNING || g->state == TSGI_GEN_RETIRING) && !g->seen &&
            strcmp(g->group, group) == 0 &&
            (id == NULL || memcmp(g->id, id, TSGI_GENERATION_SIZE) == 0)) {
            return g;
        }
    }
    return NULL;
}

int tsgi_generation_is_changed(const tsgi_group_t *group)
{
    unsigned char id[TSGI_GENERATION_SIZE];
    const tsgi_process_t *process = tsgi_process_get();
    int runs = 0;
    if (process == NULL) {
        return 0;
    }
    for (tsgi_generation_t *g = process->generations; g != NULL; g = g->next) {
        if (g->state <= TSGI_GEN_RETIRING && strcmp(g->group, group->name) == 0) {
            /* Who speaks TLS, and so the port, is not known yet. */
            tsgi_id_compute(group, g->port, process->directory, id);
            if (memcmp(g->id, id, TSGI_GENERATION_SIZE) == 0) {
                return 0;
            }
            runs = 1;
        }
    }
    return runs;
}

static tsgi_generation_t *generation_new(pass_t *pass, const tsgi_group_t *group,
                                         apr_port_t port,
                                         const unsigned char id[TSGI_GENERATION_SIZE])
{
    apr_pool_t *pool;
    tsgi_generation_t *generation;

    apr_pool_create(&pool, pass->process->pool);
    apr_pool_tag(pool, "tsgi_generation");
    generation = apr_pcalloc(pool, sizeof(*generation));
    generation->pool = pool;
    generation->group = apr_pstrdup(pool, group->name);
    memcpy(generation->id, id, TSGI_GENERATION_SIZE);
    generation->connect_timeout = group->options.connect_timeout;
    generation->queue_timeout = group->options.queue_timeout;
    generation->socket_timeout = group->options.socket_timeout;
    generation->request_timeout = group->options.request_timeout;
    generation->concurrency = group->options.concurrency;
    generation->uid = group->identity.uid;
    generation->inquest.listen_fd = generation->inquest.path_fd = -1;
    generation->state = TSGI_GEN_RUNNING;
    generation->port = port;
    generation->server = group->server;
    generation->next = pass->process->generations;
    pass->process->generations = generation;
    return generation;
}

/* ---- from the configuration to the runtime ------------------------------------------------- */

static const char *files_check(pass_t *pass)
{
    static const char *const names[] = {"supervisor.cjs", "worker.cjs", "tsgi.node"};
    for (apr_size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *path =
            apr_pstrcat(pass->p, pass->process->directory, "/", names[i], NULL);
        if (access(path, F_OK) != 0) {
            return apr_psprintf(pass->p,
                                TSGI_LOGNO(0057) "%s is missing: it belongs beside "
                                                 "mod_tsgi.so; install mod_tsgi "
                                                 "again, or run `npx tsgi build`",
                                path);
        }
    }
    return NULL;
}

static const char *descriptors_check(pass_t *pass, int slots)
{
    int limit;
    int needed = 2 * slots + FDS_PER_GENERATION;
    if (tsgi_process_reserve(needed, &limit)) {
        return NULL;
    }
    return apr_psprintf(
        pass->p,
        TSGI_LOGNO(0053) "its %d workers need %d more file descriptors in "
                         "httpd's parent, and its limit is %d: raise it "
                         "(ulimit -Hn, or LimitNOFILE= of the systemd "
                         "unit), or lower processes=",
        slots, needed, limit);
}

static const char *place_prepare(pass_t *pass, const tsgi_group_t *group,
                                 tsgi_slot_place_t *place)
{
    if (pass->directory_fd < 0) {
        const char *problem =
            tsgi_slots_directory(pass->p, pass->conf->runtime_dir, &pass->directory_fd);
        if (problem != NULL) {
            return problem;
        }
    }
    place->directory = pass->conf->runtime_dir;
    place->directory_fd = pass->directory_fd;
    place->backlog = (int)group->options.listen_backlog;
    place->owner = group->identity.socket_uid;
    return NULL;
}

static const char *inquest_open(pass_t *pass, const tsgi_group_t *group,
                                tsgi_generation_t *generation)
{
    tsgi_slot_place_t place;
    const char *problem = place_prepare(pass, group, &place);
    return problem != NULL
               ? problem
               : tsgi_socket_open(pass->p, &generation->inquest, SOCK_SEQPACKET, &place);
}

/* What makes slots the right ones for an application group of the configuration. */
typedef int (*suits_t)(const tsgi_slots_t *slots, const tsgi_app_t *app);

static int suits_exactly(const tsgi_slots_t *slots, const tsgi_app_t *app)
{
    return tsgi_slots_serve(slots, app);
}

/* Better than nothing: those of its scripts that it had before are served. */
static int suits_by_name(const tsgi_slots_t *slots, const tsgi_app_t *app)
{
    return !slots->retired && strcmp(slots->name, app->name) == 0;
}

/* Finds the slots that the generation has already. @return how many application groups lack them. */
static int apps_find(tsgi_group_t *group, tsgi_generation_t *generation, suits_t suits)
{
    int missing = 0;
    for (int i = 0; i < group->apps->nelts; i++) {
        tsgi_app_t *app = APR_ARRAY_IDX(group->apps, i, tsgi_app_t *);
        tsgi_slots_t *slots = generation->first_slots;
        while (slots != NULL && !suits(slots, app)) {
            slots = slots->next;
        }
        app->slots = slots;
        missing += slots == NULL;
    }
    return missing;
}

/*
 * Gives each application group of the configuration its slots: those it has, or new ones.
 * @return NULL, or why no new ones can be had: `slots` of some stays NULL then.
 */
static const char *apps_attach(pass_t *pass, tsgi_group_t *group,
                               tsgi_generation_t *generation)
{
    int nslots = (int)group->options.processes;
    int missing = apps_find(group, generation, suits_exactly);
    tsgi_slot_place_t place;
    const char *problem = NULL;

    if (missing > 0) {
        problem = descriptors_check(pass, missing * nslots);
        if (problem == NULL) {
            problem = place_prepare(pass, group, &place);
        }
    }
    for (int i = 0; i < group->apps->nelts; i++) {
        tsgi_app_t *app = APR_ARRAY_IDX(group->apps, i, tsgi_app_t *);
        if (app->slots == NULL && problem == NULL) {
            problem =
                tsgi_slots_create(pass->p, generation, app, nslots, &place, &app->slots);
        }
        if (app->slots != NULL) {
            app->slots->start = app->start;
            app->slots->seen = 1;
            app->slots->retired = 0;
        }
    }
    return problem;
}

/* What a generation does not stand or fall with: children that start from now on go by it. */
static void set_limits(const tsgi_group_t *group, tsgi_generation_t *generation)
{
    const apr_int64_t half = tsgi_process_most_threads() / 2;
    const apr_int64_t threads = group->options.apache_threads;
    generation->queue_size = group->options.queue_size;
    generation->sticky = group->options.sticky == 1;
    generation->places.limit = (apr_uint32_t)(threads != TSGI_UNSET ? threads
                                              : half > 0            ? half
                                                                    : 1);
}

static void group_attach(tsgi_group_t *group, tsgi_generation_t *generation)
{
    generation->seen = 1;
    generation->state = TSGI_GEN_RUNNING;
    generation->server = group->server;
    group->generation = generation;
}

/* @return NULL, or what is wrong; then nothing of what was tried is left. */
static const char *group_realize(pass_t *pass, tsgi_group_t *group)
{
    unsigned char id[TSGI_GENERATION_SIZE];
    tsgi_generation_t *generation;
    const char *problem = files_check(pass);
    const apr_port_t port = tsgi_port_of(pass->conf, pass->main_server, group->server);

    if (problem != NULL) {
        return problem;
    }
    tsgi_id_compute(group, port, pass->process->directory, id);
    generation = generation_find(pass->process, id, group->name);
    if (generation != NULL) {
        problem = apps_attach(pass, group, generation);
        if (problem != NULL) { /* Only at a restart: what runs already goes on. */
            ap_log_error(APLOG_MARK, APLOG_ERR, 0, group->server,
                         "group %s: its new application "
                         "groups are not served: %s",
                         group->name, problem);
        }
        set_limits(group, generation);
        group_attach(group, generation);
        return NULL;
    }
    generation = generation_new(pass, group, port, id);
    set_limits(group, generation);
    problem = tsgi_supervisor_create(pass->p, pass->process, generation, group);
    if (problem == NULL) {
        problem = tsgi_places_create(pass->p, &generation->places,
                                     tsgi_process_most_children());
    }
    if (problem == NULL) {
        problem = apps_attach(pass, group, generation);
    }
    if (problem == NULL) {
        problem = inquest_open(pass, group, generation);
    }
    if (problem != NULL) {
        generation_free(pass->process, generation);
        return problem;
    }
    group_attach(group, generation);
    return NULL;
}

/*
 * What is wrong with a group at a restart must not take its app from the web: the generation that
 * runs serves on, with its own options and scripts. Application groups that it lacks get 503.
 */
static int group_keep_former(pass_t *pass, tsgi_group_t *group)
{
    tsgi_generation_t *former = generation_find(pass->process, NULL, group->name);
    if (former == NULL ||
        (group->apps->nelts > 0 &&
         apps_find(group, former, suits_by_name) == group->apps->nelts)) {
        return 0;
    }
    for (tsgi_slots_t *slots = former->first_slots; slots != NULL; slots = slots->next) {
        slots->seen = 1;
    }
    group_attach(group, former);
    return 1;
}

static void group_detach(tsgi_group_t *group, const char *problem)
{
    group->generation = NULL;
    group->error = problem;
    for (int i = 0; i < group->apps->nelts; i++) {
        APR_ARRAY_IDX(group->apps, i, tsgi_app_t *)->slots = NULL;
    }
}

/* @return 0 if httpd must not start. */
static int group_bring_up(pass_t *pass, tsgi_group_t *group)
{
    const char *problem = group->error;
    if (problem == NULL) {
        problem = group_realize(pass, group);
        if (problem == NULL) {
            return 1;
        }
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, group->server, "group %s: %s", group->name,
                     problem);
    }
    if (!tsgi_config_is_restart()) {
        return 0;
    }
    if (group_keep_former(pass, group)) {
        group->error = NULL;
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, group->server,
                     TSGI_LOGNO(0073) "group %s: its new configuration has an error (see "
                                      "above); it goes on with "
                                      "the former one until a restart finds it mended",
                     group->name);
    }
    else {
        group_detach(group, apr_pstrdup(pass->pconf, problem));
    }
    return 1;
}

static int groups_bring_up(pass_t *pass)
{
    int fine = 1;
    for (int i = 0; i < pass->conf->groups->nelts; i++) {
        fine &=
            group_bring_up(pass, APR_ARRAY_IDX(pass->conf->groups, i, tsgi_group_t *));
    }
    if (pass->directory_fd >= 0) {
        close(pass->directory_fd);
    }
    return fine;
}

/* The module cannot work at all; its message is in the log. */
static int groups_give_up(pass_t *pass)
{
    if (!tsgi_config_is_restart()) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    for (int i = 0; i < pass->conf->groups->nelts; i++) {
        group_detach(APR_ARRAY_IDX(pass->conf->groups, i, tsgi_group_t *),
                     "mod_tsgi could not find its own files");
    }
    return OK;
}

static void marks_clear(tsgi_process_t *process)
{
    for (tsgi_generation_t *g = process->generations; g != NULL; g = g->next) {
        g->seen = 0;
        for (tsgi_slots_t *slots = g->first_slots; slots != NULL; slots = slots->next) {
            slots->seen = 0;
        }
    }
}

/* It goes when the Apache children that know it have gone. */
static void generation_retire(tsgi_generation_t *generation, server_rec *server,
                              ap_generation_t httpd_generation)
{
    generation->server = server; /* Its own one went with the old configuration. */
    if (generation->state == TSGI_GEN_RUNNING) {
        generation->state = TSGI_GEN_RETIRING;
        generation->retired_at = httpd_generation;
        generation->retire_by = tsgi_clock_now() + TSGI_DRAIN_TIMEOUT;
    }
}

/* What the configuration no longer names. */
static void retire_unseen(pass_t *pass)
{
    for (tsgi_generation_t *g = pass->process->generations; g != NULL; g = g->next) {
        if (!g->seen) {
            generation_retire(g, pass->main_server, pass->httpd_generation);
            continue;
        }
        for (tsgi_slots_t *slots = g->first_slots; slots != NULL; slots = slots->next) {
            if (!slots->seen && !slots->retired) {
                slots->retired = 1;
                slots->retired_at = pass->httpd_generation;
            }
        }
    }
}

/* After a restart everybody is told the list of the configuration, or started. */
static void supervisors_bring_up(tsgi_process_t *process)
{
    for (tsgi_generation_t *g = process->generations; g != NULL; g = g->next) {
        if (!g->seen) {
            continue;
        }
        if (g->supervisor->child.pid == 0) {
            g->supervisor->quick_deaths = 0;
            tsgi_outage_end(g->supervisor); /* The restart may well be the remedy. */
            tsgi_supervisor_start(g->supervisor);
        }
        else {
            tsgi_supervisor_send_apps(g->supervisor);
        }
    }
}

/* ---- what is due ---------------------------------------------------------------------------- */

static void slots_sweep(tsgi_process_t *process, tsgi_generation_t *generation)
{
    tsgi_slots_t *next;
    int removed = 0;
    for (tsgi_slots_t *slots = generation->first_slots; slots != NULL; slots = next) {
        next = slots->next;
        if (slots->retired && !tsgi_process_has_older(process, slots->retired_at)) {
            tsgi_slots_destroy(slots);
            removed = 1;
        }
    }
    if (removed) {
        tsgi_supervisor_send_apps(generation->supervisor);
    }
}

static apr_time_t generation_tick(tsgi_process_t *process, tsgi_generation_t *generation,
                                  apr_time_t now)
{
    apr_time_t due = 0;
    switch (generation->state) {
    case TSGI_GEN_RUNNING:
        slots_sweep(process, generation);
        break;
    case TSGI_GEN_RETIRING:
        if (!tsgi_process_has_older(process, generation->retired_at) ||
            now >= generation->retire_by) {
            tsgi_supervisor_drain(generation->supervisor);
        }
        else {
            due = generation->retire_by;
        }
        break;
    case TSGI_GEN_DRAINING:
    case TSGI_GEN_DEAD:
        break;
    }
    return tsgi_timer_earlier(due, tsgi_supervisor_tick(generation->supervisor, now));
}

void tsgi_generation_tick(tsgi_process_t *process)
{
    apr_time_t now = tsgi_clock_now();
    apr_time_t next = tsgi_log_tick(process, now);
    tsgi_generation_t *following;
    for (tsgi_generation_t *g = process->generations; g != NULL; g = following) {
        apr_time_t due = generation_tick(process, g, now);
        following = g->next;
        if (g->state == TSGI_GEN_DEAD) {
            generation_free(process, g);
        }
        else {
            next = tsgi_timer_earlier(next, due);
        }
    }
    if (process->generations == NULL) {
        tsgi_log_end(process);
    }
    else if (next != 0) {
        tsgi_timer_arm(process, next);
    }
}

void tsgi_generation_retire_all(tsgi_process_t *process)
{
    const ap_generation_t httpd_generation = tsgi_process_generation();
    for (tsgi_generation_t *g = process->generations; g != NULL; g = g->next) {
        generation_retire(g, NULL, httpd_generation);
    }
    tsgi_generation_tick(process);
}

void tsgi_generation_child_changed(void *data, long pid, int httpd_generation,
                                   int is_started)
{
    tsgi_process_t *process = data;
    tsgi_process_count(process, httpd_generation, is_started ? 1 : -1);
    if (is_started) {
        return;
    }
    for (tsgi_generation_t *g = process->generations; g != NULL; g = g->next) {
        tsgi_places_release(&g->places, (pid_t)pid);
        for (tsgi_slots_t *slots = g->first_slots; slots != NULL; slots = slots->next) {
            tsgi_slots_release(slots, (pid_t)pid);
        }
    }
    if (!tsgi_process_is_stopping()) {
        tsgi_generation_tick(process);
    }
}

/* ---- hooks ----------------------------------------------------------------------------------- */

int tsgi_generation_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                                server_rec *s)
{
    pass_t pass = {.pconf = pconf, .p = ptemp, .main_server = s, .directory_fd = -1};

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG ||
        ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_NORMAL) {
        return OK;
    }
    pass.conf = tsgi_config_global(pconf);
    if (tsgi_process_get() == NULL && pass.conf->groups->nelts == 0) {
        return OK;
    }
    pass.process = tsgi_process_open(s);
    if (pass.process == NULL) {
        return groups_give_up(&pass);
    }
    pass.httpd_generation = tsgi_process_generation();
    marks_clear(pass.process);
    if (!groups_bring_up(&pass)) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    retire_unseen(&pass);
    if (pass.process->generations != NULL) {
        (void)tsgi_log_start(pass.process, s);
    }
    supervisors_bring_up(pass.process);
    tsgi_generation_tick(pass.process);
    return OK;
}

void tsgi_generation_child_init(apr_pool_t *pchild, server_rec *s)
{
    tsgi_process_t *process = tsgi_process_get();
    if (process == NULL) {
        return;
    }
    for (tsgi_generation_t *g = process->generations; g != NULL; g = g->next) {
        if (!tsgi_process_is_parent(process)) {
            tsgi_supervisor_leave(g->supervisor);
        }
        tsgi_places_claim(&g->places);
        for (tsgi_slots_t *slots = g->first_slots; slots != NULL; slots = slots->next) {
            tsgi_slots_claim(slots, pchild);
        }
    }
}

void tsgi_generation_child_status(server_rec *s, pid_t pid, ap_generation_t gen, int slot,
                                  mpm_child_status status)
{
    tsgi_process_t *process = tsgi_process_get();
    if (process == NULL || status == MPM_CHILD_LOST_SLOT) {
        return; /* A child without a slot of httpd's still lives. */
    }
    const int is_started = status == MPM_CHILD_STARTED;
    tsgi_generation_child_changed(process, pid, gen, is_started);
    tsgi_process_tell_formers(process, pid, gen, is_started);
}

int tsgi_generation_monitor(apr_pool_t *p, server_rec *s)
{
    tsgi_process_t *process = tsgi_process_get();
    if (process != NULL && tsgi_process_is_parent(process) &&
        !tsgi_process_is_stopping()) {
        tsgi_generation_tick(process);
    }
    return OK;
}
