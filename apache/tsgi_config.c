/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/*
 * All directives are RAW_ARGS: httpd itself then never finds a wrong number of arguments, which at a
 * restart would stop it with all its sites. What a setter finds goes through refuse().
 */
#include "tsgi_config.h"
#include "tsgi_options.h"
#include "tsgi_section.h"

#include "apr_lib.h"
#include "apr_strings.h"
#include "http_core.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#define GLOBAL_CONF_KEY "mod_tsgi:configuration"

/* ---- create and merge --------------------------------------------------------------- */

tsgi_global_conf_t *tsgi_config_global(apr_pool_t *pconf)
{
    void *data = NULL;
    apr_pool_userdata_get(&data, GLOBAL_CONF_KEY, pconf);
    if (data != NULL) {
        return data;
    }
    tsgi_global_conf_t *global = apr_pcalloc(pconf, sizeof(*global));
    global->groups = apr_array_make(pconf, 8, sizeof(tsgi_group_t *));
    global->groups_by_name = apr_hash_make(pconf);
    global->references = apr_array_make(pconf, 8, sizeof(tsgi_reference_t *));
    global->tls_servers = apr_hash_make(pconf);
    apr_pool_userdata_setn(global, GLOBAL_CONF_KEY, apr_pool_cleanup_null, pconf);
    return global;
}

int tsgi_config_is_restart(void)
{
    /* 0: the first reading, whose result is thrown away; 1: the start. */
    return ap_state_query(AP_SQ_CONFIG_GEN) >= 2;
}

void *tsgi_config_create_server(apr_pool_t *p, server_rec *s)
{
    tsgi_server_conf_t *conf = apr_pcalloc(p, sizeof(*conf));
    conf->aliases = apr_array_make(p, 4, sizeof(tsgi_alias_t *));
    conf->dir_groups = apr_array_make(p, 2, sizeof(tsgi_override_t *));
    conf->dir_applications = apr_array_make(p, 2, sizeof(tsgi_override_t *));
    conf->pass_authorization = TSGI_PASS_INHERIT;
    conf->script_reloading = TSGI_UNSET;
    conf->upgrade_passing = TSGI_UNSET;
    return conf;
}

#define MERGE(member) conf->member = add->member != NULL ? add->member : base->member

void *tsgi_config_merge_server(apr_pool_t *p, void *basev, void *addv)
{
    const tsgi_server_conf_t *base = basev;
    const tsgi_server_conf_t *add = addv;
    tsgi_server_conf_t *conf = apr_pcalloc(p, sizeof(*conf));
    conf->aliases = apr_array_append(p, add->aliases, base->aliases);
    conf->dir_groups = apr_array_append(p, add->dir_groups, base->dir_groups);
    conf->dir_applications =
        apr_array_append(p, add->dir_applications, base->dir_applications);
    conf->dir_restricts = add->dir_restricts || base->dir_restricts;
    MERGE(process_group);
    MERGE(application_group);
    MERGE(node);
    MERGE(restrict_process);
    conf->pass_authorization = add->pass_authorization != TSGI_PASS_INHERIT
                                   ? add->pass_authorization
                                   : base->pass_authorization;
    conf->upgrade_passing =
        add->upgrade_passing != TSGI_UNSET ? add->upgrade_passing : base->upgrade_passing;
    conf->script_reloading = add->script_reloading != TSGI_UNSET ? add->script_reloading
                                                                 : base->script_reloading;
    return conf;
}

void *tsgi_config_create_dir(apr_pool_t *p, char *dir)
{
    tsgi_dir_conf_t *conf = apr_pcalloc(p, sizeof(*conf));
    conf->pass_authorization = TSGI_PASS_INHERIT;
    return conf;
}

void *tsgi_config_merge_dir(apr_pool_t *p, void *basev, void *addv)
{
    const tsgi_dir_conf_t *base = basev;
    const tsgi_dir_conf_t *add = addv;
    tsgi_dir_conf_t *conf = apr_pcalloc(p, sizeof(*conf));
    MERGE(process_group);
    MERGE(application_group);
    MERGE(restrict_process);
    MERGE(sendfile_paths);
    MERGE(static_dir);
    conf->pass_authorization = add->pass_authorization != TSGI_PASS_INHERIT
                                   ? add->pass_authorization
                                   : base->pass_authorization;
    return conf;
}

