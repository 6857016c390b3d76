/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_slot.h"
#include "tsgi_process.h"

#include "apr_strings.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the runtime directory ------------------------------------------------------------ */

/* mkdir -p: each directory that is missing, passable for all, to be listed by root alone. */
static int make_directories(apr_pool_t *p, const char *path)
{
    char *copy = apr_pstrdup(p, path);
    for (char *slash = strchr(copy + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0711) != 0 && errno != EEXIST) {
            return -1;
        }
        *slash = '/';
    }
    return mkdir(copy, 0711) == 0 || errno == EEXIST ? 0 : -1;
}

/*
 * Others may rename and remove what is in it; the sticky bit forbids that. The group of who starts
 * httpd is root's own, or, where umask is 002, a private one.
 */
static int is_open_to_others(const struct stat *info)
{
    const mode_t others = info->st_gid == getegid() ? S_IWOTH : S_IWGRP | S_IWOTH;
    return (info->st_mode & others) != 0 && (info->st_mode & S_ISVTX) == 0;
}

/* What an opened directory lacks. @return NULL, or the sentence. */
static const char *directory_check(apr_pool_t *p, const char *path, int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        return apr_psprintf(
            p,
            TSGI_LOGNO(0050) "the runtime directory %s cannot be written by the "
                             "user who starts httpd: %s; chown it, or name "
                             "another one with TSGIRuntimeDir",
            path, strerror(errno));
    }
    if (info.st_uid != 0 && info.st_uid != geteuid()) {
        return apr_psprintf(
            p,
            TSGI_LOGNO(0051) "the runtime directory %s belongs to uid %ld, who "
                             "could put a socket of his own in the place of one "
                             "of ours; chown it to root or to the user who "
                             "starts httpd, or name another one with "
                             "TSGIRuntimeDir",
            path, (long)info.st_uid);
    }
    if (is_open_to_others(&info)) {
        return apr_psprintf(
            p,
            TSGI_LOGNO(0051) "the runtime directory %s can be written by others than its "
                             "owner (mode %03o, group %ld): another user could put a "
                             "socket of his own in the place of one of ours; run chmod "
                             "go-w on it, or name another one with TSGIRuntimeDir",
            path, (unsigned)(info.st_mode & 0777), (long)info.st_gid);
    }
    return NULL;
}

const char *tsgi_slots_directory(apr_pool_t *p, const char *path, int *fd)
{
    const char *problem;
    *fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0 && errno == ENOENT && make_directories(p, path) == 0) {
        *fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    if (*fd < 0) {
        return apr_psprintf(
            p,
            TSGI_LOGNO(0050) "the runtime directory %s cannot be used: %s; make "
                             "it, owned by the user who starts httpd, or name "
                             "another one with TSGIRuntimeDir",
            path, strerror(errno));
    }
    problem = directory_check(p, path, *fd);
    if (problem != NULL) {
        close(*fd);
        *fd = -1;
    }
    return problem;
}

/* ---- one socket ------------------------------------------------------------------------ */

/* Opens the socket's path and gives it to its owner. @return 0, or -1 with errno and *step. */
static int path_open(tsgi_socket_t *self, const tsgi_slot_place_t *place,
                     const char *name, const char **step)
{
    struct stat info;
    *step = "open";
    self->path_fd = openat(place->directory_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (self->path_fd < 0 || fstat(self->path_fd, &info) != 0) {
        return -1;
    }
    if (!S_ISSOCK(info.st_mode) || info.st_uid != geteuid()) {
        errno = EEXIST; /* Somebody has put another file there. */
        return -1;
    }
    *step = "chown";
    if (geteuid() == 0 &&
        fchownat(self->path_fd, "", place->owner, (gid_t)-1, AT_EMPTY_PATH) != 0) {
        return -1;
    }
    return 0;
}

static int socket_bind(tsgi_socket_t *self, int type, const tsgi_slot_place_t *place,
                       const char *name, const char **step)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    *step = "socket";
    self->listen_fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (self->listen_fd < 0) {
        return -1;
    }
    /* The file takes over the mode that the socket has before it is bound: never open to others. */
    *step = "chmod";
    if (fchmod(self->listen_fd, 0600) != 0) {
        return -1;
    }
    /* By the directory's fd: the path may be longer than the 107 bytes of an address. */
    *step = "bind";
    apr_snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s",
                 place->directory_fd, name);
    if (bind(self->listen_fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        return -1;
    }
    *step = "listen";
    return listen(self->listen_fd, place->backlog);
}

void tsgi_socket_close(tsgi_socket_t *self)
{
    if (self->listen_fd >= 0) {
        close(self->listen_fd);
        self->listen_fd = -1;
    }
    if (self->path_fd >= 0) {
        close(self->path_fd);
        self->path_fd = -1;
    }
}

