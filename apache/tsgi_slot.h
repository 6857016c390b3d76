/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_slot.h
 * The sockets of generations and their application groups, and their load counters (tsgi_load_*, in tsgi_generation.h).
 *
 * A socket is bound in the runtime directory, opened with O_PATH and unlinked again: nothing is left
 * there, and whatever becomes of the directory later does not matter. Children connect to
 * /proc/self/fd/<path_fd>. The sockets live as long as their application group in its generation.
 */
#ifndef TSGI_SLOT_H
#define TSGI_SLOT_H

#include "tsgi_generation.h"

/** Most slots of an application group: their sockets travel in one message (SCM_MAX_FD is 253). */
#define TSGI_SLOTS_MAX 250

/** What the sockets are made with. */
typedef struct {
    const char *directory; /**< runtime directory, absolute */
    int directory_fd;      /**< O_PATH; of tsgi_slots_directory() */
    int backlog;
    uid_t owner; /**< socket-user; not used if we are not root */
} tsgi_slot_place_t;

/**
 * Opens the runtime directory; makes it (0711) if it is missing. Parent only.
 * @param fd O_PATH|O_CLOEXEC, the caller closes it
 * @return NULL, or what is wrong (id, sentence, remedy), from p
 */
const char *tsgi_slots_directory(apr_pool_t *p, const char *path, int *fd);

/**
 * Makes a listening socket that only its owner can connect to. Parent only.
 * @param type SOCK_STREAM or SOCK_SEQPACKET
 * @return NULL, or what is wrong (id, sentence, remedy), from p; then nothing is left open
 */
const char *tsgi_socket_open(apr_pool_t *p, tsgi_socket_t *self, int type,
                             const tsgi_slot_place_t *place);

/** Closes both fds, if they are open. */
void tsgi_socket_close(tsgi_socket_t *self);

/**
 * Makes the sockets of an application group and adds it to its generation; what the supervisor is told
 * is copied. Parent only.
 * @param slots NULL if it failed; then nothing is left open
 * @return NULL, or what is wrong (id, sentence, remedy), from p
 */
const char *tsgi_slots_create(apr_pool_t *p, tsgi_generation_t *generation,
                              const tsgi_app_t *app, int nslots,
                              const tsgi_slot_place_t *place, tsgi_slots_t **slots);

/** @return 1 if these are slots of that application group, with the very same list of scripts. */
int tsgi_slots_serve(const tsgi_slots_t *slots, const tsgi_app_t *app);

/** Closes all of its fds, unmaps the counters, takes it out of its generation. Parent only. */
void tsgi_slots_destroy(tsgi_slots_t *slots);

/** In a child of fork(): closes all listening sockets of the generation. Async-signal-safe. */
void tsgi_slots_forget_all(tsgi_generation_t *generation);

/** child_init: claims a row of the counters; pool is the child's. */
void tsgi_slots_claim(tsgi_slots_t *slots, apr_pool_t *pool);

/** Parent: the child `pid` has gone; its row is zeroed and free again. */
void tsgi_slots_release(tsgi_slots_t *slots, pid_t pid);

#endif
