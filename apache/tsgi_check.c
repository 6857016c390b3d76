/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_check.h"
#include "tsgi_options.h"
#include "tsgi_resolve.h"
#include "tsgi_section.h"

#include "ap_listen.h"
#include "apr_strings.h"
#include "http_core.h"

#include <stdarg.h>
#include <string.h>

static tsgi_server_conf_t *conf_of(server_rec *s)
{
    return ap_get_module_config(s->module_config, &tsgi_module);
}

void tsgi_check_complain(tsgi_check_t *check, tsgi_group_t *group, const char *file,
                         int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *message = apr_pvsprintf(check->p, format, arguments);
    va_end(arguments);
    int flags = check->restart ? APLOG_ERR : APLOG_ERR | APLOG_STARTUP;
    const char *place =
        file != NULL ? apr_psprintf(check->p, " (line %d of %s)", line, file) : "";
    check->complaints++;
    ap_log_error(APLOG_MARK, flags, 0, check->main_server, "%s%s", message, place);
    if (group != NULL && check->restart && group->error == NULL) {
        group->error = message;
    }
}

/* ---- names -------------------------------------------------------------------------- */

/* name[:port] as %{SERVER} of mod_wsgi: without the port where browsers need none either. */
static const char *name_server(apr_pool_t *p, const server_rec *s)
{
    const char *name = s->server_hostname != NULL ? s->server_hostname : "localhost";
    apr_port_t port = s->port;
    if (port == 0 && s->is_virtual && s->addrs != NULL) {
        port = s->addrs->host_port;
    }
    if (port == 0 && ap_listeners != NULL && ap_listeners->bind_addr != NULL) {
        port = ap_listeners->bind_addr->port;
    }
    return port == 0 || port == 80 || port == 443
               ? name
               : apr_psprintf(p, "%s:%d", name, (int)port);
}

static void name_aliases(tsgi_check_t *check, server_rec *s)
{
    const apr_array_header_t *aliases = conf_of(s)->aliases;
    for (int i = 0; i < aliases->nelts; i++) {
        tsgi_alias_t *alias = APR_ARRAY_IDX(aliases, i, tsgi_alias_t *);
        if (alias->server == s) {
            alias->server_name = name_server(check->p, s);
            alias->resource =
                apr_pstrcat(check->p, alias->server_name, "|", alias->url, NULL);
        }
    }
}

/* As mod_alias warns: the first alias that matches decides, so a longer one must stand before it. */
static void warn_of_overlaps(server_rec *s)
{
    const apr_array_header_t *aliases = conf_of(s)->aliases;
    for (int i = 1; i < aliases->nelts; i++) {
        const tsgi_alias_t *late = APR_ARRAY_IDX(aliases, i, tsgi_alias_t *);
        for (int j = 0; j < i && late->regex == NULL && late->server == s; j++) {
            const tsgi_alias_t *early = APR_ARRAY_IDX(aliases, j, tsgi_alias_t *);
            if (early->regex == NULL && tsgi_resolve_match(late->url, early->url) >= 0) {
                ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                             TSGI_LOGNO(0023) "TSGIScriptAlias %s will never match, "
                                              "since TSGIScriptAlias %s at line "
                                              "%d of %s takes all its URLs; put it "
                                              "before that one (line %d of %s)",
                             late->url, early->url, early->line, early->file, late->line,
                             late->file);
                break;
            }
        }
    }
}

/* ---- implicit groups ---------------------------------------------------------------- */

static const char *unique_group_name(tsgi_check_t *check, const char *wanted)
{
    const char *name = wanted;
    const apr_array_header_t *groups = check->global->groups;
    int taken = 0;
    for (int n = 2;; n++) {
        taken = 0;
        for (int i = 0; i < groups->nelts && !taken; i++) {
            taken = strcmp(APR_ARRAY_IDX(groups, i, tsgi_group_t *)->name, name) == 0;
        }
        if (!taken) {
            return name;
        }
        name = apr_psprintf(check->p, "%s#%d", wanted, n);
    }
}

