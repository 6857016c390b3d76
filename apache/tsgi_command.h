/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_command.h
 * Messages on the command socket, from the Apache parent to a supervisor.
 *
 * One SOCK_SEQPACKET packet is one message: fields of text, each ended by NUL, the first is the verb
 * (docs/architecture.md has the list). The parent never reads the socket.
 */
#ifndef TSGI_COMMAND_H
#define TSGI_COMMAND_H

#include "apr_pools.h"
#include "apr_time.h"

/** Most bytes of a message. */
#define TSGI_COMMAND_MAX 65536

typedef struct {
    char *data;
    apr_size_t length;
    apr_size_t size;
    int too_long; /**< what was added does not fit into TSGI_COMMAND_MAX; cannot be sent */
    apr_pool_t *pool;
} tsgi_message_t;

/** Begins a message; its memory comes from pool. */
void tsgi_message_begin(tsgi_message_t *message, apr_pool_t *pool, const char *verb);
/** Adds a field. */
void tsgi_message_add(tsgi_message_t *message, const char *field);
/** Adds the field `key=value`; nothing if value is NULL. */
void tsgi_message_add_pair(tsgi_message_t *message, const char *key, const char *value);
void tsgi_message_add_number(tsgi_message_t *message, const char *key, apr_int64_t value);

/**
 * A command socket: *parent_fd only writes, *child_fd is the supervisor's. Both CLOEXEC, the parent's
 * non-blocking; the caller owns them.
 */
apr_status_t tsgi_command_open(int *parent_fd, int *child_fd);

/**
 * Sends a message with `nfds` descriptors. Waits for room in the socket until `deadline`.
 * @return APR_SUCCESS, APR_EAGAIN (no room in time), APR_ENAMETOOLONG (too_long), or an errno
 */
apr_status_t tsgi_command_send(int fd, const tsgi_message_t *message, const int *fds,
                               int nfds, apr_time_t deadline);

#endif
