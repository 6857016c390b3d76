/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_port.h"

#include "ap_listen.h"
#include "apr_strings.h"

#include <string.h>

/* The ports in question, asked one after the other. */
typedef struct {
    const tsgi_global_conf_t *global;
    const server_rec *main_server;
    apr_port_t plain, tls; /* the first one of each kind; 0: none yet */
} search_t;

int tsgi_port_note_tls(server_rec *s, apr_pool_t *p, apr_array_header_t *cert_files,
                       apr_array_header_t *key_files)
{
    apr_pool_t *pconf = s->process->pconf;
    const void *key = apr_pmemdup(pconf, &s, sizeof(server_rec *));
    apr_hash_set(tsgi_config_global(pconf)->tls_servers, key, sizeof(server_rec *), s);
    return DECLINED;
}

/* ---- what httpd listens at ------------------------------------------------------------ */

static int is_at(const ap_listen_rec *listener, apr_port_t port)
{
    return listener->bind_addr != NULL && listener->bind_addr->port == port;
}

static int is_listening(apr_port_t port)
{
    const ap_listen_rec *listener = ap_listeners;
    while (listener != NULL && !is_at(listener, port)) {
        listener = listener->next;
    }
    return listener != NULL;
}

/* The lowest port above another one at which httpd listens; 0: none. */
static apr_port_t next_port(apr_port_t above)
{
    apr_port_t lowest = 0;
    for (const ap_listen_rec *each = ap_listeners; each != NULL; each = each->next) {
        const apr_port_t port = each->bind_addr != NULL ? each->bind_addr->port : 0;
        if (port > above && (lowest == 0 || port < lowest)) {
            lowest = port;
        }
    }
    return lowest;
}

/* ---- TLS ------------------------------------------------------------------------------ */

/* As a directive has it: Listen 8443 https. Without one httpd says so of 443. */
static int listens_for_https(apr_port_t port)
{
    for (const ap_listen_rec *each = ap_listeners; each != NULL; each = each->next) {
        if (is_at(each, port) && each->protocol != NULL &&
            strcmp(each->protocol, "https") == 0) {
            return 1;
        }
    }
    return 0;
}

static int has_tls(const search_t *search, const server_rec *s)
{
    return apr_hash_get(search->global->tls_servers, &s, sizeof(server_rec *)) != NULL;
}

static int has_address(const server_rec *s, apr_port_t port)
{
    const server_addr_rec *address = s->is_virtual ? s->addrs : NULL;
    while (address != NULL && address->host_port != port) {
        address = address->next;
    }
    return address != NULL;
}

/*
 * Whether a virtual host with this port in its address (0: with "*") speaks TLS; −1: there is no such
 * virtual host. All those of one address speak it, or none.
 */
static int hosts_have_tls(const search_t *search, apr_port_t port)
{
    int answer = -1;
    for (const server_rec *s = search->main_server; s != NULL && answer < 1;
         s = s->next) {
        if (has_address(s, port)) {
            answer = has_tls(search, s);
        }
    }
    return answer;
}

static int is_tls(const search_t *search, apr_port_t port)
{
    int answer = listens_for_https(port) ? 1 : hosts_have_tls(search, port);
    if (answer < 0) {
        answer = hosts_have_tls(search, 0);
    }
    return answer < 0 ? has_tls(search, search->main_server) : answer;
}

/* ---- the search ----------------------------------------------------------------------- */

static void consider(search_t *search, apr_port_t port)
{
    if (port == 0 || search->plain != 0 || !is_listening(port)) {
        return;
    }
    apr_port_t *first = is_tls(search, port) ? &search->tls : &search->plain;
    if (*first == 0) {
        *first = port;
    }
}

static void consider_addresses(search_t *search, const server_rec *s)
{
    for (const server_addr_rec *a = s->is_virtual ? s->addrs : NULL; a != NULL;
         a = a->next) {
        consider(search, a->host_port);
    }
}

/* As tsgi_resolve_visible() has it: the same site, mostly once with TLS and once without. */
static int is_namesake(const server_rec *s, const server_rec *other)
{
    return s->is_virtual && other->is_virtual && s->server_hostname != NULL &&
           other->server_hostname != NULL &&
           strcasecmp(s->server_hostname, other->server_hostname) == 0;
}

apr_port_t tsgi_port_of(const tsgi_global_conf_t *global, const server_rec *main_server,
                        const server_rec *s)
{
    search_t search = {.global = global, .main_server = main_server};

    consider_addresses(&search, s);
    consider(&search, s->port);
    for (const server_rec *each = main_server; each != NULL; each = each->next) {
        if (is_namesake(s, each)) {
            consider_addresses(&search, each);
        }
    }
    for (apr_port_t port = next_port(0); port != 0; port = next_port(port)) {
        consider(&search, port);
    }
    if (search.plain != 0) {
        return search.plain;
    }
    return search.tls != 0 ? search.tls : TSGI_PORT_DEFAULT;
}
