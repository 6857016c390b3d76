/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/*
 * From a URL to a script, and from there to the workers. What translate_name finds is kept in
 * r->request_config; where a request got here without it (mod_dir copies another request's result
 * over its own), it is found again and compared with r->filename.
 */
#include "tsgi_config.h"
#include "tsgi_resolve.h"
#include "tsgi_static.h"
#include "tsgi_target.h"

#include "apr_strings.h"
#include "http_core.h"
#include "http_log.h"

#include <string.h>

/* Need not be there. */
#define PACKAGE_FILE "index.js"

typedef struct {
    const char *uri; /* r->uri when it was found: mount_length counts in it */
    const tsgi_alias_t *alias;
    const char *script;
    int mount_length; /* of r->uri */
    const char *path_info;
    int walked; /* httpd's directory walk tells script and path_info apart */
} match_t;

static tsgi_server_conf_t *server_conf(const request_rec *r)
{
    return ap_get_module_config(r->server->module_config, &tsgi_module);
}

/* ---- alias → script ----------------------------------------------------------------- */

/* @return OK, DECLINED if it does not match */
static int match_literal(const request_rec *r, const tsgi_alias_t *alias, match_t *match)
{
    match->mount_length = tsgi_resolve_match(r->uri, alias->url);
    match->script = alias->script;
    return match->mount_length >= 0 ? OK : DECLINED;
}

/* Fills $1 … in and makes sure that the result lies where the target says before its first $. */
static int substitute(request_rec *r, const tsgi_alias_t *alias, ap_regmatch_t *found,
                      match_t *match)
{
    char *path = ap_pregsub(r->pool, alias->script, r->uri, AP_MAX_REG_MATCH, found);
    char *clean = NULL;
    if (path == NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      TSGI_LOGNO(0156) "TSGIScriptAliasMatch %s: the path of the script "
                                       "became too long (line %d of "
                                       "%s)",
                      alias->url, alias->line, alias->file);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (path[0] != '/' ||
        apr_filepath_merge(&clean, NULL, path, APR_FILEPATH_NOTRELATIVE, r->pool) !=
            APR_SUCCESS ||
        !tsgi_resolve_below(clean, alias->script_root)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      TSGI_LOGNO(0157) "TSGIScriptAliasMatch %s: %s does not lie in %s",
                      alias->url, path, alias->script_root);
        return HTTP_FORBIDDEN;
    }
    match->script = clean;
    return OK;
}

/*
 * What the expression has matched is the mount point, what follows it the path info. A pattern that
 * takes the whole path may have put path info into the target ("$1.js$2"): then the file system decides.
 */
static int match_regex(request_rec *r, const tsgi_alias_t *alias, match_t *match)
{
    ap_regmatch_t found[AP_MAX_REG_MATCH];
    if (ap_regexec(alias->regex, r->uri, AP_MAX_REG_MATCH, found, 0) != 0) {
        return DECLINED;
    }
    int end = (int)found[0].rm_eo;
    int pattern = alias->script_root != NULL;
    int whole = r->uri[end] == '\0';
    if (!whole && r->uri[end] != '/' && (end == 0 || r->uri[end - 1] != '/')) {
        return DECLINED; /* in the middle of a segment */
    }
    while (end > 0 && r->uri[end - 1] == '/' && !(pattern && whole)) {
        end--;
    }
    match->mount_length = end;
    match->walked = pattern && whole;
    match->script = alias->script;
    return pattern ? substitute(r, alias, found, match) : OK;
}

/* An alias that could not be read whole keeps its URLs, so that no other content shows there. */
static int match_broken(const request_rec *r, const tsgi_alias_t *alias)
{
    if (alias->regex != NULL) {
        return ap_regexec(alias->regex, r->uri, 0, NULL, 0) == 0;
    }
    return tsgi_resolve_match(r->uri, alias->url) >= 0;
}