/* ---- what the setters share --------------------------------------------------------- */

static tsgi_server_conf_t *server_conf(cmd_parms *cmd)
{
    return ap_get_module_config(cmd->server->module_config, &tsgi_module);
}

/* httpd adds file and line to what a setter returns; at a restart that would be its end. */
__attribute__((format(printf, 2, 3))) static const char *refuse(cmd_parms *cmd,
                                                                const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *message = apr_pvsprintf(cmd->pool, format, arguments);
    va_end(arguments);
    if (!tsgi_config_is_restart()) {
        return message;
    }
    /* The server of the directive has no log and no level yet: this goes where stderr goes. */
    ap_log_error(APLOG_MARK, APLOG_ERR, 0, NULL, "%s (line %d of %s)", message,
                 cmd->directive->line_num, cmd->directive->filename);
    return NULL;
}

/* Words of the line; NULL if there are fewer than min or more than max (0: any number). */
static apr_array_header_t *split(cmd_parms *cmd, const char *args, int min, int max)
{
    apr_array_header_t *words = apr_array_make(cmd->pool, 2, sizeof(const char *));
    while (*args != '\0') {
        APR_ARRAY_PUSH(words, const char *) = ap_getword_conf(cmd->pool, &args);
    }
    return words->nelts < min || (max > 0 && words->nelts > max) ? NULL : words;
}

/* The only argument of a directive; NULL if there is none, an empty one or more than one. */
static const char *single(cmd_parms *cmd, const char *args)
{
    apr_array_header_t *words = split(cmd, args, 1, 1);
    const char *word = words != NULL ? APR_ARRAY_IDX(words, 0, const char *) : "";
    return word[0] != '\0' ? word : NULL;
}

static void refer(cmd_parms *cmd, const char *name)
{
    tsgi_reference_t *reference = apr_pcalloc(cmd->pool, sizeof(*reference));
    reference->name = name;
    reference->directive = cmd->cmd->name;
    reference->server = cmd->server;
    reference->file = cmd->directive->filename;
    reference->line = cmd->directive->line_num;
    APR_ARRAY_PUSH(tsgi_config_global(cmd->pool)->references, tsgi_reference_t *) =
        reference;
}

static const char *check_group_reference(const char *name)
{
    return strcmp(name, "%{GLOBAL}") == 0 ? NULL : tsgi_options_check_group_name(name);
}

static const char *check_application_group(apr_pool_t *p, const char *name)
{
    if (strncmp(name, "%{", 2) == 0) {
        return strcmp(name, "%{RESOURCE}") == 0 || strcmp(name, "%{GLOBAL}") == 0 ||
                       strcmp(name, "%{SERVER}") == 0
                   ? NULL
                   : "%{RESOURCE}, %{GLOBAL}, %{SERVER} or a name";
    }
    for (const char *c = name; *c != '\0'; c++) {
        if (apr_iscntrl(*c)) {
            return "a name without control characters";
        }
    }
    return name[0] != '\0' && strlen(name) <= 255 ? NULL : "a name of 1 to 255 bytes";
}

/* ---- TSGIDaemonProcess -------------------------------------------------------------- */

static tsgi_group_t *add_group(cmd_parms *cmd, const char *name)
{
    tsgi_global_conf_t *global = tsgi_config_global(cmd->pool);
    tsgi_group_t *group = apr_pcalloc(cmd->pool, sizeof(*group));
    group->name = name;
    group->server = cmd->server;
    group->file = cmd->directive->filename;
    group->line = cmd->directive->line_num;
    group->apps = apr_array_make(cmd->pool, 4, sizeof(tsgi_app_t *));
    group->apps_by_name = apr_hash_make(cmd->pool);
    tsgi_options_init(cmd->pool, tsgi_group_options, &group->options);
    APR_ARRAY_PUSH(global->groups, tsgi_group_t *) = group;
    apr_hash_set(global->groups_by_name, name, APR_HASH_KEY_STRING, group);
    return group;
}

