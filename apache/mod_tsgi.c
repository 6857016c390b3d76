/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/*
 * mod_tsgi: Node.js and TypeScript apps inside Apache httpd. This file is the module record and the
 * hooks; each hook is explained where it is implemented. docs/architecture.md has the whole picture.
 */
#include "tsgi_config.h"
#include "tsgi_generation.h"
#include "tsgi_handler.h"
#include "tsgi_network.h"
#include "tsgi_port.h"
#include "tsgi_record.h"
#include "tsgi_relay.h"
#include "tsgi_trailers.h"

#include "ap_mpm.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"
#include "http_ssl.h"
#include "mpm_common.h"

static void register_hooks(apr_pool_t *p)
{
    static const char *const after_alias[] = {"mod_alias.c", NULL};
    static const char *const before_userdir[] = {"mod_userdir.c", "mod_vhost_alias.c",
                                                 NULL};

    /* Last of all: whatever else stops the start must not leave processes of ours behind. */
    ap_hook_check_config(tsgi_config_check, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_ssl_add_cert_files(tsgi_port_note_tls, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(tsgi_config_announce, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(tsgi_generation_post_config, NULL, NULL, APR_HOOK_REALLY_LAST);

    ap_hook_child_init(tsgi_generation_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(tsgi_handler_child_init, NULL, NULL, APR_HOOK_LAST);
    ap_hook_child_init(tsgi_relay_child_init, NULL, NULL, APR_HOOK_LAST);
    ap_hook_child_stopping(tsgi_relay_child_stopping, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_suspend_connection(tsgi_relay_suspended, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_child_status(tsgi_generation_child_status, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_monitor(tsgi_generation_monitor, NULL, NULL, APR_HOOK_MIDDLE);

    tsgi_record_register();
    tsgi_trailers_register();
    ap_hook_pre_connection(tsgi_record_connection, NULL, NULL, APR_HOOK_MIDDLE);
    /* Who knows more of a connection goes first; httpd's own is the very last. */
    ap_hook_insert_network_bucket(tsgi_network_insert, NULL, NULL, APR_HOOK_LAST);
    ap_hook_pre_read_request(tsgi_record_begin, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(tsgi_record_compare, NULL, NULL, APR_HOOK_REALLY_FIRST);

    /* A more special Alias for static files stands before the app that has the rest. */
    ap_hook_translate_name(tsgi_map_translate, after_alias, before_userdir,
                           APR_HOOK_MIDDLE);
    ap_hook_handler(tsgi_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

/* AP_DECLARE_MODULE would repeat the APLOG_USE_MODULE of tsgi_module.h. */
module AP_MODULE_DECLARE_DATA tsgi_module = {
    STANDARD20_MODULE_STUFF,  tsgi_config_create_dir,
    tsgi_config_merge_dir,    tsgi_config_create_server,
    tsgi_config_merge_server, tsgi_commands,
    register_hooks,
};
