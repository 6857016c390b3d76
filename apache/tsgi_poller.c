/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "tsgi_poller.h"

#include "apr_thread_proc.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_EVENTS 128
/* While there are deadlines they are looked at so often. */
#define LOOK_AT_DEADLINES_MS 200
#define TICK_MS 1000

/* poll() and epoll have the same bits, which makes revents a copy. */
_Static_assert((int)EPOLLIN == POLLIN && (int)EPOLLOUT == POLLOUT &&
                   (int)EPOLLERR == POLLERR && (int)EPOLLHUP == POLLHUP,
               "events of poll() and epoll are the same");

struct tsgi_poller_t {
    int epoll_fd, wake_fd;
    apr_thread_t *thread;
    int (*tick)(void *data);
    void *data;
    int is_stopping, is_ticking; /* atomic */
    pthread_mutex_t lock;
    tsgi_watch_t *inbox; /* under the lock */
    /* The thread's alone: */
    tsgi_watch_t *first_ready, *last_ready;
    tsgi_watch_t *all, *timed;
    apr_time_t looked_at, ticked_at;
};

/* ---- lists -------------------------------------------------------------------------- */

static void push_ready(tsgi_poller_t *poller, tsgi_watch_t *watch)
{
    if (watch->is_ready) {
        return;
    }
    watch->is_ready = 1;
    watch->next = NULL;
    if (poller->last_ready != NULL) {
        poller->last_ready->next = watch;
    }
    else {
        poller->first_ready = watch;
    }
    poller->last_ready = watch;
}

static void set_timed(tsgi_poller_t *poller, tsgi_watch_t *watch, int is_timed)
{
    if (watch->is_timed == is_timed) {
        return;
    }
    watch->is_timed = is_timed;
    if (is_timed) {
        watch->sooner = NULL;
        watch->later = poller->timed;
        if (poller->timed != NULL) {
            poller->timed->sooner = watch;
        }
        poller->timed = watch;
        return;
    }
    if (watch->sooner != NULL) {
        watch->sooner->later = watch->later;
    }
    else {
        poller->timed = watch->later;
    }
    if (watch->later != NULL) {
        watch->later->sooner = watch->sooner;
    }
}

static void link_all(tsgi_poller_t *poller, tsgi_watch_t *watch)
{
    watch->newer = NULL;
    watch->older = poller->all;
    if (poller->all != NULL) {
        poller->all->newer = watch;
    }
    poller->all = watch;
}

static void unlink_all(tsgi_poller_t *poller, tsgi_watch_t *watch)
{
    if (watch->newer != NULL) {
        watch->newer->older = watch->older;
    }
    else {
        poller->all = watch->older;
    }
    if (watch->older != NULL) {
        watch->older->newer = watch->newer;
    }
}

/* ---- the kernel's side -------------------------------------------------------------- */

/* The low bit of a watch's address, which is aligned, tells which of its descriptors it is. */
static void *source_of(tsgi_watch_t *watch, int which)
{
    return (char *)watch + which;
}

/* @return 0 or an errno */
static int ask_kernel(tsgi_poller_t *poller, tsgi_watch_t *watch, int which)
{
    const struct pollfd *wanted = &watch->fds[which];
    struct pollfd *known = &watch->known[which];
    struct epoll_event event = {.events = (uint32_t)(unsigned short)wanted->events,
                                .data.ptr = source_of(watch, which)};
    int rc = 0;

    if (wanted->fd == known->fd && (wanted->fd < 0 || wanted->events == known->events)) {
        return 0;
    }
    if (known->fd >= 0 && wanted->fd != known->fd) {
        (void)epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, known->fd, &event);
        known->fd = -1;
    }
    if (wanted->fd >= 0) {
        rc = epoll_ctl(poller->epoll_fd, known->fd < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
                       wanted->fd, &event);
    }
    *known = *wanted;
    return rc == 0 ? 0 : errno;
}

void tsgi_poller_forget(tsgi_poller_t *poller, tsgi_watch_t *watch)
{
    for (int which = 0; which < 2; which++) {
        watch->fds[which] = (struct pollfd){.fd = -1};
        (void)ask_kernel(poller, watch, which);
    }
    watch->deadline = 0;
    set_timed(poller, watch, 0);
}

void tsgi_poller_remove(tsgi_poller_t *poller, tsgi_watch_t *watch)
{
    tsgi_poller_forget(poller, watch);
    unlink_all(poller, watch);
}

/* ---- the thread --------------------------------------------------------------------- */

static void serve(tsgi_poller_t *poller, tsgi_watch_t *watch)
{
    const tsgi_watch_result_t result = watch->serve(watch);
    if (result == TSGI_WATCH_GONE) {
        return;
    }
    watch->fds[0].revents = watch->fds[1].revents = 0;
    for (int which = 0; which < 2; which++) {
        const int error = ask_kernel(poller, watch, which);
        if (error != 0) {
            watch->error = error;
            push_ready(poller, watch);
        }
    }
    set_timed(poller, watch, watch->deadline != 0);
    if (result == TSGI_WATCH_AGAIN) {
        push_ready(poller, watch);
    }
}

/* Those that are ready now; who wants to be served again waits for the others. */
static void serve_ready(tsgi_poller_t *poller)
{
    tsgi_watch_t *watch = poller->first_ready;

    poller->first_ready = poller->last_ready = NULL;
    while (watch != NULL) {
        tsgi_watch_t *next = watch->next;
        watch->is_ready = 0;
        serve(poller, watch);
        watch = next;
    }
}

