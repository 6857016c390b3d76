/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_config.h
 * The configuration as httpd read it: process groups, aliases, per-server and per-directory settings.
 *
 * Everything here lives in pconf and is read-only after post_config; Apache's children inherit it by
 * fork. Only `tsgi_group_t.generation` and `tsgi_app_t.slots` point out of it, to the runtime
 * (tsgi_generation.h) that outlives pconf.
 */
#ifndef TSGI_CONFIG_H
#define TSGI_CONFIG_H

#include "tsgi_module.h"
#include "apr_hash.h"
#include "apr_tables.h"
#include <sys/types.h>

typedef struct tsgi_generation_t tsgi_generation_t; /* tsgi_generation.h */
typedef struct tsgi_slots_t tsgi_slots_t;           /* tsgi_generation.h */

/** Unset marker of integer members, as in the option table and merges. */
#define TSGI_UNSET (-1)

typedef enum { TSGI_START_BOOT, TSGI_START_ON_DEMAND } tsgi_start_t;
typedef enum { TSGI_READY_LISTEN, TSGI_READY_MESSAGE } tsgi_ready_t;
typedef enum { TSGI_RELOAD_ROLLING, TSGI_RELOAD_ALL } tsgi_reload_t;
/** TSGI_PASS_INHERIT: not set here; never in a tsgi_route_t. */
typedef enum {
    TSGI_PASS_INHERIT = -2,
    TSGI_PASS_AUTO = TSGI_UNSET,
    TSGI_PASS_OFF = 0,
    TSGI_PASS_ON = 1
} tsgi_pass_t;

/** Options of a group, one member per row of the table in tsgi_options.c; defaults stand there. */
typedef struct {
    apr_int64_t processes; /**< workers per application group */
    /** most requests one worker has in hand (threads= is a synonym) */
    apr_int64_t concurrency;
    apr_int64_t sticky;               /**< 1 = clients come back to their worker */
    apr_int64_t max_upgrades;         /**< connections taken over; 0 = what it can bear */
    apr_int64_t upgrade_idle_timeout; /**< ms; 0 = none */
    const char *user;                 /**< name or #uid; NULL = Apache's User */
    const char *group; /**< name or #gid; NULL = the user's, or Apache's Group */
    /** "a,b"; NULL = the user's own (initgroups); "" = none */
    const char *supplementary_groups;
    apr_int64_t umask;
    const char *home; /**< working directory; NULL = the script's directory */
    const char *node; /**< absolute path; NULL = TSGINode of the server */
    apr_array_header_t *node_args;   /**< const char *, in order */
    apr_array_header_t *script_args; /**< const char *, in order */
    apr_array_header_t *env;         /**< const char * "NAME=value", in order */
    const char *env_file;            /**< absolute path or NULL */
    const char *display_name; /**< %{GROUP} already expanded; NULL = default titles */
    apr_int64_t listen_backlog;
    const char *socket_user; /**< NULL = Apache's User */
    const char *lang, *locale;
    apr_int64_t cpu_priority;      /**< nice value −20..19 */
    apr_int64_t no_new_privileges; /**< 1 = on */
    apr_int64_t start;             /**< tsgi_start_t */
    const char *script_root;
    const char *listen;        /**< which listen() is the app: "first" or "port:N" */
    apr_int64_t ready;         /**< tsgi_ready_t */
    apr_int64_t reload;        /**< tsgi_reload_t */
    apr_array_header_t *watch; /**< const char *, patterns of file names, in order */
    /** when workers are recycled; TSGI_UNSET = never */
    apr_int64_t maximum_requests, restart_interval, inactivity_timeout; /**< times: ms */
    apr_int64_t memory_limit, cpu_time_limit;                           /**< bytes, ms */
    apr_int64_t jitter;                                                 /**< percent */
    /** RLIMIT_NOFILE, RLIMIT_NPROC; TSGI_UNSET = inherited */
    apr_int64_t limit_files, limit_processes;
    const char *inspect; /**< "[host:]port" or NULL */
    apr_int64_t connect_timeout, queue_timeout, socket_timeout; /**< ms */
    apr_int64_t queue_size;      /**< requests of one application group */
    apr_int64_t apache_threads;  /**< TSGI_UNSET = half of what the MPM has */
    apr_int64_t request_timeout; /**< ms, 0 = none */
    apr_int64_t startup_timeout, graceful_timeout, shutdown_timeout; /**< ms */
    apr_int64_t eviction_timeout; /**< ms; TSGI_UNSET = graceful_timeout */
    apr_int64_t deadlock_timeout; /**< ms; 0 = off */
} tsgi_options_t;