/* "%{GROUP}" as mod_wsgi has it: the title that tells the groups apart in ps. */
static const char *expand_display_name(apr_pool_t *p, const char *text, const char *group)
{
    const char *mark = text != NULL ? strstr(text, "%{GROUP}") : NULL;
    if (mark == NULL) {
        return text;
    }
    return apr_psprintf(p, "%.*s(tsgi:%s)%s", (int)(mark - text), text, group,
                        mark + strlen("%{GROUP}"));
}

static const char *set_daemon_process(cmd_parms *cmd, void *dir, const char *args)
{
    apr_pool_t *p = cmd->pool;
    const char *name = ap_getword_conf(p, &args);
    const char *wanted = tsgi_options_check_group_name(name);
    if (wanted != NULL) {
        return refuse(
            cmd,
            TSGI_LOGNO(0001) "TSGIDaemonProcess: expected the name of the process group "
                             "first (%s), but \"%s\" came",
            wanted, name);
    }
    const tsgi_group_t *before =
        apr_hash_get(tsgi_config_global(p)->groups_by_name, name, APR_HASH_KEY_STRING);
    if (before != NULL) {
        return refuse(
            cmd,
            TSGI_LOGNO(0003) "TSGIDaemonProcess %s: this process group is already "
                             "defined at line %d of %s; expected a name of its own for "
                             "each",
            name, before->line, before->file);
    }
    tsgi_group_t *group = add_group(cmd, name);
    const char *error = tsgi_options_parse(p, tsgi_group_options, args, &group->options);
    if (error != NULL) {
        group->error =
            apr_psprintf(p, TSGI_LOGNO(0002) "TSGIDaemonProcess %s: %s", name, error);
        return refuse(cmd, "%s", group->error);
    }
    group->options.display_name =
        expand_display_name(p, group->options.display_name, name);
    return NULL;
}

/* ---- TSGIScriptAlias, TSGIScriptAliasMatch ------------------------------------------ */

typedef struct {
    const char *process_group;
    const char *application_group;
    apr_int64_t pass_authorization;
    apr_int64_t mount;
} alias_options_t;

static const char *check_process_group_option(apr_pool_t *p, const char *value)
{
    return check_group_reference(value);
}

