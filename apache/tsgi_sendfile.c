/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_sendfile.h"
#include "tsgi_resolve.h"

#include "apr_strings.h"
#include "http_core.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_TRIES 16

/** What is sent, for as long as it is. */
typedef struct {
    conn_rec *c;
    int fd; /* O_PATH */
    struct stat info;
} watch_t;

static int fail(tsgi_error_t *error, tsgi_failure_t kind, int os_error,
                const char *detail)
{
    error->kind = kind;
    error->os_error = os_error;
    error->detail = detail;
    return 0;
}

/* ---- the name ----------------------------------------------------------------------- */

/* Header values hold Latin-1 only, so a path is percent-encoded. @return NULL: *why says why not. */
static const char *decode(apr_pool_t *p, const char *value, const char **why)
{
    char *path = apr_pstrdup(p, value);
    /* Also refuses what stands for a slash or NUL. */
    if (ap_unescape_url(path) != OK) {
        *why = "expected a path as encodeURI() makes it";
    }
    else if (path[0] != '/') {
        *why = "expected an absolute path";
    }
    else if (strlen(path) >= PATH_MAX) {
        *why = "the path is too long";
    }
    else {
        return path;
    }
    return NULL;
}

/* What follows the directory in the path, without a slash in front; NULL: it lies elsewhere. */
static const char *rest_below(const char *path, const char *dir)
{
    if (!tsgi_resolve_below(path, dir)) {
        return NULL;
    }
    const char *rest = path + (strcmp(dir, "/") == 0 ? 0 : strlen(dir));
    return rest + strspn(rest, "/");
}

/* The same by the directory's own name: Node's __dirname has no symbolic links in it. */
static const char *rest_below_real(apr_pool_t *p, const char *path, int dir)
{
    char real[PATH_MAX];
    const ssize_t n =
        readlink(apr_psprintf(p, "/proc/self/fd/%d", dir), real, sizeof(real));
    if (n <= 0 || (size_t)n >= sizeof(real)) {
        return NULL;
    }
    real[n] = '\0';
    return rest_below(path, real);
}

/* ---- the file ----------------------------------------------------------------------- */

