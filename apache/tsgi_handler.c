/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_handler.h"
#include "tsgi_error.h"
#include "tsgi_exchange.h"
#include "tsgi_generation.h"
#include "tsgi_pool.h"
#include "tsgi_request.h"
#include "tsgi_upgrade.h"

#include "ap_mpm.h"
#include "http_core.h"
#include "http_request.h"

#include <string.h>

/* A group whose configuration is wrong stays so until somebody repairs it. */
#define RETRY_AFTER_CONFIGURATION 30

/* AcceptPathInfo Off: there is nothing below the script, as for any other file. */
static int is_path_info_refused(const request_rec *r)
{
    return r->used_path_info == AP_REQ_REJECT_PATH_INFO && r->path_info != NULL &&
           r->path_info[0] != '\0';
}

static int refuse_path_info(request_rec *r)
{
    ap_log_rerror(
        APLOG_MARK, APLOG_INFO, 0, r,
        TSGI_LOGNO(0188) "%s: there is a path below the script, %s, and AcceptPathInfo "
                         "is off",
        r->filename, r->path_info);
    return HTTP_NOT_FOUND;
}

/* A script named by a pattern that is not there. One named exactly is the worker's to
 * complain about. */
static int is_script_missing(const request_rec *r, const tsgi_route_t *route)
{
    return route->alias->regex != NULL && r->finfo.filetype == APR_NOFILE;
}

static int refuse_missing(request_rec *r)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r, TSGI_LOGNO(0189) "script not found: %s",
                  r->filename);
    return HTTP_NOT_FOUND;
}

static int has_pools(const tsgi_slots_t *slots)
{
    return slots != NULL && slots->nslots > 0 &&
           slots->slots[slots->nslots - 1].pool != NULL;
}

/* An app's output that includes another one: the thread has its place already. */
static int has_place(const request_rec *r)
{
    for (const request_rec *outer = r->main; outer != NULL; outer = outer->main) {
        if (outer->handler != NULL && strcmp(outer->handler, TSGI_HANDLER) == 0) {
            return 1;
        }
    }
    return 0;
}

static int refuse_crowd(request_rec *r, tsgi_generation_t *generation)
{
    const tsgi_error_t error = {
        .kind = TSGI_FAIL_THREADS, .slot = -1, .refusals = &generation->refused};
    return tsgi_error_report(r, generation->group, &error, 0);
}

static int run(request_rec *r, const tsgi_route_t *route)
{
    tsgi_generation_t *generation = route->app->slots->generation;
    const tsgi_places_kind_t kind =
        r->connection->master == NULL ? TSGI_PLACES_MPM : TSGI_PLACES_H2;

    if (has_place(r)) {
        return tsgi_exchange_run(r, route);
    }
    if (!tsgi_places_enter(&generation->places, kind)) {
        return refuse_crowd(r, generation);
    }
    const int status = tsgi_exchange_run(r, route);
    tsgi_places_leave(&generation->places, kind);
    return status;
}

int tsgi_handler(request_rec *r)
{
    tsgi_route_t *route = NULL;

    if (r->handler == NULL || strcmp(r->handler, TSGI_HANDLER) != 0 || r->uri[0] != '/') {
        return DECLINED;
    }
    if (r->method_number == M_CONNECT && tsgi_upgrade_flags(r) == 0) {
        return HTTP_METHOD_NOT_ALLOWED; /* nothing that can become a tunnel */
    }
    (void)tsgi_request_id(r);
    if (is_path_info_refused(r)) {
        return refuse_path_info(r);
    }
    const int status = tsgi_map_route(r, &route);
    if (status != OK) {
        tsgi_error_headers(
            r, status == HTTP_SERVICE_UNAVAILABLE ? RETRY_AFTER_CONFIGURATION : 0);
        return status;
    }
    if (is_script_missing(r, route)) {
        return refuse_missing(r);
    }
    if (!has_pools(route->app->slots)) {
        ap_log_rerror(
            APLOG_MARK, APLOG_ERR, 0, r,
            TSGI_LOGNO(0190) "group %s: this Apache child has no connections to its "
                             "workers; the cause was logged when the child started",
            route->group->name);
        tsgi_error_headers(r, RETRY_AFTER_CONFIGURATION);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    return run(r, route);
}

/* ---- pools of the child ------------------------------------------------------------- */

/* Most connections that one slot can have in use at once, hence worth keeping. */
static int idle_limit(void)
{
    int threads = 0;
    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS || threads < 1) {
        threads = 1;
    }
    return threads < 8 ? 8 : threads;
}

static apr_status_t close_pool(void *data)
{
    tsgi_slot_t *slot = data;
    tsgi_pool_close(slot->pool);
    return APR_SUCCESS;
}

static void make_pools(apr_pool_t *pchild, server_rec *s, tsgi_slots_t *slots, int limit)
{
    for (int i = 0; i < slots->nslots; i++) {
        tsgi_slot_t *slot = &slots->slots[i];
        if (slot->pool != NULL) {
            continue;
        }
        slot->pool = tsgi_pool_create(limit);
        if (slot->pool == NULL) {
            ap_log_error(
                APLOG_MARK, APLOG_CRIT, 0, s,
                TSGI_LOGNO(0191) "out of memory for the connections to the workers; "
                                 "this child answers 503");
            return;
        }
        apr_pool_cleanup_register(pchild, slot, close_pool, apr_pool_cleanup_null);
    }
}

void tsgi_handler_child_init(apr_pool_t *pchild, server_rec *s)
{
    const tsgi_global_conf_t *global = tsgi_config_global(s->process->pconf);
    const int limit = idle_limit();

    for (int i = 0; i < global->groups->nelts; i++) {
        const tsgi_group_t *group = APR_ARRAY_IDX(global->groups, i, tsgi_group_t *);
        for (int j = 0; group->apps != NULL && j < group->apps->nelts; j++) {
            const tsgi_app_t *app = APR_ARRAY_IDX(group->apps, j, tsgi_app_t *);
            if (app->slots != NULL) {
                make_pools(pchild, s, app->slots, limit);
            }
        }
    }
}