/* @return OK, DECLINED if no alias matches, or an HTTP status */
static int find_alias(request_rec *r, match_t *match)
{
    const apr_array_header_t *aliases = server_conf(r)->aliases;
    for (int i = 0; i < aliases->nelts; i++) {
        const tsgi_alias_t *alias = APR_ARRAY_IDX(aliases, i, const tsgi_alias_t *);
        memset(match, 0, sizeof(*match));
        match->uri = r->uri;
        match->alias = alias;
        if (alias->error != NULL) {
            if (!match_broken(r, alias)) {
                continue;
            }
            match->script = alias->script != NULL ? alias->script : "/";
            match->path_info = "";
            return OK;
        }
        int status = alias->regex != NULL ? match_regex(r, alias, match)
                                          : match_literal(r, alias, match);
        if (status != DECLINED) {
            match->path_info = r->uri + match->mount_length;
            return status;
        }
    }
    return DECLINED;
}

/*
 * The file whose access rules count. A directory that an alias names is an app, to which httpd is to add no
 * slash and no path info: a file in it stands for it. What is found here spares the directory walk its
 * own look.
 */
static void name_file(request_rec *r, const match_t *match)
{
    r->filename = apr_pstrdup(r->pool, match->script);
    if (match->alias->script_root == NULL &&
        apr_stat(&r->finfo, r->filename, APR_FINFO_MIN, r->pool) == APR_SUCCESS &&
        r->finfo.filetype == APR_DIR) {
        r->filename = apr_pstrcat(r->pool, match->script, "/" PACKAGE_FILE, NULL);
        memset(&r->finfo, 0, sizeof(r->finfo));
    }
}

int tsgi_map_translate(request_rec *r)
{
    match_t match;
    /* "*" of OPTIONS does not name a script; CONNECT names a host, for which httpd's parser says "/": it
     * belongs to who has the whole virtual host. */
    if (r->uri == NULL || r->uri[0] != '/' || r->proxyreq != PROXYREQ_NONE) {
        return DECLINED;
    }
    int status = find_alias(r, &match);
    if (status != OK) {
        return status;
    }
    if (match.alias->error == NULL && tsgi_static_translate(r, match.path_info) == OK) {
        return OK;
    }
    name_file(r, &match);
    r->path_info = match.walked ? NULL : apr_pstrdup(r->pool, match.path_info);
    r->handler = TSGI_HANDLER;
    apr_table_setn(r->notes, "alias-forced-type", TSGI_HANDLER);
    ap_set_module_config(r->request_config, &tsgi_module,
                         apr_pmemdup(r->pool, &match, sizeof(match)));
    return OK;
}

/* ---- the request target ------------------------------------------------------------- */

/*
 * Byte for byte what the client sent, as long as it is what r->uri and r->args still say. Else an
 * internal redirect or a rewrite speaks, or httpd has removed dot segments: what it has authorized is
 * what the app must see.
 */
static void set_target(request_rec *r, tsgi_route_t *route)
{
    if (r->method_number == M_CONNECT && r->unparsed_uri != NULL &&
        r->unparsed_uri[0] != '\0') {
        route->target = r->unparsed_uri; /* the authority */
        return;
    }
    const char *raw = tsgi_target_origin(r->unparsed_uri != NULL ? r->unparsed_uri : "");
    int mount_length = (int)strlen(route->mount);
    if (raw[0] == '/' &&
        tsgi_target_compare(raw, r->uri, mount_length, &route->mount_length)) {
        route->target = raw;
        if (!tsgi_target_same_query(raw, r->args)) {
            route->target =
                apr_psprintf(r->pool, "%.*s%s%s", (int)strcspn(raw, "?"), raw,
                             r->args != NULL ? "?" : "", r->args != NULL ? r->args : "");
        }
        return;
    }
    route->mount_length =
        (apr_uint32_t)strlen(ap_os_escape_path(r->pool, route->mount, 1));
    route->target = apr_pstrcat(r->pool, ap_os_escape_path(r->pool, r->uri, 1),
                                r->args != NULL ? "?" : NULL, r->args, NULL);
}