const char *tsgi_socket_open(apr_pool_t *p, tsgi_socket_t *self, int type,
                             const tsgi_slot_place_t *place)
{
    static unsigned int
        counter; /* Names need only differ; they are gone after this function. */
    char name[48];
    const char *step;
    int error = 0;

    apr_snprintf(name, sizeof(name), "tsgi.%ld.%u", (long)getpid(), counter++);
    if (unlinkat(place->directory_fd, name, 0) != 0 && errno != ENOENT) {
        return apr_psprintf(p,
                            TSGI_LOGNO(0052) "%s/%s, left over from a crash, cannot be "
                                             "removed: %s; remove it by hand",
                            place->directory, name, strerror(errno));
    }
    if (socket_bind(self, type, place, name, &step) != 0 ||
        path_open(self, place, name, &step) != 0) {
        error = errno;
    }
    (void)unlinkat(place->directory_fd, name, 0);
    if (error != 0) {
        tsgi_socket_close(self);
        return apr_psprintf(
            p,
            TSGI_LOGNO(0052) "no socket can be made in %s: %s: %s; expected a "
                             "directory of a local file system that the user "
                             "who starts httpd can write (TSGIRuntimeDir), "
                             "/proc mounted, and file descriptors left "
                             "(ulimit -n)",
            place->directory, step, strerror(error));
    }
    apr_snprintf(self->path, sizeof(self->path), "/proc/self/fd/%d", self->path_fd);
    return NULL;
}

/* ---- load counters --------------------------------------------------------------------- */

static const char *load_map(apr_pool_t *p, tsgi_load_t *load, int nslots)
{
    const int rows = tsgi_process_most_children();
    const apr_size_t columns = 2 + (apr_size_t)nslots;
    const char *problem = tsgi_rows_create(
        p, &load->rows, rows, columns * (apr_size_t)rows * sizeof(apr_uint32_t));
    load->columns = (int)columns;
    load->counts = load->rows.columns;
    return problem;
}

static apr_uint32_t *column(const tsgi_load_t *load, int slot)
{
    return load->counts + (apr_size_t)slot * (apr_size_t)load->rows.count;
}

static apr_uint32_t *own_count(const tsgi_slots_t *slots, int slot)
{
    if (slots->row >= 0) {
        return column(&slots->load, slot) + slots->row;
    }
    return slots->own != NULL ? &slots->own[slot] : NULL;
}

/*
 * Sequentially consistent as the additions are: of two who add and then look, at least one sees
 * both.
 */
apr_uint32_t tsgi_load_get(const tsgi_slots_t *slots, int slot)
{
    const apr_uint32_t *counts = column(&slots->load, slot);
    const apr_uint32_t rows = tsgi_rows_used(&slots->load.rows);
    apr_uint32_t sum = 0;
    for (apr_uint32_t row = 0; row < rows; row++) {
        sum += __atomic_load_n(&counts[row], __ATOMIC_SEQ_CST);
    }
    if (slots->row < 0 && slots->own != NULL) {
        sum += __atomic_load_n(&slots->own[slot], __ATOMIC_SEQ_CST);
    }
    return sum;
}

apr_uint32_t tsgi_load_total(const tsgi_slots_t *slots)
{
    /* Those who wait first: who gets a worker meanwhile is counted twice rather than never. */
    apr_uint32_t sum = tsgi_load_get(slots, TSGI_LOAD_WAITING(slots));
    for (int slot = 0; slot < slots->nslots; slot++) {
        sum += tsgi_load_get(slots, slot);
    }
    return sum;
}

void tsgi_load_add(tsgi_slots_t *slots, int slot)
{
    apr_uint32_t *count = own_count(slots, slot);
    if (count != NULL) {
        __atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
    }
}

void tsgi_load_sub(tsgi_slots_t *slots, int slot)
{
    apr_uint32_t *count = own_count(slots, slot);
    if (count != NULL) {
        __atomic_fetch_sub(count, 1, __ATOMIC_SEQ_CST);
    }
}

void tsgi_slots_claim(tsgi_slots_t *slots, apr_pool_t *pool)
{
    slots->row = tsgi_rows_claim(&slots->load.rows);
    slots->own = NULL;
    if (slots->row < 0) {
        /* So many children at once: this one's requests are not seen by the others. */
        slots->own =
            apr_pcalloc(pool, sizeof(apr_uint32_t) * (apr_size_t)slots->load.columns);
    }
}