static tsgi_group_t *make_implicit(tsgi_check_t *check, server_rec *s)
{
    apr_pool_t *p = check->p;
    tsgi_group_t *group = apr_pcalloc(p, sizeof(*group));
    group->name =
        unique_group_name(check, apr_pstrcat(p, "default:", name_server(p, s), NULL));
    group->server = s;
    group->implicit = 1;
    group->apps = apr_array_make(p, 4, sizeof(tsgi_app_t *));
    group->apps_by_name = apr_hash_make(p);
    tsgi_options_init(p, tsgi_group_options, &group->options);
    APR_ARRAY_PUSH(check->global->groups, tsgi_group_t *) = group;
    return group;
}

/* All aliases of a server share its implicit group, wherever they are inherited to. */
static tsgi_group_t *need_implicit(tsgi_check_t *check, tsgi_alias_t *alias)
{
    tsgi_server_conf_t *conf = conf_of(alias->server);
    if (conf->implicit == NULL) {
        conf->implicit = make_implicit(check, alias->server);
        conf->implicit->file = alias->file;
        conf->implicit->line = alias->line;
    }
    alias->implicit = conf->implicit;
    return alias->implicit;
}

/* ---- references --------------------------------------------------------------------- */

static void check_references(tsgi_check_t *check)
{
    const apr_array_header_t *references = check->global->references;
    for (int i = 0; i < references->nelts; i++) {
        const tsgi_reference_t *ref = APR_ARRAY_IDX(references, i, tsgi_reference_t *);
        if (strcmp(ref->name, TSGI_GLOBAL) == 0) {
            continue;
        }
        const tsgi_group_t *group =
            apr_hash_get(check->global->groups_by_name, ref->name, APR_HASH_KEY_STRING);
        if (group == NULL) {
            tsgi_check_complain(
                check, NULL, ref->file, ref->line,
                TSGI_LOGNO(0012) "%s %s: there is no such process group; define it "
                                 "with TSGIDaemonProcess %s, or correct the name",
                ref->directive, ref->name, ref->name);
        }
        /* What stands in the main server may be meant for the virtual host of the group. */
        else if (ref->server->is_virtual && !tsgi_resolve_visible(group, ref->server)) {
            tsgi_check_complain(
                check, NULL, ref->file, ref->line,
                TSGI_LOGNO(0013) "%s %s: the process group belongs to the virtual host "
                                 "at line %d of %s, which has another ServerName; "
                                 "define it outside of virtual hosts to share it",
                ref->directive, ref->name, group->line, group->file);
        }
    }
}

/* ---- aliases → groups → application groups ------------------------------------------ */

/* One script at one of the places where requests may find it. */
typedef struct {
    server_rec *server;
    tsgi_alias_t *alias;
    int fixed; /* nothing at request time can choose another */
} place_t;

/* The group's own script-root= where the pattern has no literal directory. NULL: complained. */
static const char *root_of(tsgi_check_t *check, const place_t *place, tsgi_group_t *group)
{
    const tsgi_alias_t *alias = place->alias;
    const char *root = group->options.script_root;
    if (strcmp(alias->script_root, "/") != 0) {
        if (root == NULL || tsgi_resolve_below(alias->script_root, root)) {
            return alias->script_root;
        }
        tsgi_check_complain(
            check, NULL, alias->file, alias->line,
            TSGI_LOGNO(0019) "TSGIScriptAliasMatch %s: the scripts of %s lie in %s, but "
                             "process group %s allows them in %s only (script-root=)",
            alias->url, alias->script, alias->script_root, group->name, root);
        return NULL;
    }
    if (root == NULL) {
        tsgi_check_complain(
            check, NULL, alias->file, alias->line,
            TSGI_LOGNO(
                0020) "TSGIScriptAliasMatch %s: %s would let requests name any file; "
                      "expected a directory before the first $, or script-root= in "
                      "process group %s",
            alias->url, alias->script, group->name);
    }
    return root;
}

static void add_script(apr_array_header_t *scripts, const char *script)
{
    for (int i = 0; i < scripts->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(scripts, i, const char *), script) == 0) {
            return;
        }
    }
    APR_ARRAY_PUSH(scripts, const char *) = script;
}