/* ---- script → workers --------------------------------------------------------------- */

/*
 * Whether the file that httpd would serve is the script that the alias leads to. Where a pattern's
 * target holds path info, the file is the front part of it.
 */
static int is_same_script(const request_rec *r, const match_t *match)
{
    if (r->filename == NULL) {
        return 0;
    }
    const size_t length = strlen(r->filename);
    const size_t script_length = strlen(match->script);
    if (strncmp(match->script, r->filename, script_length) == 0 &&
        strcmp(r->filename + script_length, "/" PACKAGE_FILE) == 0) {
        return match->alias->script_root == NULL;
    }
    return strncmp(match->script, r->filename, length) == 0 &&
           (match->script[length] == '\0' ||
            (match->walked && match->script[length] == '/'));
}

/*
 * What translate_name found; found again where another request's result was copied over this one,
 * with a URI of its own (mod_dir, mod_negotiation: ap_internal_fast_redirect()).
 */
static const match_t *match_of(request_rec *r)
{
    match_t *match = ap_get_module_config(r->request_config, &tsgi_module);
    if (match != NULL && r->uri != NULL && strcmp(match->uri, r->uri) == 0) {
        return match;
    }
    match = apr_pcalloc(r->pool, sizeof(*match));
    if (r->uri == NULL || r->uri[0] != '/' || find_alias(r, match) != OK ||
        !is_same_script(r, match)) {
        return NULL;
    }
    return match;
}

/* Pattern aliases: the script must be a file by now; exact ones may be about to be replaced. */
static int set_script(request_rec *r, const match_t *match, tsgi_route_t *route)
{
    const tsgi_alias_t *alias = match->alias;
    route->alias = alias;
    route->script = match->script;
    route->path_info = match->path_info;
    if (alias->script_root != NULL && r->finfo.filetype != APR_REG) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      TSGI_LOGNO(0158) "TSGIScriptAliasMatch %s: there is no script %s",
                      alias->url, r->filename);
        return HTTP_NOT_FOUND;
    }
    size_t mount_length = (size_t)match->mount_length;
    if (match->walked) {
        route->script = r->filename;
        route->path_info = r->path_info != NULL ? r->path_info : "";
        size_t rest = strlen(route->path_info);
        if (rest > mount_length ||
            strcmp(r->uri + mount_length - rest, route->path_info) != 0) {
            route->path_info = ""; /* the target made it up: it is no part of the URL */
            rest = 0;
        }
        mount_length -= rest;
    }
    if (alias->keeps_mount) {
        mount_length = 0;
        route->path_info = r->uri;
    }
    route->mount = apr_pstrmemdup(r->pool, r->uri, mount_length);
    return OK;
}

static int set_group(request_rec *r, const tsgi_server_conf_t *server,
                     const tsgi_dir_conf_t *dir, tsgi_route_t *route)
{
    const tsgi_alias_t *alias = route->alias;
    const char *name = alias->process_group != NULL ? alias->process_group
                       : dir->process_group != NULL ? dir->process_group
                                                    : server->process_group;
    const apr_array_header_t *allowed =
        dir->restrict_process != NULL ? dir->restrict_process : server->restrict_process;
    tsgi_group_t *group =
        tsgi_resolve_group(tsgi_config_global(r->server->process->pconf), alias, name);
    if (group == NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      TSGI_LOGNO(0151) "there is no process group %s for %s; define it "
                                       "with TSGIDaemonProcess, or "
                                       "correct TSGIProcessGroup or process-group=",
                      name != NULL ? name : TSGI_GLOBAL, route->script);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (!tsgi_resolve_visible(group, r->server)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      TSGI_LOGNO(0152) "process group %s belongs to the virtual host at "
                                       "line %d of %s, which has "
                                       "another ServerName; define it outside of virtual "
                                       "hosts to share it",
                      group->name, group->line, group->file);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (!tsgi_resolve_allowed(allowed, group)) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      TSGI_LOGNO(0153) "process group %s is not among those that "
                                       "TSGIRestrictProcess allows here",
                      group->name);
        return HTTP_FORBIDDEN;
    }
    route->group = group;
    return OK;
}