static void clear_row(void *owner, int row)
{
    const tsgi_load_t *load = owner;
    for (int slot = 0; slot < load->columns; slot++) {
        __atomic_store_n(column(load, slot) + row, 0, __ATOMIC_RELAXED);
    }
}

void tsgi_slots_release(tsgi_slots_t *slots, pid_t pid)
{
    tsgi_rows_release(&slots->load.rows, pid, clear_row, &slots->load);
}

int tsgi_load_bury(tsgi_slots_t *slots)
{
    return tsgi_rows_bury(&slots->load.rows, clear_row, &slots->load);
}

/* ---- an application group ---------------------------------------------------------------- */

/* At the end: the supervisor starts them in the order of the configuration. */
static void list_append(tsgi_generation_t *generation, tsgi_slots_t *slots)
{
    tsgi_slots_t **link = &generation->first_slots;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = slots;
}

int tsgi_slots_serve(const tsgi_slots_t *slots, const tsgi_app_t *app)
{
    if (strcmp(slots->name, app->name) != 0 || slots->pattern != app->pattern ||
        slots->scripts->nelts != app->scripts->nelts) {
        return 0;
    }
    for (int i = 0; i < app->scripts->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(slots->scripts, i, const char *),
                   APR_ARRAY_IDX(app->scripts, i, const char *)) != 0) {
            return 0;
        }
    }
    return 1;
}

/* In a pool of their own: lists come and go while the generation lives. */
static tsgi_slots_t *slots_new(tsgi_generation_t *generation, const tsgi_app_t *app,
                               int nslots)
{
    apr_pool_t *pool;
    tsgi_slots_t *slots;

    apr_pool_create(&pool, generation->pool);
    apr_pool_tag(pool, "tsgi_slots");
    slots = apr_pcalloc(pool, sizeof(*slots));
    slots->pool = pool;
    slots->name = apr_pstrdup(pool, app->name);
    slots->generation = generation;
    slots->nslots = nslots;
    slots->row = -1;
    slots->slots = apr_pcalloc(pool, sizeof(tsgi_slot_t) * (apr_size_t)nslots);
    for (int i = 0; i < nslots; i++) {
        slots->slots[i].index = i;
        slots->slots[i].socket.listen_fd = slots->slots[i].socket.path_fd = -1;
    }
    slots->pattern = app->pattern;
    slots->scripts = apr_array_make(pool, app->scripts->nelts, sizeof(char *));
    for (int i = 0; i < app->scripts->nelts; i++) {
        APR_ARRAY_PUSH(slots->scripts, const char *) =
            apr_pstrdup(pool, APR_ARRAY_IDX(app->scripts, i, const char *));
    }
    return slots;
}

const char *tsgi_slots_create(apr_pool_t *p, tsgi_generation_t *generation,
                              const tsgi_app_t *app, int nslots,
                              const tsgi_slot_place_t *place, tsgi_slots_t **result)
{
    tsgi_slots_t *slots;
    const char *problem;

    *result = NULL;
    if (nslots < 1 || nslots > TSGI_SLOTS_MAX) {
        return apr_psprintf(
            p, TSGI_LOGNO(0059) "processes=%d: expected a number from 1 to %d", nslots,
            TSGI_SLOTS_MAX);
    }
    slots = slots_new(generation, app, nslots);
    list_append(generation, slots);
    problem = load_map(p, &slots->load, nslots);
    for (int i = 0; i < nslots && problem == NULL; i++) {
        problem = tsgi_socket_open(p, &slots->slots[i].socket, SOCK_STREAM, place);
    }
    if (problem != NULL) {
        tsgi_slots_destroy(slots);
        return problem;
    }
    *result = slots;
    return NULL;
}

void tsgi_slots_destroy(tsgi_slots_t *slots)
{
    tsgi_slots_t **link = &slots->generation->first_slots;
    while (*link != NULL && *link != slots) {
        link = &(*link)->next;
    }
    if (*link == slots) {
        *link = slots->next;
    }
    for (int i = 0; i < slots->nslots; i++) {
        tsgi_socket_close(&slots->slots[i].socket);
    }
    tsgi_rows_destroy(&slots->load.rows);
    apr_pool_destroy(slots->pool);
}

/* Async-signal-safe. */
static void socket_forget(tsgi_socket_t *self)
{
    if (self->listen_fd >= 0) {
        close(self->listen_fd);
        self->listen_fd = -1;
    }
}

void tsgi_slots_forget_all(tsgi_generation_t *generation)
{
    socket_forget(&generation->inquest);
    for (tsgi_slots_t *slots = generation->first_slots; slots != NULL;
         slots = slots->next) {
        for (int i = 0; i < slots->nslots; i++) {
            socket_forget(&slots->slots[i].socket);
        }
    }
}