static tsgi_app_t *need_app(tsgi_check_t *check, tsgi_group_t *group,
                            const tsgi_alias_t *alias, const char *setting)
{
    const char *name = tsgi_resolve_application(check->p, alias, setting);
    tsgi_app_t *app = apr_hash_get(group->apps_by_name, name, APR_HASH_KEY_STRING);
    if (app == NULL) {
        app = apr_pcalloc(check->p, sizeof(*app));
        app->name = name;
        app->group = group;
        app->pattern = alias->script_root != NULL;
        app->scripts = apr_array_make(check->p, 2, sizeof(const char *));
        app->start = TSGI_START_ON_DEMAND;
        apr_hash_set(group->apps_by_name, name, APR_HASH_KEY_STRING, app);
        APR_ARRAY_PUSH(group->apps, tsgi_app_t *) = app;
    }
    return app;
}

static void place_script(tsgi_check_t *check, const place_t *place, tsgi_group_t *group,
                         const char *setting)
{
    const tsgi_alias_t *alias = place->alias;
    const char *script = alias->script;
    if (alias->script_root != NULL) {
        script = root_of(check, place, group);
    }
    if (script == NULL) {
        return;
    }
    tsgi_app_t *app = need_app(check, group, alias, setting);
    add_script(app->scripts, script);
    if (place->fixed) {
        app->start = (tsgi_start_t)group->options.start;
    }
    tsgi_check_add_item(check, group,
                        app->pattern ? TSGI_PROBE_DIRECTORY : TSGI_PROBE_SCRIPT,
                        app->pattern ? "directory of scripts " : "script ", script,
                        alias->file, alias->line);
}

/* @return the group that a name stands for here; NULL: there is none, or it may not be used */
static tsgi_group_t *group_for(tsgi_check_t *check, const place_t *place,
                               const char *name)
{
    tsgi_alias_t *alias = place->alias;
    const tsgi_server_conf_t *conf = conf_of(place->server);
    if (name == NULL || strcmp(name, TSGI_GLOBAL) == 0) {
        need_implicit(check, alias);
    }
    tsgi_group_t *group = tsgi_resolve_group(check->global, alias, name);
    /* Names that come from TSGIProcessGroup are complained about where that stands. */
    int own = name == alias->process_group && place->server == alias->server;
    if (group == NULL) {
        if (own) {
            tsgi_check_complain(
                check, NULL, alias->file, alias->line,
                TSGI_LOGNO(
                    0012) "TSGIScriptAlias %s: there is no process group %s; define "
                          "it with TSGIDaemonProcess %s, or correct process-group=",
                alias->url, name, name);
        }
        return NULL;
    }
    if (!tsgi_resolve_visible(group, place->server)) {
        if (own) {
            tsgi_check_complain(
                check, NULL, alias->file, alias->line,
                TSGI_LOGNO(
                    0013) "TSGIScriptAlias %s: process group %s belongs to the "
                          "virtual host at line %d of %s, which has another "
                          "ServerName; define it outside of virtual hosts to share "
                          "it",
                alias->url, name, group->line, group->file);
        }
        return NULL;
    }
    int inherited = place->server != alias->server && conf == conf_of(alias->server);
    if (place->fixed && !conf->dir_restricts && !inherited &&
        !tsgi_resolve_allowed(conf->restrict_process, group)) {
        tsgi_check_complain(
            check, NULL, alias->file, alias->line,
            TSGI_LOGNO(0021) "TSGIScriptAlias %s: TSGIRestrictProcess of its server does "
                             "not name process group %s, so all its requests would be "
                             "refused",
            alias->url, group->name);
    }
    return group;
}

/* What an alias says counts for all its requests; else sections may have a say. */
static apr_array_header_t *choices(apr_pool_t *p, const char *of_alias,
                                   const char *of_server,
                                   const apr_array_header_t *overrides,
                                   const tsgi_alias_t *alias)
{
    if (of_alias == NULL) {
        return tsgi_section_values(p, of_server, overrides, alias);
    }
    apr_array_header_t *names = apr_array_make(p, 1, sizeof(const char *));
    APR_ARRAY_PUSH(names, const char *) = of_alias;
    return names;
}