/** Who a group runs as; resolved at configuration time so that nothing needs NSS after fork. */
typedef struct {
    uid_t uid;
    gid_t gid;
    gid_t *groups; /**< supplementary, ngroups entries */
    int ngroups;
    const char *name, *home, *shell; /**< from passwd */
    uid_t socket_uid;                /**< owner of the sockets */
} tsgi_identity_t;

/** An application group: the scripts that share one set of workers. */
typedef struct {
    const char *name; /**< "" = %{GLOBAL} */
    struct tsgi_group_t *group;
    int pattern;                 /**< scripts are literal root directories, not files */
    apr_array_header_t *scripts; /**< const char *: absolute paths, unique */
    tsgi_start_t start;
    /** set by tsgi_generation_attach(); NULL if the group has an error */
    tsgi_slots_t *slots;
} tsgi_app_t;

/** A process group. One per TSGIDaemonProcess, plus the implicit ones made by tsgi_config_check(). */
typedef struct tsgi_group_t {
    const char *name;
    server_rec *server; /**< where it is defined: visibility and log */
    /** of the directive, or of the alias that an implicit one is for */
    const char *file;
    int line;
    int implicit;
    tsgi_options_t options;
    tsgi_identity_t identity;
    const char *node;     /**< resolved: options.node, TSGINode, or PATH search */
    int script_reloading; /**< resolved: TSGIScriptReloading of `server`, 1 = on */
    const char *error; /**< what is wrong with it (restart only); its requests get 503 */
    apr_array_header_t *apps;      /**< tsgi_app_t * */
    apr_hash_t *apps_by_name;      /**< name → tsgi_app_t * */
    tsgi_generation_t *generation; /**< set by tsgi_generation_attach(); NULL if error */
} tsgi_group_t;

/** One TSGIScriptAlias or TSGIScriptAliasMatch. */
typedef struct {
    const char *url;    /**< URL-path as written, or the regular expression */
    ap_regex_t *regex;  /**< NULL: literal */
    const char *script; /**< absolute path, or the pattern's target with $1 … */
    /** pattern: literal root with trailing slash ("/" = none, the group's script-root= counts);
     *  NULL: one exact script */
    const char *script_root;
    const char *process_group;     /**< alias option or NULL */
    const char *application_group; /**< alias option or NULL, as written */
    tsgi_pass_t pass_authorization;
    int keeps_mount; /**< mount=keep: the app sees the URL whole */
    /** where it is defined; virtual hosts may inherit it from there */
    server_rec *server;
    const char *file;
    int line;
    const char *error; /**< what is wrong with it (restart only); its requests get 503 */
    /* Set by tsgi_config_check(): */
    const char *server_name; /**< what %{SERVER} stands for: name[:port] of `server` */
    const char *resource;    /**< what %{RESOURCE} stands for: name[:port]|url */
    /** the implicit group of `server`, NULL if nothing needs one */
    tsgi_group_t *implicit;
} tsgi_alias_t;

/** A process group's name in TSGIProcessGroup or TSGIRestrictProcess: checked when all is read. */
typedef struct {
    const char *name;
    const char *directive;
    server_rec *server;
    const char *file;
    int line;
} tsgi_reference_t;

typedef struct {
    apr_array_header_t *aliases; /**< tsgi_alias_t *, in the order of the configuration */
    const char *process_group;   /**< NULL = unset */
    const char *application_group;
    const char *node; /**< TSGINode */
    tsgi_pass_t pass_authorization;
    int upgrade_passing;  /**< TSGIUpgradePassing: 1, 0 or TSGI_UNSET, which is 1 */
    int script_reloading; /**< TSGIScriptReloading: 1, 0 or TSGI_UNSET */
    apr_array_header_t *restrict_process; /**< const char *; NULL = unset */
    /** tsgi_override_t * (tsgi_section.h): TSGIProcessGroup in sections */
    apr_array_header_t *dir_groups;
    apr_array_header_t *dir_applications; /**< the same for TSGIApplicationGroup */
    int dir_restricts;      /**< a <Location>/<Directory> has a TSGIRestrictProcess */
    tsgi_group_t *implicit; /**< set by tsgi_config_check() where it is needed */
} tsgi_server_conf_t;