/* clang-format off */
static const tsgi_option_row_t alias_rows[] = {
    {"process-group", TSGI_OPTION_STRING, offsetof(alias_options_t, process_group), 0, 0, NULL,
     NULL, NULL, check_process_group_option, "The process group that runs the script."},
    {"application-group", TSGI_OPTION_STRING, offsetof(alias_options_t, application_group), 0, 0,
     NULL, NULL, NULL, check_application_group, "The application group inside it."},
    {"pass-authorization", TSGI_OPTION_ENUM, offsetof(alias_options_t, pass_authorization), 0, 0,
     NULL, NULL, "off|on|auto", NULL, "Whether the app gets the Authorization header."},
    {"mount", TSGI_OPTION_ENUM, offsetof(alias_options_t, mount), 0, 0, "strip", NULL,
     "strip|keep", NULL, "Whether the app sees URLs without or with the mount point."},
    {NULL, TSGI_OPTION_INT, 0, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

/* The place in "off|on|auto" or TSGI_UNSET. */
static tsgi_pass_t pass_of_choice(apr_int64_t choice)
{
    switch (choice) {
    case 0:
        return TSGI_PASS_OFF;
    case 1:
        return TSGI_PASS_ON;
    case 2:
        return TSGI_PASS_AUTO;
    default:
        return TSGI_PASS_INHERIT;
    }
}

static const char *check_url(apr_pool_t *p, const char *url)
{
    if (url[0] != '/') {
        return "expected a URL-path that begins with /";
    }
    for (const char *c = url; *c != '\0'; c++) {
        if (*c == '?' || *c == '#' ||
            (*c == '%' && apr_isxdigit(c[1]) && apr_isxdigit(c[2]))) {
            return "expected a URL-path without query and not percent-encoded, since it "
                   "is compared "
                   "with the decoded path of a request";
        }
    }
    return NULL;
}

static const char *set_literal(cmd_parms *cmd, tsgi_alias_t *alias, const char *file)
{
    const char *error = check_url(cmd->pool, alias->url);
    alias->script = ap_server_root_relative(cmd->pool, file);
    if (error == NULL && alias->script == NULL) {
        error = apr_psprintf(cmd->pool, "expected the path of a script, but \"%s\" came",
                             file);
    }
    return error;
}

/*
 * The directory that every script of a pattern lies in: what stands before the first substitution (or
 * escape, to be on the safe side), cut after its last slash. A target that begins with a substitution
 * must not take ServerRoot for its root, so it stays as it is.
 */
static const char *set_pattern(cmd_parms *cmd, tsgi_alias_t *alias, const char *file)
{
    apr_pool_t *p = cmd->pool;
    alias->regex = ap_pregcomp(p, alias->url, AP_REG_EXTENDED);
    if (alias->regex == NULL) {
        return "expected a regular expression as in AliasMatch, but this one does not "
               "compile";
    }
    size_t literal = strcspn(file, "$\\");
    if (file[literal] == '\0') {
        alias->script = ap_server_root_relative(p, file);
        return alias->script != NULL ? NULL : "expected the path of a script";
    }
    if (literal == 0) {
        alias->script = file;
        alias->script_root = "/";
        return NULL;
    }
    alias->script = ap_server_root_relative(p, file);
    if (alias->script == NULL) {
        return "expected the path of a script, with $1 … for what the expression found";
    }
    char *root = apr_pstrndup(p, alias->script, strcspn(alias->script, "$\\"));
    strrchr(root, '/')[1] = '\0';
    alias->script_root = root;
    return NULL;
}

static const char *parse_alias(cmd_parms *cmd, tsgi_alias_t *alias, const char *file,
                               const char *options)
{
    alias_options_t parsed;
    const char *error =
        cmd->info != NULL ? set_pattern(cmd, alias, file) : set_literal(cmd, alias, file);
    if (error != NULL) {
        return error;
    }
    tsgi_options_init(cmd->pool, alias_rows, &parsed);
    error = tsgi_options_parse(cmd->pool, alias_rows, options, &parsed);
    alias->process_group = parsed.process_group;
    alias->application_group = parsed.application_group;
    alias->pass_authorization = pass_of_choice(parsed.pass_authorization);
    alias->keeps_mount = parsed.mount == 1;
    return error;
}

static const char *set_script_alias(cmd_parms *cmd, void *dir, const char *args)
{
    apr_pool_t *p = cmd->pool;
    const char *url = ap_getword_conf(p, &args);
    const char *file = ap_getword_conf(p, &args);
    if (file[0] == '\0') {
        return refuse(
            cmd,
            TSGI_LOGNO(0004) "%s: expected a %s and the path of a script, but \"%s\" "
                             "came",
            cmd->cmd->name, cmd->info != NULL ? "regular expression" : "URL-path", url);
    }
    tsgi_alias_t *alias = apr_pcalloc(p, sizeof(*alias));
    alias->url = url;
    alias->server = cmd->server;
    alias->file = cmd->directive->filename;
    alias->line = cmd->directive->line_num;
    alias->pass_authorization = TSGI_PASS_INHERIT;
    APR_ARRAY_PUSH(server_conf(cmd)->aliases, tsgi_alias_t *) = alias;

    const char *error = parse_alias(cmd, alias, file, args);
    if (error != NULL) {
        /* It stays: its URLs must not fall through to the files of the document root. */
        alias->error =
            apr_psprintf(p, TSGI_LOGNO(0005) "%s %s: %s", cmd->cmd->name, url, error);
        return refuse(cmd, "%s", alias->error);
    }
    return NULL;
}

/* ---- directives of servers and directories ------------------------------------------ */

static const char *set_process_group(cmd_parms *cmd, void *dir, const char *args)
{
    const char *name = single(cmd, args);
    const char *wanted = name != NULL ? check_group_reference(name) : "one name";
    if (wanted != NULL) {
        /* At a restart: no such group, rather than another user than the one that was meant. */
        name = args;
    }
    else {
        refer(cmd, name);
    }
    if (cmd->path != NULL) {
        ((tsgi_dir_conf_t *)dir)->process_group = name;
        APR_ARRAY_PUSH(server_conf(cmd)->dir_groups, tsgi_override_t *) =
            tsgi_section_override(cmd, name);
    }
    else {
        server_conf(cmd)->process_group = name;
    }
    if (wanted == NULL) {
        return NULL;
    }
    return refuse(
        cmd,
        TSGI_LOGNO(0006) "TSGIProcessGroup: expected the name of a process group "
                         "or %%{GLOBAL} (%s), but \"%s\" came",
        wanted, args);
}

static const char *set_application_group(cmd_parms *cmd, void *dir, const char *args)
{
    const char *name = single(cmd, args);
    const char *wanted =
        name != NULL ? check_application_group(cmd->pool, name) : "one name";
    if (wanted != NULL) {
        return refuse(
            cmd, TSGI_LOGNO(0007) "TSGIApplicationGroup: expected %s, but \"%s\" came",
            wanted, args);
    }
    if (cmd->path != NULL) {
        ((tsgi_dir_conf_t *)dir)->application_group = name;
        APR_ARRAY_PUSH(server_conf(cmd)->dir_applications, tsgi_override_t *) =
            tsgi_section_override(cmd, name);
        return NULL;
    }
    server_conf(cmd)->application_group = name;
    return NULL;
}

static const char *set_restrict_process(cmd_parms *cmd, void *dir, const char *args)
{
    apr_array_header_t *names = split(cmd, args, 1, 0);
    for (int i = 0; names != NULL && i < names->nelts; i++) {
        const char *name = APR_ARRAY_IDX(names, i, const char *);
        if (check_group_reference(name) != NULL) {
            names = NULL;
            break;
        }
        refer(cmd, name);
    }
    if (names == NULL) {
        /* At a restart: a restriction that cannot be read must not become none at all. */
        names = apr_array_make(cmd->pool, 1, sizeof(const char *));
    }
    if (cmd->path != NULL) {
        ((tsgi_dir_conf_t *)dir)->restrict_process = names;
        server_conf(cmd)->dir_restricts = 1;
    }
    else {
        server_conf(cmd)->restrict_process = names;
    }
    if (names->nelts > 0) {
        return NULL;
    }
    return refuse(
        cmd,
        TSGI_LOGNO(0008) "TSGIRestrictProcess: expected names of process groups or "
                         "%%{GLOBAL}, but \"%s\" came",
        args);
}

static const char *set_pass_authorization(cmd_parms *cmd, void *dir, const char *args)
{
    static const char *const words[] = {"off", "on", "auto"};
    const char *word = single(cmd, args);
    int choice = 2;
    while (choice >= 0 && (word == NULL || strcasecmp(word, words[choice]) != 0)) {
        choice--;
    }
    /* At a restart: what cannot be read is Off, the cautious one. */
    tsgi_pass_t pass = choice >= 0 ? pass_of_choice(choice) : TSGI_PASS_OFF;
    if (cmd->path != NULL) {
        ((tsgi_dir_conf_t *)dir)->pass_authorization = pass;
    }
    else {
        server_conf(cmd)->pass_authorization = pass;
    }
    if (choice >= 0) {
        return NULL;
    }
    return refuse(cmd,
                  TSGI_LOGNO(0009) "TSGIPassAuthorization: expected On, Off or Auto, but "
                                   "\"%s\" came",
                  args);
}

static const char *set_node(cmd_parms *cmd, void *dir, const char *args)
{
    const char *path = single(cmd, args);
    if (path == NULL || path[0] != '/') {
        return refuse(
            cmd,
            TSGI_LOGNO(0010) "TSGINode: expected the absolute path of the node binary, "
                             "but \"%s\" came",
            args);
    }
    server_conf(cmd)->node = path;
    return NULL;
}

static const char *set_script_reloading(cmd_parms *cmd, void *dir, const char *args)
{
    const char *word = single(cmd, args);
    int on = word != NULL && strcasecmp(word, "on") == 0;
    /* At a restart: what cannot be read is Off, so that nothing is replaced by surprise. */
    server_conf(cmd)->script_reloading = on;
    if (on || (word != NULL && strcasecmp(word, "off") == 0)) {
        return NULL;
    }
    return refuse(
        cmd, TSGI_LOGNO(0024) "TSGIScriptReloading: expected On or Off, but \"%s\" came",
        args);
}

static const char *set_upgrade_passing(cmd_parms *cmd, void *dir, const char *args)
{
    const char *word = single(cmd, args);
    int on = word != NULL && strcasecmp(word, "on") == 0;
    /* At a restart: what cannot be read is Off, so that every byte stays with Apache. */
    server_conf(cmd)->upgrade_passing = on;
    if (on || (word != NULL && strcasecmp(word, "off") == 0)) {
        return NULL;
    }
    return refuse(
        cmd, TSGI_LOGNO(0030) "TSGIUpgradePassing: expected On or Off, but \"%s\" came",
        args);
}

/* As httpd does for a DocumentRoot: it may be made later, so nothing is refused. */
static void warn_of_missing(cmd_parms *cmd, const char *id, const char *path)
{
    const int is_last_reading =
        ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_CONFIG ||
        ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_CONFIG_TEST;
    if (is_last_reading && !ap_is_directory(cmd->temp_pool, path)) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_WARNING, 0, NULL,
                     "%s%s: there is no directory %s (line %d of %s)", id, cmd->cmd->name,
                     path, cmd->directive->line_num, cmd->directive->filename);
    }
}