static void place_alias(tsgi_check_t *check, server_rec *s, tsgi_alias_t *alias)
{
    const tsgi_server_conf_t *conf = conf_of(s);
    apr_array_header_t *groups = choices(check->p, alias->process_group,
                                         conf->process_group, conf->dir_groups, alias);
    apr_array_header_t *applications =
        choices(check->p, alias->application_group, conf->application_group,
                conf->dir_applications, alias);
    place_t place = {s, alias, groups->nelts == 1 && applications->nelts == 1};
    for (int i = 0; i < groups->nelts; i++) {
        tsgi_group_t *group =
            group_for(check, &place, APR_ARRAY_IDX(groups, i, const char *));
        for (int j = 0; group != NULL && j < applications->nelts; j++) {
            place_script(check, &place, group,
                         APR_ARRAY_IDX(applications, j, const char *));
        }
    }
}

static void place_aliases(tsgi_check_t *check, server_rec *s)
{
    const apr_array_header_t *aliases = conf_of(s)->aliases;
    for (int i = 0; i < aliases->nelts; i++) {
        tsgi_alias_t *alias = APR_ARRAY_IDX(aliases, i, tsgi_alias_t *);
        if (alias->error == NULL) {
            place_alias(check, s, alias);
        }
    }
}

/* ---- hooks -------------------------------------------------------------------------- */

/* At -t, and at a start before anything runs: the first reading. -S and the like only print. */
static int is_first_reading(void)
{
    return ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG &&
           ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_CONFIG_DUMP;
}

int tsgi_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                      server_rec *s)
{
    tsgi_check_t check = {
        .p = pconf,
        .main_server = s,
        .global = tsgi_config_global(pconf),
        .items = apr_hash_make(pconf),
        .restart = tsgi_config_is_restart(),
    };
    if (check.global->runtime_dir == NULL) {
        char *dir = apr_pstrdup(pconf, ap_runtime_dir_relative(pconf, ""));
        size_t length = strlen(dir);
        if (length > 1 && dir[length - 1] == '/') {
            dir[length - 1] = '\0';
        }
        check.global->runtime_dir = dir;
    }
    for (server_rec *each = s; each != NULL; each = each->next) {
        name_aliases(&check, each);
    }
    check_references(&check);
    for (server_rec *each = s; each != NULL; each = each->next) {
        place_aliases(&check, each);
    }
    for (int i = 0; i < check.global->groups->nelts; i++) {
        tsgi_check_group(&check, APR_ARRAY_IDX(check.global->groups, i, tsgi_group_t *));
    }
    if (is_first_reading() || check.restart) {
        tsgi_check_probe(&check);
    }
    for (server_rec *each = s;
         ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST && each != NULL;
         each = each->next) {
        warn_of_overlaps(each);
    }
    return check.complaints > 0 && !check.restart ? HTTP_INTERNAL_SERVER_ERROR : OK;
}

int tsgi_config_announce(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                         server_rec *s)
{
    const apr_array_header_t *groups = tsgi_config_global(pconf)->groups;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK; /* the first reading: all comes again */
    }
    for (server_rec *each = s; each != NULL; each = each->next) {
        warn_of_overlaps(each);
    }
    for (int i = 0; i < groups->nelts && !tsgi_config_is_restart(); i++) {
        const tsgi_group_t *group = APR_ARRAY_IDX(groups, i, tsgi_group_t *);
        if (group->implicit) {
            ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, group->server,
                         TSGI_LOGNO(0022) "process group %s: made for the scripts of %s "
                                          "that have none, with one "
                                          "worker for each and user %s; "
                                          "TSGIDaemonProcess and TSGIProcessGroup give "
                                          "them a user of their own",
                         group->name, name_server(ptemp, group->server),
                         group->identity.name);
        }
    }
    return OK;
}
