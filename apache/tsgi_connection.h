/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/**
 * @file tsgi_connection.h One connection of an Apache child to a worker: socket, frame
 * reader, sender, greeting.
 *
 * Belongs to exactly one thread at a time: the request that leased it, or, while it is
 * idle, to whoever holds the lock of its pool (tsgi_pool.h). Memory is malloc'd once and
 * lives as long as the connection: a request pays for no allocation here. Nothing but
 * Apache children call this file.
 */
#ifndef TSGI_CONNECTION_H
#define TSGI_CONNECTION_H

#include "tsgi_generation.h"

#include <sys/uio.h>

/**
 * How long tsgi_connection_fill() waits for the worker alone, before anybody looks at the
 * client.
 */
#define TSGI_FIRST_WAIT_MS 50

typedef struct tsgi_connection_t {
    struct tsgi_connection_t *newer, *older; /**< tsgi_pool.c's list */
    apr_time_t idle_since;                   /**< tsgi_pool.c: when it was given back */
    int is_probe; /**< tsgi_balance.c: opened to see whether the worker still greets */
    int fd;
    uint32_t pid;   /**< of the worker, from HELLO; 0 before */
    uint8_t minor;  /**< of the version of the wire that it speaks */
    int is_greeted; /**< HELLO came and was right */
    int is_authed;  /**< AUTH was written whole */
    uint8_t *in;    /**< received, not yet consumed: [in_at, in_end) */
    size_t in_size, in_at, in_end;
    uint8_t *out; /**< room for AUTH and a request head */
    size_t out_size;
} tsgi_connection_t;

/**
 * Connects to a socket without ever waiting.
 * @param type SOCK_STREAM or SOCK_SEQPACKET
 * @return a non-blocking fd, or −1 and *error = errno: EAGAIN means that the backlog is full.
 */
int tsgi_connection_dial(const char *path, int type, int *error);
/**
 * Connects to a slot without ever waiting.
 * @return NULL and *error = errno: EAGAIN means that the backlog is full. The caller
 * closes what it got.
 */
tsgi_connection_t *tsgi_connection_open(const char *path, int *error);
/** Gives back memory that small frames do not need. No request is written on it any more. */
void tsgi_connection_trim(tsgi_connection_t *connection);
/** Closes the socket and frees everything. NULL is allowed. */
void tsgi_connection_close(tsgi_connection_t *connection);

/**
 * Receives into the frame buffer. With wait, sleeps up to TSGI_FIRST_WAIT_MS for the
 * first byte.
 * @return bytes received, 0 at end of stream, or −errno (−EAGAIN: nothing there).
 */
long tsgi_connection_fill(tsgi_connection_t *connection, int wait);
/**
 * Receives straight into data, and what comes behind it into the frame buffer, which must
 * be empty. Never waits. @return bytes written to data, 0 at end of stream, or −errno.
 */
long tsgi_connection_read(tsgi_connection_t *connection, char *data, size_t size);
/** Bytes received and not yet consumed. */
static inline size_t tsgi_connection_buffered(const tsgi_connection_t *connection)
{
    return connection->in_end - connection->in_at;
}

/**
 * Looks at the frame at the front of the buffer, without consuming it. DATA is reported
 * as soon as its header is there (*payload = NULL: consume the header, then the payload
 * as it comes); of all other types the payload is whole. The payload is valid until the
 * next fill or consume.
 * @return 1 a frame, 0 more bytes are needed, <0 TSGI_E_*.
 */
int tsgi_connection_frame(tsgi_connection_t *connection, tsgi_frame_t *frame,
                          const uint8_t **payload);
/** Drops n buffered bytes from the front. */
void tsgi_connection_consume(tsgi_connection_t *connection, size_t n);

/** Makes room for size bytes in out. @return 0 if there is no memory. */
int tsgi_connection_reserve(tsgi_connection_t *connection, size_t size);
/**
 * Writes without waiting; moves bases and lengths of the parts past what was written.
 * @return bytes written (0: all parts are empty), or −errno (−EAGAIN: the worker does not
 * read).
 */
long tsgi_connection_send(tsgi_connection_t *connection, struct iovec *parts, int nparts);

/**
 * Moves n bytes from a pipe, which has as many, to the worker, without waiting.
 * @return as tsgi_connection_send().
 */
long tsgi_connection_splice(tsgi_connection_t *connection, int pipe_end, size_t n);
/** As tsgi_connection_send(), with a descriptor, which stays the caller's too; if >= 0, it has left. */
long tsgi_connection_pass(tsgi_connection_t *connection, struct iovec *parts, int nparts,
                          int fd);

/** What a new connection has said so far. */
typedef enum {
    TSGI_GREETING_NONE,        /**< nothing yet */
    TSGI_GREETING_HELLO,       /**< a worker of the right generation */
    TSGI_GREETING_UNAVAILABLE, /**< the supervisor: there is no worker now */
    TSGI_GREETING_CLOSED,      /**< end of stream or reset: its worker has gone */
    TSGI_GREETING_WRONG        /**< a violation; *why says which */
} tsgi_greeting_t;
/**
 * Reads the greeting without waiting. unavailable is set for TSGI_GREETING_UNAVAILABLE.
 */
tsgi_greeting_t tsgi_connection_greet(tsgi_connection_t *connection,
                                      const unsigned char *generation,
                                      tsgi_unavailable_t *unavailable, const char **why);

#endif