/* The absolute path of a directory, without slashes at its end; NULL: it cannot be one. */
static const char *directory_path(cmd_parms *cmd, const char *word)
{
    char *path = word[0] != '\0' ? ap_server_root_relative(cmd->pool, word) : NULL;
    for (size_t n = path != NULL ? strlen(path) : 0; n > 1 && path[n - 1] == '/'; n--) {
        path[n - 1] = '\0';
    }
    return path;
}

static const char *set_sendfile_path(cmd_parms *cmd, void *dir, const char *args)
{
    apr_array_header_t *words = split(cmd, args, 1, 0);
    apr_array_header_t *paths = apr_array_make(cmd->pool, 2, sizeof(const char *));
    const int is_none = words != NULL && words->nelts == 1 &&
                        strcasecmp(APR_ARRAY_IDX(words, 0, const char *), "none") == 0;
    int is_bad = words == NULL;
    /* At a restart: what cannot be read allows nothing. */
    ((tsgi_dir_conf_t *)dir)->sendfile_paths = paths;
    for (int i = 0; !is_bad && !is_none && i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);
        const char *path = directory_path(cmd, word);
        is_bad = path == NULL || strcasecmp(word, "none") == 0 ||
                 strcasecmp(word, "on") == 0 || strcasecmp(word, "off") == 0;
        if (!is_bad) {
            warn_of_missing(cmd, TSGI_LOGNO(0025), path);
            APR_ARRAY_PUSH(paths, const char *) = path;
        }
    }
    if (!is_bad) {
        return NULL;
    }
    apr_array_clear(paths);
    return refuse(cmd,
                  TSGI_LOGNO(0025) "TSGISendfilePath: expected directories, or None, but "
                                   "\"%s\" came",
                  args);
}