typedef struct {
    const char *process_group;
    const char *application_group;
    tsgi_pass_t pass_authorization;
    apr_array_header_t *restrict_process;
    /** TSGISendfilePath: const char *, absolute directories; empty: none; NULL: unset */
    apr_array_header_t *sendfile_paths;
    const char *static_dir; /**< TSGIStatic: absolute; "" = Off; NULL = unset */
} tsgi_dir_conf_t;

/** Settings of the whole httpd: runtime directory and the groups by name. Userdata on pconf. */
typedef struct {
    /** TSGIRuntimeDir, absolute; default DEFAULT_REL_RUNTIMEDIR */
    const char *runtime_dir;
    apr_array_header_t *groups;     /**< tsgi_group_t *, explicit first */
    apr_hash_t *groups_by_name;     /**< name → explicit tsgi_group_t * */
    apr_array_header_t *references; /**< tsgi_reference_t * */
    /** &server_rec * → itself: those that speak TLS; known at the end of post_config */
    apr_hash_t *tls_servers;
} tsgi_global_conf_t;

extern const command_rec tsgi_commands[];
void *tsgi_config_create_server(apr_pool_t *p, server_rec *s);
void *tsgi_config_merge_server(apr_pool_t *p, void *base, void *add);
void *tsgi_config_create_dir(apr_pool_t *p, char *dir);
void *tsgi_config_merge_dir(apr_pool_t *p, void *base, void *add);

/** The global settings of the configuration being read or in force. Never NULL. */
tsgi_global_conf_t *tsgi_config_global(apr_pool_t *pconf);
/** @return 1 if httpd restarts: then none of our errors may stop it with all its sites. */
int tsgi_config_is_restart(void);

/**
 * check_config hook: resolves users, nodes, aliases → groups and application groups (implicit groups made
 * here), checks them, and at -t and at the first start probes node and scripts as the group's user
 * (tsgi_probe.h). @return OK, or HTTP_INTERNAL_SERVER_ERROR after a message with file, line and remedy; at a
 * restart always OK: what is wrong is logged and stands in tsgi_group_t.error.
 */
int tsgi_config_check(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                      server_rec *s);

/**
 * post_config hook, when httpd has opened its logs: a notice for each implicit group (once, at the
 * start), warnings for aliases that never match.
 */
int tsgi_config_announce(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                         server_rec *s);

/* ---- per request, in Apache children ------------------------------------------------ */

/** Where a request goes. Lives in r->pool. */
typedef struct {
    const tsgi_alias_t *alias;
    /** the part of r->uri that the alias matched; "" at the root and with mount=keep */
    const char *mount;
    const char *path_info; /**< decoded, the rest of r->uri; "" or begins with "/" */
    /** bytes of the raw request target that the mount covers */
    apr_uint32_t mount_length;
    /** absolute path of the script; r->filename may differ when it is missing */
    const char *script;
    /** the request target to send: r->unparsed_uri, or rebuilt if r->uri was rewritten */
    const char *target;
    tsgi_group_t *group; /**< set by tsgi_map_route() */
    tsgi_app_t *app;
    tsgi_pass_t pass_authorization;
} tsgi_route_t;

/**
 * translate_name hook: the first alias that matches decides; sets filename, path_info, handler. What it
 * found stands in r->request_config of this module, which is tsgi_map.c's alone.
 */
int tsgi_map_translate(request_rec *r);
/**
 * Finds group and application group of a request that tsgi_map_translate() took; logs why not.
 * @return OK, or an HTTP status: 404 (alias gone), 403 (group restricted), 500, 503 (group has an error).
 */
int tsgi_map_route(request_rec *r, tsgi_route_t **route);

#endif
