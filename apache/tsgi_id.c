/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_id.h"

#include "apr_sha1.h"
#include "apr_strings.h"

#include <string.h>
#include <sys/stat.h>

/* Each value is preceded by its length, so that no two lists of values give the same bytes. */
static void put(apr_sha1_ctx_t *hash, const void *data, apr_size_t length)
{
    apr_uint64_t prefix = length;
    apr_sha1_update_binary(hash, (const unsigned char *)&prefix, sizeof(prefix));
    apr_sha1_update_binary(hash, data, (unsigned int)length);
}

static void put_text(apr_sha1_ctx_t *hash, const char *text)
{
    apr_uint64_t none = ~(apr_uint64_t)0; /* NULL is something else than "". */
    if (text == NULL) {
        apr_sha1_update_binary(hash, (const unsigned char *)&none, sizeof(none));
        return;
    }
    put(hash, text, strlen(text));
}

static void put_number(apr_sha1_ctx_t *hash, apr_int64_t number)
{
    put(hash, &number, sizeof(number));
}

static void put_list(apr_sha1_ctx_t *hash, const apr_array_header_t *list)
{
    int n = list == NULL ? 0 : list->nelts;
    put_number(hash, n);
    for (int i = 0; i < n; i++) {
        put_text(hash, APR_ARRAY_IDX(list, i, const char *));
    }
}

/* A file that has been replaced or changed is another one. */
static void put_file(apr_sha1_ctx_t *hash, const char *path)
{
    struct stat info;
    put_text(hash, path);
    if (path == NULL || stat(path, &info) != 0) {
        return;
    }
    put_number(hash, (apr_int64_t)info.st_dev);
    put_number(hash, (apr_int64_t)info.st_ino);
    put_number(hash, (apr_int64_t)info.st_size);
    put_number(hash, (apr_int64_t)info.st_mtim.tv_sec);
    put_number(hash, (apr_int64_t)info.st_mtim.tv_nsec);
}

static void put_identity(apr_sha1_ctx_t *hash, const tsgi_identity_t *identity)
{
    put_number(hash, identity->uid);
    put_number(hash, identity->gid);
    put_number(hash, identity->ngroups);
    for (int i = 0; i < identity->ngroups; i++) {
        put_number(hash, identity->groups[i]);
    }
    put_text(hash, identity->name);
    put_text(hash, identity->home);
    put_text(hash, identity->shell);
    put_number(hash, identity->socket_uid);
}

/*
 * Every member of tsgi_options_t but those that put_identity() and put_file() stand for, and
 * queue_size, apache_threads and sticky: they are Apache's alone, and take effect without new workers.
 */
static void put_options(apr_sha1_ctx_t *hash, const tsgi_options_t *o)
{
    put_number(hash, o->processes);
    put_number(hash, o->concurrency);
    put_number(hash, o->max_upgrades);
    put_number(hash, o->upgrade_idle_timeout);
    put_number(hash, o->umask);
    put_text(hash, o->home);
    put_list(hash, o->node_args);
    put_list(hash, o->script_args);
    put_list(hash, o->env);
    put_file(hash, o->env_file);
    put_text(hash, o->display_name);
    put_number(hash, o->listen_backlog);
    put_text(hash, o->lang);
    put_text(hash, o->locale);
    put_number(hash, o->cpu_priority);
    put_number(hash, o->no_new_privileges);
    put_number(hash, o->start);
    put_text(hash, o->script_root);
    put_text(hash, o->listen);
    put_number(hash, o->ready);
    put_number(hash, o->reload);
    put_list(hash, o->watch);
    put_number(hash, o->maximum_requests);
    put_number(hash, o->restart_interval);
    put_number(hash, o->inactivity_timeout);
    put_number(hash, o->memory_limit);
    put_number(hash, o->cpu_time_limit);
    put_number(hash, o->jitter);
    put_number(hash, o->limit_files);
    put_number(hash, o->limit_processes);
    put_text(hash, o->inspect);
    put_number(hash, o->connect_timeout);
    put_number(hash, o->queue_timeout);
    put_number(hash, o->socket_timeout);
    put_number(hash, o->request_timeout);
    put_number(hash, o->startup_timeout);
    put_number(hash, o->graceful_timeout);
    put_number(hash, o->eviction_timeout);
    put_number(hash, o->deadlock_timeout);
    put_number(hash, o->shutdown_timeout);
}

void tsgi_id_compute(const tsgi_group_t *group, apr_port_t port, const char *directory,
                     unsigned char id[TSGI_GENERATION_SIZE])
{
    static const char *const files[] = {"supervisor.cjs", "worker.cjs", "tsgi.node"};
    unsigned char digest[APR_SHA1_DIGESTSIZE];
    apr_sha1_ctx_t hash;

    apr_sha1_init(&hash);
    put_text(&hash, TSGI_VERSION);
    for (apr_size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char path[APR_PATH_MAX];
        apr_snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
        put_file(&hash, path);
    }
    put_text(&hash, group->name);
    put_number(&hash, group->implicit);
    put_number(&hash, port);
    put_identity(&hash, &group->identity);
    put_file(&hash, group->node);
    put_number(&hash, group->script_reloading);
    put_options(&hash, &group->options);
    apr_sha1_final(digest, &hash);
    memcpy(id, digest, TSGI_GENERATION_SIZE);
}

const char *tsgi_id_hex(apr_pool_t *p, const unsigned char *bytes, apr_size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char *text = apr_palloc(p, size * 2 + 1);
    for (apr_size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[size * 2] = '\0';
    return text;
}