static const char *set_static(cmd_parms *cmd, void *dir, const char *args)
{
    tsgi_dir_conf_t *conf = dir;
    const char *word = single(cmd, args);
    /* URLs are looked at before directories and files are known. */
    const char *error = ap_check_cmd_context(cmd, NOT_IN_DIRECTORY | NOT_IN_FILES);
    if (error != NULL) {
        return refuse(cmd, TSGI_LOGNO(0026) "%s", error);
    }
    /* At a restart: what cannot be read serves nothing. */
    conf->static_dir = "";
    if (word != NULL && strcasecmp(word, "off") == 0) {
        return NULL;
    }
    const char *path =
        word != NULL && strcasecmp(word, "on") != 0 ? directory_path(cmd, word) : NULL;
    if (path == NULL) {
        return refuse(
            cmd,
            TSGI_LOGNO(0026) "TSGIStatic: expected a directory, or Off, but \"%s\" came",
            args);
    }
    warn_of_missing(cmd, TSGI_LOGNO(0026), path);
    conf->static_dir = path;
    return NULL;
}

static const char *set_runtime_dir(cmd_parms *cmd, void *dir, const char *args)
{
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    const char *path = single(cmd, args);
    if (error != NULL) {
        return refuse(cmd, TSGI_LOGNO(0011) "%s", error);
    }
    path = path != NULL ? ap_server_root_relative(cmd->pool, path) : NULL;
    if (path == NULL) {
        return refuse(
            cmd,
            TSGI_LOGNO(0011) "TSGIRuntimeDir: expected the path of a directory, but "
                             "\"%s\" came",
            args);
    }
    tsgi_config_global(cmd->pool)->runtime_dir = path;
    return NULL;
}