static int set_application(request_rec *r, const tsgi_server_conf_t *server,
                           const tsgi_dir_conf_t *dir, tsgi_route_t *route)
{
    const tsgi_alias_t *alias = route->alias;
    const tsgi_group_t *group = route->group;
    const char *setting = alias->application_group != NULL ? alias->application_group
                          : dir->application_group != NULL ? dir->application_group
                                                           : server->application_group;
    if (group->error != NULL) {
        ap_log_rerror(
            APLOG_MARK, APLOG_ERR, 0, r,
            TSGI_LOGNO(
                0154) "process group %s is out of service since the last restart: %s",
            group->name, group->error);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    const char *name = tsgi_resolve_application(r->pool, alias, setting);
    route->app = apr_hash_get(group->apps_by_name, name, APR_HASH_KEY_STRING);
    if (route->app == NULL) {
        ap_log_rerror(
            APLOG_MARK, APLOG_ERR, 0, r,
            TSGI_LOGNO(
                0155) "process group %s has no application group \"%s\" for %s: the "
                      "settings that "
                      "lead there were not seen when the configuration was read; put "
                      "TSGIProcessGroup and TSGIApplicationGroup where the "
                      "TSGIScriptAlias stands",
            group->name, name, route->script);
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (alias->script_root != NULL &&
        (group->options.script_root == NULL
             ? strcmp(alias->script_root, "/") == 0
             : !tsgi_resolve_below(route->script, group->options.script_root))) {
        ap_log_rerror(
            APLOG_MARK, APLOG_INFO, 0, r,
            TSGI_LOGNO(0157) "%s does not lie in %s, which process group %s allows",
            route->script,
            group->options.script_root != NULL ? group->options.script_root
                                               : "any directory",
            group->name);
        return HTTP_FORBIDDEN;
    }
    return OK;
}

static tsgi_pass_t pass_authorization(const tsgi_alias_t *alias,
                                      const tsgi_dir_conf_t *dir,
                                      const tsgi_server_conf_t *server)
{
    const tsgi_pass_t settings[] = {alias->pass_authorization, dir->pass_authorization,
                                    server->pass_authorization};
    for (int i = 0; i < 3; i++) {
        if (settings[i] != TSGI_PASS_INHERIT) {
            return settings[i];
        }
    }
    return TSGI_PASS_AUTO;
}

int tsgi_map_route(request_rec *r, tsgi_route_t **result)
{
    const tsgi_server_conf_t *server = server_conf(r);
    const tsgi_dir_conf_t *dir = ap_get_module_config(r->per_dir_config, &tsgi_module);
    const match_t *match = match_of(r);
    *result = NULL;
    if (match == NULL) {
        ap_log_rerror(
            APLOG_MARK, APLOG_ERR, 0, r,
            TSGI_LOGNO(
                0150) "handler %s: no TSGIScriptAlias names %s; expected it to be set by "
                      "TSGIScriptAlias only",
            TSGI_HANDLER, r->filename != NULL ? r->filename : r->uri);
        return HTTP_NOT_FOUND;
    }
    if (match->alias->error != NULL) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      TSGI_LOGNO(0159) "the alias at line %d of %s is out of service "
                                       "since the last restart: %s",
                      match->alias->line, match->alias->file, match->alias->error);
        return HTTP_SERVICE_UNAVAILABLE;
    }
    tsgi_route_t *route = apr_pcalloc(r->pool, sizeof(*route));
    int status = set_script(r, match, route);
    if (status == OK) {
        status = set_group(r, server, dir, route);
    }
    if (status == OK) {
        status = set_application(r, server, dir, route);
    }
    if (status != OK) {
        return status;
    }
    set_target(r, route);
    route->pass_authorization = pass_authorization(route->alias, dir, server);
    *result = route;
    return OK;
}