/* Never above dir, by no link either. @return a descriptor that only tells what it is, or −errno. */
static int open_beneath(int dir, const char *path)
{
    const struct open_how how = {.flags = O_PATH | O_CLOEXEC,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    for (int tries = 0;; tries++) {
        const long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
        if (fd >= 0) {
            return (int)fd;
        }
        /* Somebody renames while the kernel walks, so that it cannot be sure. */
        if ((errno != EAGAIN && errno != EINTR) || tries == MAX_TRIES) {
            return -errno;
        }
    }
}

/* @return as open_beneath(); −EXDEV: the path does not lie in this directory. */
static int open_in(apr_pool_t *p, const char *name, const char *path)
{
    const int dir = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *rest = rest_below(path, name);
    if (dir < 0) {
        return rest != NULL ? -errno : -EXDEV;
    }
    if (rest == NULL) {
        rest = rest_below_real(p, path, dir);
    }
    /* Its own name alone is the directory: no file, which is found out below. */
    const int fd =
        rest != NULL ? open_beneath(dir, rest[0] != '\0' ? rest : ".") : -EXDEV;
    close(dir);
    return fd;
}

/* In the first allowed directory that has it. @return −errno of the last one that could. */
static int find(request_rec *r, const apr_array_header_t *dirs, const char *path)
{
    int result = -EXDEV;
    for (int i = 0; i < dirs->nelts; i++) {
        const int fd = open_in(r->pool, APR_ARRAY_IDX(dirs, i, const char *), path);
        if (fd >= 0) {
            return fd;
        }
        if (fd != -EXDEV) {
            result = fd;
        }
    }
    return result;
}

static int is_member(const tsgi_identity_t *user, gid_t gid)
{
    for (int i = 0; i < user->ngroups; i++) {
        if (user->groups[i] == gid) {
            return 1;
        }
    }
    return user->gid == gid;
}

/* By owner and mode, as the kernel would judge the group's user. */
static int may_read(const tsgi_identity_t *user, const struct stat *info)
{
    if (info->st_uid == user->uid) {
        return (info->st_mode & S_IRUSR) != 0;
    }
    return (info->st_mode & (is_member(user, info->st_gid) ? S_IRGRP : S_IROTH)) != 0;
}

/*
 * The rules for scripts, and one more: an app must not get by Apache's hands what it could not read
 * itself, a hard link to somebody else's file, say. @return NULL, or what is wrong.
 */
static const char *find_fault(const tsgi_identity_t *user, const struct stat *info)
{
    if (!S_ISREG(info->st_mode)) {
        return "it is not a regular file";
    }
    if (info->st_uid != 0 && info->st_uid != user->uid) {
        return "it belongs neither to root nor to the user of the process group";
    }
    if ((info->st_mode & S_IWOTH) != 0) {
        return "everyone may write to it";
    }
    return may_read(user, info) ? NULL : "the user of the process group may not read it";
}

/* ---- while it is sent --------------------------------------------------------------- */

/*
 * Runs when the last byte has left. A file that has shrunk meanwhile has made the response shorter
 * than its Content-Length: no other response may stand where the client expects the rest. (The core's
 * filter would see to that itself; mod_ssl's takes the end of the file for the end of the bucket.)
 */
static apr_status_t end_watch(void *data)
{
    const watch_t *watch = data;
    struct stat now;
    if (fstat(watch->fd, &now) != 0 || now.st_size < watch->info.st_size ||
        now.st_ctim.tv_sec != watch->info.st_ctim.tv_sec ||
        now.st_ctim.tv_nsec != watch->info.st_ctim.tv_nsec) {
        watch->c->keepalive = AP_CONN_CLOSE;
    }
    close(watch->fd);
    return APR_SUCCESS;
}

/* The checked file itself, whatever its name leads to by now. */
static apr_status_t reopen(request_rec *r, int fd, apr_file_t **file)
{
    const core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    const char *name = apr_psprintf(r->pool, "/proc/self/fd/%d", fd);
    apr_finfo_t info;
    apr_status_t rv = apr_file_open(
        file, name, APR_READ | APR_BINARY | AP_SENDFILE_ENABLED(core->enable_sendfile), 0,
        r->pool);
    if (rv == APR_SUCCESS) {
        rv = apr_file_info_get(&info, APR_FINFO_MIN | APR_FINFO_IDENT, *file);
    }
    if (rv == APR_SUCCESS) {
        r->finfo = info;
    }
    return rv;
}

int tsgi_sendfile_open(request_rec *r, const tsgi_group_t *group, const char *value,
                       apr_file_t **file, tsgi_error_t *error)
{
    const tsgi_dir_conf_t *conf = ap_get_module_config(r->per_dir_config, &tsgi_module);
    const char *why = NULL;
    const char *path = decode(r->pool, value, &why);

    if (conf->sendfile_paths == NULL || conf->sendfile_paths->nelts == 0) {
        return fail(error, TSGI_FAIL_FILE, 0,
                    "TSGISendfilePath names no directory here, so no file may be sent");
    }
    if (path == NULL) {
        return fail(error, TSGI_FAIL_FILE, 0,
                    apr_psprintf(r->pool, "%s, came \"%.512s\"", why, value));
    }
    const int fd = find(r, conf->sendfile_paths, path);
    if (fd == -ENOENT || fd == -ENOTDIR) {
        return fail(error, TSGI_FAIL_NO_FILE, 0, path);
    }
    if (fd < 0) {
        return fail(error, TSGI_FAIL_FILE, fd == -EXDEV ? 0 : -fd,
                    apr_pstrcat(r->pool, path,
                                fd == -EXDEV ? " leads to no directory that "
                                               "TSGISendfilePath names"
                                             : " cannot be opened",
                                NULL));
    }
    watch_t *watch = apr_pcalloc(r->pool, sizeof(*watch));
    watch->c = r->connection;
    watch->fd = fd;
    if (fstat(fd, &watch->info) != 0) {
        const int os_error = errno;
        close(fd);
        return fail(error, TSGI_FAIL_FILE, os_error, path);
    }
    apr_pool_cleanup_register(r->pool, watch, end_watch, apr_pool_cleanup_null);
    why = find_fault(&group->identity, &watch->info);
    if (why != NULL) {
        return fail(error, TSGI_FAIL_FILE, 0, apr_psprintf(r->pool, "%s: %s", path, why));
    }
    const apr_status_t rv = reopen(r, fd, file);
    return rv == APR_SUCCESS || fail(error, TSGI_FAIL_FILE, rv, path);
}