/* ---- the directives ----------------------------------------------------------------- */

#define EVERYWHERE (RSRC_CONF | ACCESS_CONF)

const command_rec tsgi_commands[] = {
    AP_INIT_RAW_ARGS("TSGIDaemonProcess", set_daemon_process, NULL, RSRC_CONF,
                     "A process group: its name and options (user=, processes= …)."),
    AP_INIT_RAW_ARGS("TSGIScriptAlias", set_script_alias, NULL, RSRC_CONF,
                     "A URL-path and the script that answers it."),
    AP_INIT_RAW_ARGS("TSGIScriptAliasMatch", set_script_alias, (void *)"", RSRC_CONF,
                     "A regular expression and the path of the scripts, with $1 ..."),
    AP_INIT_RAW_ARGS("TSGIProcessGroup", set_process_group, NULL, EVERYWHERE,
                     "The process group that runs the scripts."),
    AP_INIT_RAW_ARGS("TSGIApplicationGroup", set_application_group, NULL, EVERYWHERE,
                     "The application group: scripts with the same one share workers."),
    AP_INIT_RAW_ARGS("TSGIRestrictProcess", set_restrict_process, NULL, EVERYWHERE,
                     "The only process groups that may be chosen here."),
    AP_INIT_RAW_ARGS(
        "TSGIPassAuthorization", set_pass_authorization, NULL, EVERYWHERE,
        "Whether apps get the Authorization header: On, Off, or Auto (unless Apache "
        "itself authenticated the request)."),
    AP_INIT_RAW_ARGS("TSGINode", set_node, NULL, RSRC_CONF,
                     "The absolute path of the node binary."),
    AP_INIT_RAW_ARGS(
        "TSGIScriptReloading", set_script_reloading, NULL, RSRC_CONF,
        "Whether workers are replaced when their script changes: On or Off."),
    AP_INIT_RAW_ARGS("TSGIUpgradePassing", set_upgrade_passing, NULL, RSRC_CONF,
                     "Whether a plain client that changes to another protocol is handed "
                     "over to the worker: On or Off."),
    AP_INIT_RAW_ARGS(
        "TSGISendfilePath", set_sendfile_path, NULL, EVERYWHERE,
        "The directories whose files apps may have sent by X-Sendfile: paths, "
        "or None."),
    AP_INIT_RAW_ARGS("TSGIStatic", set_static, NULL, EVERYWHERE,
                     "The directory whose files are served before the app is asked: a "
                     "path, or Off."),
    AP_INIT_RAW_ARGS("TSGIRuntimeDir", set_runtime_dir, NULL, RSRC_CONF,
                     "The directory where sockets are made."),
    {NULL}};