static void take_inbox(tsgi_poller_t *poller)
{
    pthread_mutex_lock(&poller->lock);
    tsgi_watch_t *watch = poller->inbox;
    poller->inbox = NULL;
    pthread_mutex_unlock(&poller->lock);
    while (watch != NULL) {
        tsgi_watch_t *next = watch->next;
        link_all(poller, watch);
        push_ready(poller, watch);
        watch = next;
    }
}

static void take_events(tsgi_poller_t *poller, const struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++) {
        eventfd_t count;
        if (events[i].data.ptr == poller) {
            (void)eventfd_read(poller->wake_fd, &count);
            take_inbox(poller);
            continue;
        }
        const uintptr_t source = (uintptr_t)events[i].data.ptr;
        const int which = (int)(source & 1);
        tsgi_watch_t *watch =
            (tsgi_watch_t *)(void *)((char *)events[i].data.ptr - which);
        watch->fds[which].revents |= (short)events[i].events;
        push_ready(poller, watch);
    }
}

static void look_at_deadlines(tsgi_poller_t *poller)
{
    const apr_time_t now = tsgi_clock_now();

    if (now - poller->looked_at < apr_time_from_msec(LOOK_AT_DEADLINES_MS)) {
        return;
    }
    poller->looked_at = now;
    for (tsgi_watch_t *watch = poller->timed; watch != NULL; watch = watch->later) {
        if (watch->deadline <= now) {
            push_ready(poller, watch);
        }
    }
}

static void tick(tsgi_poller_t *poller)
{
    const apr_time_t now = tsgi_clock_now();

    if (now - poller->ticked_at < apr_time_from_msec(TICK_MS)) {
        return;
    }
    poller->ticked_at = now;
    if (poller->tick(poller->data)) {
        for (tsgi_watch_t *watch = poller->all; watch != NULL; watch = watch->older) {
            push_ready(poller, watch);
        }
    }
}

/* How long to wait for events, in ms; -1 = until one comes. */
static int longest_wait(const tsgi_poller_t *poller, int is_ticking)
{
    if (poller->first_ready != NULL) {
        return 0;
    }
    return poller->timed != NULL ? LOOK_AT_DEADLINES_MS : is_ticking ? TICK_MS : -1;
}

static void *APR_THREAD_FUNC run(apr_thread_t *thread, void *data)
{
    tsgi_poller_t *poller = data;
    struct epoll_event events[MAX_EVENTS];

    while (!__atomic_load_n(&poller->is_stopping, __ATOMIC_ACQUIRE)) {
        const int is_ticking = __atomic_load_n(&poller->is_ticking, __ATOMIC_ACQUIRE);
        const int n = epoll_wait(poller->epoll_fd, events, MAX_EVENTS,
                                 longest_wait(poller, is_ticking));
        take_events(poller, events, n);
        if (is_ticking) {
            tick(poller);
        }
        if (poller->timed != NULL) {
            look_at_deadlines(poller);
        }
        serve_ready(poller);
    }
    return NULL;
}

/* ---- for other threads -------------------------------------------------------------- */

static void wake(tsgi_poller_t *poller)
{
    /* Fails only if the counter is full, and then it is awake. */
    (void)eventfd_write(poller->wake_fd, 1);
}

void tsgi_poller_add(tsgi_poller_t *poller, tsgi_watch_t *watch)
{
    watch->known[0] = watch->known[1] = (struct pollfd){.fd = -1};
    watch->is_ready = watch->is_timed = 0;
    pthread_mutex_lock(&poller->lock);
    watch->next = poller->inbox;
    poller->inbox = watch;
    pthread_mutex_unlock(&poller->lock);
    wake(poller);
}

void tsgi_poller_tick(tsgi_poller_t *poller)
{
    __atomic_store_n(&poller->is_ticking, 1, __ATOMIC_RELEASE);
    wake(poller);
}

static void close_all(tsgi_poller_t *poller)
{
    if (poller->epoll_fd >= 0) {
        close(poller->epoll_fd);
    }
    if (poller->wake_fd >= 0) {
        close(poller->wake_fd);
    }
}

apr_status_t tsgi_poller_start(apr_pool_t *pool, int (*tick_function)(void *data),
                               void *data, tsgi_poller_t **result)
{
    tsgi_poller_t *poller = apr_pcalloc(pool, sizeof(*poller));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = poller};
    apr_status_t rv = APR_SUCCESS;

    poller->tick = tick_function;
    poller->data = data;
    poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (poller->epoll_fd < 0 || poller->wake_fd < 0 ||
        epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->wake_fd, &event) != 0) {
        rv = errno;
    }
    else {
        rv = pthread_mutex_init(&poller->lock, NULL);
    }
    if (rv == APR_SUCCESS) {
        rv = ap_thread_create(&poller->thread, NULL, run, poller, pool);
        if (rv != APR_SUCCESS) {
            pthread_mutex_destroy(&poller->lock);
        }
    }
    if (rv != APR_SUCCESS) {
        close_all(poller);
        return rv;
    }
    *result = poller;
    return APR_SUCCESS;
}

void tsgi_poller_stop(tsgi_poller_t *poller)
{
    apr_status_t ignored;

    __atomic_store_n(&poller->is_stopping, 1, __ATOMIC_RELEASE);
    wake(poller);
    (void)apr_thread_join(&ignored, poller->thread);
    pthread_mutex_destroy(&poller->lock);
    close_all(poller);
}
